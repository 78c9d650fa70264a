/* config.json files that containerd 1.6.20 (and 2.1.9: …21…) wrote: by its CRI plugin and by ctr
 * (tests/data/oci). */
#include "oci/spec.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/annotations.h"

#define SAMPLES TEST_DATA_DIR "/oci"

static char *read_sample(const char *name, size_t *ret_len)
{
	char path[256], *text = NULL;

	(void)snprintf(path, sizeof(path), SAMPLES "/%s.json", name);
	cr_assert_eq(
		file_read_at(AT_FDCWD, path, OCI_CONFIG_MAX, &text, ret_len, NULL), 0, "%s", path);
	return text;
}

static void parse_sample(const char *name, struct oci_spec *spec)
{
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	size_t len;

	text = read_sample(name, &len);
	cr_assert_eq(oci_spec_parse(text, len, spec, &err), 0, "%s: %s", name, err.text);
	cr_assert_eq(oci_spec_check(spec, &err), 0, "%s: %s", name, err.text);
}

Test(oci_spec_samples, ctr_run_is_read_whole)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;

	parse_sample("ctr-plain", &s);
	cr_assert_str_eq(s.version, "1.0.2-dev");
	cr_assert_eq(strv_len(s.process.args), 3);
	cr_assert_str_eq(s.process.args[2], "exit 7");
	cr_assert_null(s.process.env);
	cr_assert_str_eq(s.process.cwd, "/");
	cr_assert(!s.process.terminal && s.process.no_new_privileges);
	cr_assert(s.process.has_capabilities);
	cr_assert_eq(strv_len(s.process.caps[OCI_CAP_BOUNDING]), 14);
	cr_assert_null(s.process.caps[OCI_CAP_AMBIENT]);
	cr_assert_eq(s.process.n_rlimits, 1);
	cr_assert_str_eq(s.process.rlimits[0].type, "RLIMIT_NOFILE");
	cr_assert_eq(s.process.rlimits[0].soft, 1024);
	cr_assert(!s.process.has_oom_score_adj);
	cr_assert(s.has_root && !s.root_readonly);
	cr_assert_str_eq(s.cgroups_path, "/default/data-plain");
	cr_assert_eq(oci_container_type(&s.annotations), OCI_TYPE_PLAIN);
	cr_assert_not_null(oci_spec_namespace(&s, OCI_NS_NETWORK));
	cr_assert_null(oci_spec_namespace(&s, OCI_NS_NETWORK)->path);
	cr_assert_null(oci_spec_namespace(&s, OCI_NS_CGROUP));
	cr_assert_null(oci_spec_namespace(&s, OCI_NS_USER));
	cr_assert_null(s.seccomp_json);
	cr_assert_eq(s.n_mounts, 7);
	cr_assert_str_eq(s.mounts[6].destination, "/run");
	cr_assert_eq(strv_len(s.masked_paths), 10);
	cr_assert_eq(strv_len(s.readonly_paths), 5);
}

Test(oci_spec_samples, ctr_run_with_everything_is_read_whole)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	const struct oci_mount *m;

	parse_sample("ctr-full", &s);
	cr_assert_str_eq(s.process.cwd, "/srv");
	cr_assert_str_eq(strv_env_get(s.process.env, "A"), "b");
	cr_assert(!s.process.no_new_privileges);
	cr_assert_null(oci_spec_namespace(&s, OCI_NS_NETWORK));
	cr_assert_str_eq(oci_spec_namespace(&s, OCI_NS_PID)->path, "/proc/1/ns/pid");
	m = &s.mounts[s.n_mounts - 1];
	cr_assert_str_eq(m->destination, "/etc/resolv.conf");
	for (m = s.mounts; !str_eq(m->destination, "/data"); m++)
		;
	cr_assert_str_eq(m->type, "bind");
	cr_assert_str_eq(m->options[0], "rbind");
	cr_assert_str_eq(m->options[1], "ro");
	cr_assert_str_eq(s.cgroups_path, "custom/x");
	cr_assert_eq(s.resources.memory_limit.v, 67108864);
	cr_assert_eq(s.resources.cpu_quota.v, 50000);
	cr_assert_eq(s.resources.cpu_period.v, 100000);
	cr_assert_str_eq(oci_annotation_get(&s.annotations, "k"), "v");
	cr_assert_gt(s.n_devices, 0);
}

