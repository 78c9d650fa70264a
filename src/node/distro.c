#include "node/distro.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"
#include "node/root.h"

#define RANCHER(name) "/var/lib/rancher/" name "/agent/etc/containerd/"
#define BASE          "{{ template \"base\" . }}\n"

static const struct distro distros[] = {
	{"k3s", RANCHER("k3s") "config.toml", "/var/lib/rancher/k3s/data/current/bin/containerd",
		"/var/lib/rancher/k3s/", {"k3s.service", "k3s-agent.service"},
		{RANCHER("k3s") "config.toml.tmpl", RANCHER("k3s") "config-v3.toml.tmpl"}, BASE,
		.recipe = "config-v3.toml.tmpl (containerd 2) or config.toml.tmpl (1.7) beside it"},
	{"RKE2", RANCHER("rke2") "config.toml", "/var/lib/rancher/rke2/bin/containerd",
		"/var/lib/rancher/rke2/", {"rke2-server.service", "rke2-agent.service"},
		{RANCHER("rke2") "config.toml.tmpl", RANCHER("rke2") "config-v3.toml.tmpl"}, BASE,
		.recipe = "config-v3.toml.tmpl (containerd 2) or config.toml.tmpl (1.7) beside it"},
	{"microk8s", "/var/snap/microk8s/current/args/containerd.toml",
		"/snap/microk8s/current/bin/containerd", "/snap/microk8s/",
		{"snap.microk8s.daemon-containerd.service"},
		{"/var/snap/microk8s/current/args/containerd-template.toml",
			"/var/snap/microk8s/current/args/containerd-template.toml"},
		.recipe = "/var/snap/microk8s/current/args/containerd-template.toml"},
	{"k0s", "/etc/k0s/containerd.toml", "/var/lib/k0s/bin/containerd", "/var/lib/k0s/",
		{"k0scontroller.service", "k0sworker.service"},
		{"/etc/k0s/containerd.d/50-reaper.toml", "/etc/k0s/containerd.d/50-reaper.toml"},
		"", .own_file = true, .generated_line = "# k0s_managed=true",
		.recipe = "a file of its own in /etc/k0s/containerd.d/"},
};

/* Systems on which nothing that is written to containerd's configuration lasts. */
static const struct {
	const char *id, *why;
} unfit[] = {
	{"bottlerocket",
		"Bottlerocket's root file system cannot be written, and its settings know no "
		"runtime handlers"},
	{"cos", "on Container-Optimized OS /etc is made anew at every boot; use nodes with Ubuntu"},
	{"talos", "Talos has no place for programs; a system extension must bring shim and "
		  "configuration"},
};

/* Provisioners that write the file anew: what is changed now lasts until then. */
static const struct {
	const char *trace, *warning;
	const char
		*lasts; /* where this exists apply sees to it (nodeadm.c), and nobody is warned */
} passing[] = {
	{"/etc/eks/nodeadm",
		"nodeadm renders containerd's configuration at every boot: put the block "
		"also into spec.containerd.config of the NodeConfig (user data), or make "
		"the directory " NODEADM_DIR " and apply again",
		.lasts = NODEADM_DIR},
	{"/opt/azure/containers",
		"AKS replaces a node's image when it upgrades it: apply again then, "
		"by a DaemonSet"},
	{"/home/kubernetes/kube-env", "GKE makes a node anew when it repairs or upgrades it: apply "
				      "again then, by a DaemonSet"},
};

static bool below(const char *path, const char *root, const char *prefix)
{
	size_t len = strlen(root);

	if (!path || !prefix)
		return false;
	if (len > 0 && str_has_prefix(path, root))
		path += len;
	return str_has_prefix(path, prefix);
}

/* A file of the place that the distribution did not render is its user's own. */
static bool is_generated(const struct distro *distro, const char *root)
{
	_cleanup_close_ int fd = root_open(root, distro->config, O_RDONLY | O_NONBLOCK);
	char line[64] = "";

	if (fd < 0)
		return false;
	if (!distro->generated_line)
		return true;
	return read(fd, line, sizeof(line) - 1) > 0 && str_has_prefix(line, distro->generated_line);
}

const struct distro *distro_of(const struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_LEN(distros); i++) {
		if (str_eq(d->config, distros[i].config) ||
			below(d->program, d->root, distros[i].program_prefix))
			return &distros[i];
	}
	return NULL;
}

const struct distro *distro_find(const char *root)
{
	for (size_t i = 0; i < ARRAY_LEN(distros); i++) {
		if (is_generated(&distros[i], root))
			return &distros[i];
	}
	return NULL;
}

const char *distro_source(const struct distro *distro, const struct daemon *d)
{
	return distro->sources[d->major >= 2];
}

/* ID= of os-release. */
static void system_id(const char *root, char *ret, size_t size)
{
	static const char *const files[] = {"/etc/os-release", "/usr/lib/os-release"};
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **lines = NULL;
	size_t len;

	*ret = '\0';
	for (size_t i = 0; i < ARRAY_LEN(files) && !text; i++) {
		_cleanup_close_ int fd = root_open(root, files[i], O_RDONLY | O_NONBLOCK);

		if (fd >= 0)
			(void)file_read_fd(fd, files[i], 64 << 10, &text, &len, NULL);
	}
	if (!text || strv_split(&lines, text, "\n") < 0)
		return;
	for (char **l = lines; l && *l; l++) {
		const char *v = *l + strlen("ID=");

		if (!str_has_prefix(*l, "ID="))
			continue;
		v += *v == '"' || *v == '\'';
		(void)snprintf(ret, size, "%.*s", (int)strcspn(v, "\"' "), v);
	}
}

static bool exists(const char *root, const char *name)
{
	_cleanup_close_ int fd = name ? root_open(root, name, O_RDONLY | O_NONBLOCK) : -EBADF;

	return fd >= 0;
}

int distro_check_system(const char *root, struct report *rep)
{
	char id[64];

	system_id(root, id, sizeof(id));
	for (size_t i = 0; i < ARRAY_LEN(unfit); i++) {
		if (str_eq(id, unfit[i].id))
			return report_set(rep, REASON_E_UNFIT_SYSTEM, "%s", unfit[i].why);
	}
	for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
		_cleanup_close_ int fd = root_open(root, passing[i].trace, O_RDONLY | O_NONBLOCK);

		if (fd >= 0 && !exists(root, passing[i].lasts))
			report_warn(rep, "%s", passing[i].warning);
	}
	return 0;
}
