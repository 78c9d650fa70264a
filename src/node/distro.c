#include "node/distro.h"

#include <stddef.h>
#include "base/macro.h"
#include "base/str.h"

/* Facts and sources: docs/CONFIG-MERGE.md, "Generated files". */
static const struct distro distros[] = {
	{"k3s", "/var/lib/rancher/k3s/", "/var/lib/rancher/k3s/",
		"/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl (containerd 2) or "
		"config.toml.tmpl (1.7)"},
	{"RKE2", "/var/lib/rancher/rke2/", "/var/lib/rancher/rke2/",
		"/var/lib/rancher/rke2/agent/etc/containerd/config-v3.toml.tmpl (containerd 2) or "
		"config.toml.tmpl (1.7)"},
	{"microk8s", "/var/snap/microk8s/", "/snap/microk8s/",
		"/var/snap/microk8s/current/args/containerd-template.toml"},
	{"k0s", "/etc/k0s/", "/var/lib/k0s/", "a file of its own in /etc/k0s/containerd.d/"},
	{"Bottlerocket", "/etc/containerd-bottlerocket/", "/x86_64-bottlerocket-linux-gnu/",
		"nothing: its root file system cannot be written"},
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

const struct distro *distro_of(const struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_LEN(distros); i++) {
		if (below(d->config, "", distros[i].config_prefix) ||
			below(d->program, d->root, distros[i].program_prefix))
			return &distros[i];
	}
	return NULL;
}