Test(oci_spec_samples, a_pod_s_sandbox_is_read_whole)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	const char *group = NULL;

	parse_sample("cri-pod-sandbox", &s);
	cr_assert_eq(oci_container_type(&s.annotations), OCI_TYPE_SANDBOX);
	cr_assert_eq(oci_group_key(&s.annotations, "own", &group, NULL), 0);
	cr_assert_str_eq(group, oci_annotation_get(&s.annotations, OCI_ANNOTATION_SANDBOX_ID));
	cr_assert_eq(strlen(group), 64);
	cr_assert_str_eq(s.hostname, "web");
	cr_assert(s.process.has_oom_score_adj);
	cr_assert_eq(s.process.oom_score_adj, -998);
	cr_assert(s.root_readonly);
	cr_assert_eq(s.n_sysctl, 1);
	cr_assert_str_eq(s.sysctl[0].key, "net.ipv4.ip_forward");
	cr_assert(str_has_prefix(
		oci_spec_namespace(&s, OCI_NS_NETWORK)->path, "/var/run/netns/cni-"));
	cr_assert_null(oci_spec_namespace(&s, OCI_NS_PID)->path);
	cr_assert(str_has_prefix(s.seccomp_json, "{\"defaultAction\":\"SCMP_ACT_ERRNO\""));
	cr_assert_eq(s.resources.cpu_shares.v, 2);
	cr_assert_str_eq(oci_annotation_get(&s.annotations, "reaper.runtime/exit-grace"), "1s");
	cr_assert_null(oci_annotation_get(&s.annotations, "other/x"));
}

Test(oci_spec_samples, a_pod_s_container_is_read_whole)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	const struct oci_resources *r = &s.resources;

	parse_sample("cri-pod-full", &s);
	cr_assert_eq(oci_container_type(&s.annotations), OCI_TYPE_CONTAINER);
	cr_assert(s.process.terminal && s.process.no_new_privileges && s.root_readonly);
	cr_assert_str_eq(s.process.args[1], "é");
	cr_assert_str_eq(strv_env_get(s.process.env, "HOSTNAME"), "web");
	cr_assert_eq(s.process.uid, 1000);
	cr_assert_eq(s.process.gid, 3000);
	cr_assert_eq(s.process.n_additional_gids, 3);
	cr_assert_eq(s.process.additional_gids[1], 2001);
	cr_assert(!s.process.has_umask);
	cr_assert_eq(s.process.oom_score_adj, 999);
	cr_assert_eq(s.process.n_rlimits, 0);
	cr_assert(str_has_prefix(oci_spec_namespace(&s, OCI_NS_NETWORK)->path, "/proc/"));
	cr_assert_str_eq(s.rootfs_propagation, "rslave");
	cr_assert_eq(r->n_devices, 2);
	cr_assert(!r->devices[0].allow && r->devices[0].type == 'a');
	cr_assert_eq(r->devices[0].major, -1);
	cr_assert_str_eq(r->devices[0].access, "rwm");
	cr_assert(r->devices[1].allow && r->devices[1].type == 'c');
	cr_assert_eq(r->devices[1].minor, 3);
	cr_assert_str_eq(r->devices[1].access, "rw");
	cr_assert_eq(r->memory_limit.v, 134217728);
	cr_assert_eq(r->memory_swap.v, 134217728);
	cr_assert(!r->memory_reservation.set);
	cr_assert_eq(r->cpu_shares.v, 512);
	cr_assert_str_eq(r->cpu_cpus, "0-1");
	cr_assert_str_eq(r->cpu_mems, "0");
	cr_assert_eq(s.n_devices, 1);
	cr_assert_str_eq(s.devices[0].path, "/dev/fuse0");
	cr_assert_eq(s.devices[0].major, 1);
	cr_assert(s.devices[0].has_mode);
	cr_assert_eq(s.devices[0].mode, 0666);
}

Test(oci_spec_samples, a_privileged_host_container_is_read_whole)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;

	parse_sample("cri-host-privileged", &s);
	cr_assert(str_has_prefix(s.cgroups_path, "kubepods-besteffort-pod"));
	cr_assert(strstr(s.cgroups_path, ".slice:cri-containerd:"));
	cr_assert_str_eq(s.rootfs_propagation, "rshared");
	cr_assert_eq(s.resources.n_devices, 1);
	cr_assert(s.resources.devices[0].allow);
	cr_assert_null(s.masked_paths);
	cr_assert_gt(s.n_devices, 20);
	cr_assert_eq(s.process.oom_score_adj, -997);
}

