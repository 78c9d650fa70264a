#include "mask/rules.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>
#include "base/glob.h"
#include "base/str.h"

/*
 * Names that programs make later (a kubeconfig that the cluster's network writes after the first
 * pod) stand here as plain names too: these are hidden also before they are there, globs are not.
 */
const char *const mask_default_paths[] = {
	/* accounts; shadow and gshadow appear with locked hashes (mask/shadow.h) */
	"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd",
	"/var/backups/shadow.bak", "/var/backups/gshadow.bak", "/etc/sudoers", "/etc/sudoers.d",
	/* keys of the host */
	"/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key",
	"/etc/ssh/ssh_host_dsa_key", "/etc/ssh/ssh_host_*_key", "/etc/ssl/private",
	"/etc/pki/tls/private", "/etc/letsencrypt", "/etc/wireguard",
	"/etc/NetworkManager/system-connections", "/etc/wpa_supplicant", "/var/lib/iwd",
	"/etc/ipsec.secrets", "/etc/swanctl/private", "/etc/ppp/chap-secrets",
	"/etc/ppp/pap-secrets", "/var/lib/systemd/credential.secret", "/etc/credstore",
	"/etc/credstore.encrypted", "/var/lib/tailscale",
	/* the site's identity services */
	"/etc/munge", "/etc/krb5.keytab", "/var/lib/sss", "/etc/sssd", "/etc/ldap.secret",
	"/etc/pam_ldap.secret", "/etc/nslcd.conf", "/var/lib/samba/private",
	"/var/kerberos/krb5kdc",
	/* the cluster and the other pods */
	"/etc/kubernetes", "/etc/cni/net.d/*kubeconfig*", "/etc/cni/net.d/calico-kubeconfig",
	"/etc/cni/net.d/multus.d", "/etc/containerd/certs.d", "/etc/docker/key.json",
	"/var/lib/cloud", "/var/lib/kubelet", "/var/lib/etcd", "/var/log/reaper", "/var/log/pods",
	"/var/log/containers", "/var/log/cloud-init.log", "/var/log/cloud-init-output.log",
	"/var/lib/containerd", "/var/lib/docker", "/var/lib/containers", "/var/lib/crio",
	"/etc/rancher", "/var/lib/rancher", "/etc/k0s", "/var/lib/k0s", "/var/snap/microk8s",
	"/var/snap/k8s", "/run/containerd", "/run/docker.sock", "/run/docker", "/run/crio",
	"/run/podman", "/run/reaper",
	/* people's credentials */
	"/root/.ssh", "/root/.aws", "/root/.azure", "/root/.kube", "/root/.docker",
	"/root/.config/gcloud", "/root/.config/containers/auth.json", "/root/.gnupg",
	"/root/.netrc", "/root/.git-credentials", "/root/.vault-token", "/home/*/.ssh",
	"/home/*/.aws", "/home/*/.azure", "/home/*/.kube", "/home/*/.docker",
	"/home/*/.config/gcloud", "/home/*/.config/containers/auth.json", "/home/*/.gnupg",
	"/home/*/.netrc", "/home/*/.git-credentials", "/home/*/.vault-token", NULL};

/* NSS and PAM of the pods ask the host's sssd through these; what commands it stays hidden. */
const char *const mask_default_allow[] = {"/var/lib/sss/pipes", NULL};

bool mask_is_glob(const char *pattern)
{
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (strchr("*?[", *p))
			return true;
	}
	return false;
}

/* The first `parts` parts of `path`: "/a/b/c", 2 → "/a/b"; NULL if it has fewer. */
static const char *first_parts(const char *path, unsigned parts, char buf[PATH_MAX])
{
	const char *p = path;

	for (unsigned i = 0; i < parts; i++) {
		if (*p != '/')
			return NULL;
		p += 1 + strcspn(p + 1, "/");
	}
	if (p - path >= PATH_MAX)
		return NULL;
	memcpy(buf, path, (size_t)(p - path));
	buf[p - path] = '\0';
	return buf;
}