Test(oci_spec_samples, a_host_network_sandbox_has_only_a_mount_namespace)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;

	parse_sample("cri-host-sandbox", &s);
	for (int i = 0; i < _OCI_NS_MAX; i++)
		cr_assert_eq(oci_spec_namespace(&s, (enum oci_namespace_type)i) != NULL,
			i == OCI_NS_MOUNT);
	cr_assert_null(s.hostname);
}

Test(oci_spec_samples, a_shared_pid_namespace_is_joined_by_path)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;

	parse_sample("cri-sharedpid-plain", &s);
	cr_assert(str_has_suffix(oci_spec_namespace(&s, OCI_NS_PID)->path, "/ns/pid"));
}

Test(oci_spec_samples, what_containerd_2_1_writes_is_read_whole)
{
	_cleanup_(oci_spec_done) struct oci_spec sandbox = OCI_SPEC_INIT, c = OCI_SPEC_INIT;
	_cleanup_(oci_spec_done) struct oci_spec plain = OCI_SPEC_INIT, full = OCI_SPEC_INIT;

	parse_sample("cri21-pod-sandbox", &sandbox);
	cr_assert_str_eq(sandbox.version, "1.2.1");
	cr_assert_eq(oci_container_type(&sandbox.annotations), OCI_TYPE_SANDBOX);
	cr_assert_str_eq(json_pairs_get(sandbox.sysctl, sandbox.n_sysctl,
				 "net.ipv4.ip_unprivileged_port_start"),
		"0");
	parse_sample("cri21-pod-container", &c);
	cr_assert_eq(oci_container_type(&c.annotations), OCI_TYPE_CONTAINER);
	cr_assert_not_null(oci_spec_namespace(&c, OCI_NS_CGROUP));
	cr_assert_null(oci_spec_namespace(&c, OCI_NS_CGROUP)->path);
	cr_assert_str_eq(json_pairs_get(c.resources.unified, c.resources.n_unified, "memory.high"),
		"100000000");
	cr_assert_not_null(c.seccomp_json);
	parse_sample("ctr21-plain", &plain);
	cr_assert_eq(plain.resources.cpu_shares.v, 1024);
	parse_sample("ctr21-full", &full);
	cr_assert_str_eq(full.hostname, "h");
	cr_assert_eq(full.process.uid, 1000);
}

Test(oci_spec_samples, an_exec_process_is_read)
{
	_cleanup_(oci_process_done) struct oci_process p = OCI_PROCESS_INIT;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	size_t len;

	text = read_sample("process-exec", &len);
	cr_assert_eq(oci_process_parse(text, len, &p, &err), 0, "%s", err.text);
	cr_assert_str_eq(p.args[0], "/bin/id");
	cr_assert_eq(p.uid, 1000);
	cr_assert_eq(p.oom_score_adj, 999);
}

/* Every sample, cut at every byte, is an error with a text and leaves nothing behind. */
Test(oci_spec_samples, a_cut_file_is_refused_wherever_it_is_cut)
{
	static const char *const names[] = {"ctr-plain", "cri-pod-full"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *text = NULL;
		size_t len;

		text = read_sample(names[i], &len);
		for (size_t cut = 0; cut + 2 < len; cut += cut < 2000 ? 1 : 13) {
			struct oci_spec s = OCI_SPEC_INIT;
			struct err err = ERR_INIT;

			cr_assert_lt(oci_spec_parse(text, cut, &s, &err), 0);
			cr_assert(strstr(err.text, "the text ends in the middle") ||
					  strstr(err.text, "not JSON: invalid UTF-8"),
				"%s", err.text);
			cr_assert_null(s.version);
		}
	}
}

/* Any byte replaced by another: an answer, never a wrong access (under the sanitizers). */
Test(oci_spec_samples, a_damaged_file_never_does_harm)
{
	static const char bytes[] = "{}[]\",:-0e9\\x\xff";
	_cleanup_free_ char *text = NULL;
	unsigned accepted = 0, refused = 0;
	size_t len;

	text = read_sample("cri-pod-full", &len);
	for (size_t at = 0; at < len; at += 3) {
		struct oci_spec s = OCI_SPEC_INIT;
		struct err err = ERR_INIT;
		char old = text[at];

		text[at] = bytes[at % (sizeof(bytes) - 1)];
		if (oci_spec_parse(text, len, &s, &err) < 0) {
			cr_assert_neq(err.text[0], '\0');
			refused++;
		} else {
			(void)oci_spec_check(&s, &err);
			accepted++;
		}
		oci_spec_done(&s);
		text[at] = old;
	}
	cr_assert(accepted > 0 && refused > 0);
}