static unsigned count_parts(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += *path == '/' && path[1];
	return n;
}

bool mask_matches(const char *pattern, const char *name)
{
	char go[PATH_MAX]; /* as base/glob.h has it: there '^' alone negates a class */
	size_t len = strlen(pattern);

	if (str_eq(pattern, name)) /* also one that is no pattern: a '[' without its ']' */
		return true;
	if (len >= sizeof(go))
		return false;
	memcpy(go, pattern, len + 1);
	for (char *p = go; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '[' && p[1] == '!')
			p[1] = '^';
	}
	return glob_match(go, name);
}

/* Cuts the next part off: "/a/b" leaves "/b" and gives "a". False: there is none, or it is too
 * long. */
static bool next_part(const char **path, char part[PATH_MAX])
{
	size_t len;

	if (**path != '/')
		return false;
	len = strcspn(*path + 1, "/");
	if (len >= PATH_MAX)
		return false;
	memcpy(part, *path + 1, len);
	part[len] = '\0';
	*path += 1 + len;
	return true;
}

/* Part by part. */
static bool matches_path(const char *pattern, const char *path)
{
	char a[PATH_MAX], b[PATH_MAX];

	while (*pattern && *path) {
		if (!next_part(&pattern, a) || !next_part(&path, b) || !mask_matches(a, b))
			return false;
	}
	return !*pattern && !*path;
}

/* Whether the pattern matches the path or a directory above it. */
static bool covers(const char *pattern, const char *path)
{
	char buf[PATH_MAX];
	const char *top = first_parts(path, count_parts(pattern), buf);

	return top && matches_path(pattern, top);
}

/* Whether the pattern can match something strictly below the path. */
static bool reaches_below(const char *pattern, const char *path)
{
	unsigned parts = count_parts(path);
	char buf[PATH_MAX];
	const char *top = count_parts(pattern) > parts ? first_parts(pattern, parts, buf) : NULL;

	return top && matches_path(top, path);
}

static bool listed(char *const *list, const char *text)
{
	for (; list && *list; list++) {
		if (str_eq(*list, text))
			return true;
	}
	return false;
}

int mask_rules_each(const struct mask_rules *rules,
	int (*fn)(void *arg, const char *pattern, bool custom), void *arg)
{
	int r = 0;

	if (rules->off)
		return 0;
	if (rules->uppers)
		r = fn(arg, rules->uppers, false);
	for (size_t i = 0; !rules->replace && mask_default_paths[i] && r == 0; i++) {
		if (!listed(rules->allow, mask_default_paths[i]))
			r = fn(arg, mask_default_paths[i], false);
	}
	for (size_t i = 0; rules->paths && rules->paths[i] && r == 0; i++) {
		if (!listed(rules->allow, rules->paths[i]))
			r = fn(arg, rules->paths[i], true);
	}
	return r;
}

static bool any(
	const struct mask_rules *rules, bool (*match)(const char *, const char *), const char *path)
{
	for (size_t i = 0; !rules->replace && mask_default_allow[i]; i++) {
		if (match(mask_default_allow[i], path))
			return true;
	}
	for (size_t i = 0; rules->allow && rules->allow[i]; i++) {
		if (match(rules->allow[i], path))
			return true;
	}
	return false;
}

bool mask_rules_allow(const struct mask_rules *rules, const char *path)
{
	return any(rules, covers, path);
}

bool mask_rules_allow_below(const struct mask_rules *rules, const char *path)
{
	return any(rules, reaches_below, path);
}

static int match_one(void *arg, const char *pattern, bool custom UNUSED)
{
	return covers(pattern, arg) ? 1 : 0;
}

bool mask_rules_hide(const struct mask_rules *rules, const char *path)
{
	char copy[PATH_MAX];

	if (strlen(path) >= sizeof(copy))
		return true; /* no such path can be opened either */
	memcpy(copy, path, strlen(path) + 1);
	return mask_rules_each(rules, match_one, copy) > 0 && !mask_rules_allow(rules, path);
}
