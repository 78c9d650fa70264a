#include "conf/settings.h"

#include <criterion/criterion.h>
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
#include "conf/annotations.h"

static char path[] = "/tmp/reaper-conf-XXXXXX";

static void make_file(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	(void)close(fd);
}

static void remove_file(void)
{
	(void)unlink(path);
}

TestSuite(conf_settings, .init = make_file, .fini = remove_file);

static int load(const char *file, const char *variable, struct settings *s, struct err *err)
{
	char *env[] = {(char *)"PATH=/bin", (char *)(uintptr_t)variable, NULL};

	cr_assert_eq(file_replace_at(AT_FDCWD, path, file, strlen(file), 0600, err), 0);
	return settings_load(path, env, NULL, 0, s, err);
}

Test(conf_settings, has_defaults_that_say_so)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;
	char where[64];

	cr_assert_eq(settings_load("/nowhere", NULL, NULL, 0, &s, &err), 0, "%s", err.text);
	cr_assert_str_eq(s.overlay_base, "/run/reaper/overlay");
	cr_assert_eq(s.isolation, OVERLAY_NODE);
	cr_assert_eq(s.trust, OVERLAY_TRUST_SHARED);
	cr_assert_eq(s.mounts, MOUNTS_BY_SCOPE);
	cr_assert_null(s.overlay_name);
	cr_assert_eq(s.upper_size.percent, 10);
	cr_assert_eq(s.upper_inodes, 0);
	cr_assert_eq(s.n_run_paths, 7);
	cr_assert_str_eq(s.run_paths[0].path, "/run/systemd/resolve");
	cr_assert(!s.run_paths[0].writable);
	cr_assert_eq(s.host_namespaces, 0);
	cr_assert_eq(s.containerd_merge, CONTAINERD_MERGE_AUTO);
	cr_assert_eq(s.log_level, LOG_LEVEL_INFO);
	cr_assert_eq(s.exit_grace_ms, 0);
	cr_assert_null(s.warnings);
	for (int i = 0; i < _SETTING_MAX; i++) {
		_cleanup_free_ char *text = NULL;

		cr_assert_str_eq(
			settings_origin(&s, (enum setting_key)i, where, sizeof(where)), "default");
		cr_assert_eq(settings_value(&s, (enum setting_key)i, &text), 0);
		cr_expect_str_eq(text, setting_info((enum setting_key)i)->def);
		cr_assert(str_has_prefix(setting_info((enum setting_key)i)->name, "REAPER_"));
		cr_assert(str_has_suffix(setting_info((enum setting_key)i)->help, "."));
	}
}

Test(conf_settings, takes_values_of_every_key_and_writes_them_back)
{
	static const struct {
		const char *line;
		enum setting_key key;
		const char *value;
	} table[] = {
		{"REAPER_OVERLAY_BASE=/srv/reaper/overlay", SETTING_OVERLAY_BASE,
			"/srv/reaper/overlay"},
		{"REAPER_OVERLAY_ISOLATION=node", SETTING_OVERLAY_ISOLATION, "node"},
		{"REAPER_UPPER_SIZE=1G", SETTING_UPPER_SIZE, "1073741824"},
		{"REAPER_UPPER_SIZE=1MiB", SETTING_UPPER_SIZE, "1048576"},
		{"REAPER_UPPER_SIZE=90%", SETTING_UPPER_SIZE, "90%"},
		{"REAPER_UPPER_INODES=1024", SETTING_UPPER_INODES, "1024"},
		{"REAPER_UPPER_INODES=auto", SETTING_UPPER_INODES, "auto"},
		{"REAPER_RUN_PATHS=\"/run/a:ro, /run/b/c:rw\"", SETTING_RUN_PATHS,
			"/run/a /run/b/c:rw"},
		{"REAPER_RUN_PATHS=none", SETTING_RUN_PATHS, "none"},
		{"REAPER_SUBMOUNTS=/scratch=bind, ext*=omit /a=b/c=layer", SETTING_SUBMOUNTS,
			"/scratch=bind ext*=omit /a=b/c=layer"},
		{"REAPER_SUBMOUNTS=none", SETTING_SUBMOUNTS, "none"},
		{"REAPER_PASSTHROUGH=/srv/*/socket", SETTING_PASSTHROUGH, "/srv/*/socket"},
		{"REAPER_PASSTHROUGH=+/srv/a,/srv/b", SETTING_PASSTHROUGH,
			"/var/lib/sss/pipes /srv/a /srv/b"},
		{"REAPER_PASSTHROUGH=none", SETTING_PASSTHROUGH, "none"},
		{"REAPER_STALE=refuse", SETTING_STALE, "refuse"},
		{"REAPER_FILTER_ENABLED=0", SETTING_FILTER_ENABLED, "false"},
		{"REAPER_FILTER_MODE=replace", SETTING_FILTER_MODE, "replace"},
		{"REAPER_FILTER_PATHS=\"/a:/b/*/.c /d/,/e\"", SETTING_FILTER_PATHS,
			"/a:/b/*/.c:/d:/e"},
		{"REAPER_FILTER_PATHS=", SETTING_FILTER_PATHS, "none"},
		{"REAPER_FILTER_ALLOWLIST=/etc/sudoers", SETTING_FILTER_ALLOWLIST, "/etc/sudoers"},
		{"REAPER_HOST_NAMESPACES=net pid,pid", SETTING_HOST_NAMESPACES, "pid net"},
		{"REAPER_HOST_NAMESPACES=pid ipc uts net", SETTING_HOST_NAMESPACES,
			"pid ipc uts net"},
		{"REAPER_UPPER_BASE=/srv/uppers", SETTING_UPPER_BASE, "/srv/uppers"},
		{"REAPER_UPPER_BASE=none", SETTING_UPPER_BASE, "none"},
		{"REAPER_UPPER_BASE=auto", SETTING_UPPER_BASE, "auto"},
		{"REAPER_UPPER_BOOT=keep", SETTING_UPPER_BOOT, "keep"},
		{"REAPER_DNS_MODE=host", SETTING_DNS_MODE, "host"},
		{"REAPER_DNS_MODE=k8s", SETTING_DNS_MODE, "kubernetes"},
		{"REAPER_ANNOTATIONS_ENABLED=No", SETTING_ANNOTATIONS, "false"},
		{"REAPER_HOST_NAMESPACES=none", SETTING_HOST_NAMESPACES, "none"},
		{"REAPER_CONTAINERD_MERGE=no", SETTING_CONTAINERD_MERGE, "no"},
		{"REAPER_LOG_LEVEL=debug", SETTING_LOG_LEVEL, "debug"},
		{"REAPER_EXIT_GRACE=60", SETTING_EXIT_GRACE, "60000ms"},
		{"REAPER_EXIT_GRACE=1500ms", SETTING_EXIT_GRACE, "1500ms"},
		{"REAPER_EXIT_GRACE=2s", SETTING_EXIT_GRACE, "2000ms"},
		{"REAPER_EXIT_GRACE=0", SETTING_EXIT_GRACE, "0"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
		_cleanup_free_ char *text = NULL;
		struct err err = ERR_INIT;
		char where[128], expected[128];

		cr_assert_eq(load(table[i].line, NULL, &s, &err), 0, "%s", err.text);
		cr_assert_eq(settings_value(&s, table[i].key, &text), 0);
		cr_expect_str_eq(text, table[i].value);
		(void)snprintf(expected, sizeof(expected), "%s:1", path);
		cr_expect_str_eq(settings_origin(&s, table[i].key, where, sizeof(where)), expected);
	}
}

Test(conf_settings, names_key_value_and_what_is_allowed)
{
	static const struct {
		const char *assignment, *error; /* behind "FILE:2: " and "environment: " alike */
	} table[] = {
		{"REAPER_OVERLAY_BASE=run/x/y",
			"REAPER_OVERLAY_BASE: \"run/x/y\": must be an absolute path of at least "
			"three levels without . and .."},
		{"REAPER_OVERLAY_BASE=/run", "REAPER_OVERLAY_BASE: \"/run\": must be an absolute "
					     "path of at least three levels without . and .."},
		{"REAPER_OVERLAY_BASE=/a/../b/c",
			"REAPER_OVERLAY_BASE: \"/a/../b/c\": must be an absolute path of at least "
			"three levels without . and .."},
		{"REAPER_OVERLAY_BASE=/a/b/c/",
			"REAPER_OVERLAY_BASE: \"/a/b/c/\": must be an absolute path of at least "
			"three levels without . and .."},
		{"REAPER_OVERLAY_ISOLATION=",
			"REAPER_OVERLAY_ISOLATION: \"\": must be node, namespace or pod"},
		{"REAPER_OVERLAY_ISOLATION=Node",
			"REAPER_OVERLAY_ISOLATION: \"Node\": must be node, namespace or pod"},
		{"REAPER_OVERLAY_TRUST=none",
			"REAPER_OVERLAY_TRUST: \"none\": must be shared or separate"},
		{"REAPER_UPPER_SIZE=91%", "REAPER_UPPER_SIZE: \"91%\": must be bytes with K, M, G "
					  "or T (at least 1M), or 1% to 90% of the memory"},
		{"REAPER_UPPER_SIZE=0%", "REAPER_UPPER_SIZE: \"0%\": must be bytes with K, M, G or "
					 "T (at least 1M), or 1% to 90% of the memory"},
		{"REAPER_UPPER_SIZE=-1%", "REAPER_UPPER_SIZE: \"-1%\": must be bytes with K, M, G "
					  "or T (at least 1M), or 1% to 90% of the memory"},
		{"REAPER_UPPER_SIZE=%", "REAPER_UPPER_SIZE: \"%\": must be bytes with K, M, G or T "
					"(at least 1M), or 1% to 90% of the memory"},
		{"REAPER_UPPER_SIZE=1K", "REAPER_UPPER_SIZE: \"1K\": must be bytes with K, M, G or "
					 "T (at least 1M), or 1% to 90% of the memory"},
		{"REAPER_UPPER_SIZE=18446744073709551616",
			"REAPER_UPPER_SIZE: \"18446744073709551616\": must be bytes with K, M, G "
			"or T (at least 1M), or 1% to 90% of the memory"},
		{"REAPER_UPPER_INODES=1023",
			"REAPER_UPPER_INODES: \"1023\": must be auto, or 1024 to 1000000000"},
		{"REAPER_UPPER_INODES=1000000001",
			"REAPER_UPPER_INODES: \"1000000001\": must be auto, or 1024 to 1000000000"},
		{"REAPER_RUN_PATHS=",
			"REAPER_RUN_PATHS: \"\": must be none, or a list of paths below /run, each "
			"with :ro (default) or :rw; '+' in front adds the list to the default"},
		{"REAPER_RUN_PATHS=/run/a /var/run/b",
			"REAPER_RUN_PATHS: \"/run/a /var/run/b\": must be none, or a list of paths "
			"below /run, each with :ro (default) or :rw; '+' in front adds the list to "
			"the default"},
		{"REAPER_RUN_PATHS=/run/a/../b",
			"REAPER_RUN_PATHS: \"/run/a/../b\": must be none, or a list of paths below "
			"/run, each with :ro (default) or :rw; '+' in front adds the list to the "
			"default"},
		{"REAPER_RUN_PATHS=/run/", "REAPER_RUN_PATHS: \"/run/\": must be none, or a list "
					   "of paths below /run, each with :ro (default) or :rw; "
					   "'+' in front adds the list to the default"},
		{"REAPER_HOST_NAMESPACES=", "REAPER_HOST_NAMESPACES: \"\": must be none, or a list "
					    "of pid, ipc, uts and net"},
		{"REAPER_HOST_NAMESPACES=pid user", "REAPER_HOST_NAMESPACES: \"pid user\": must be "
						    "none, or a list of pid, ipc, uts and net"},
		{"REAPER_UPPER_BASE=srv", "REAPER_UPPER_BASE: \"srv\": must be auto, none, or "
					  "an absolute path of at least two "
					  "levels without . and .."},
		{"REAPER_UPPER_BOOT=yes", "REAPER_UPPER_BOOT: \"yes\": must be reset or keep"},
		{"REAPER_DNS_MODE=pod",
			"REAPER_DNS_MODE: \"pod\": must be kubernetes (or k8s), or host"},
		{"REAPER_ANNOTATIONS_ENABLED=2", "REAPER_ANNOTATIONS_ENABLED: \"2\": must be true "
						 "or false (also yes, no, on, "
						 "off, 1, 0)"},
		{"REAPER_CONTAINERD_MERGE=yes",
			"REAPER_CONTAINERD_MERGE: \"yes\": must be auto or no"},
		{"REAPER_LOG_LEVEL=7",
			"REAPER_LOG_LEVEL: \"7\": must be error, warn, info or debug"},
		{"REAPER_EXIT_GRACE=61", "REAPER_EXIT_GRACE: \"61\": must be a time in ms or s (a "
					 "bare number: seconds), at most 60s"},
		{"REAPER_EXIT_GRACE=1m", "REAPER_EXIT_GRACE: \"1m\": must be a time in ms or s (a "
					 "bare number: seconds), at most 60s"},
		{"REAPER_EXIT_GRACE=", "REAPER_EXIT_GRACE: \"\": must be a time in ms or s (a bare "
				       "number: seconds), at most 60s"},
		{"REAPER_EXIT_GRACE=99999999999999999999",
			"REAPER_EXIT_GRACE: \"99999999999999999999\": must be a time in ms or s (a "
			"bare number: seconds), at most 60s"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct settings s = SETTINGS_INIT;
		struct err err = ERR_INIT;
		char text[512];

		(void)snprintf(text, sizeof(text), "# first\n%s\n", table[i].assignment);
		cr_expect_lt(load(text, NULL, &s, &err), 0, "%s", text);
		(void)snprintf(text, sizeof(text), "%s:2: %s", path, table[i].error);
		cr_expect_str_eq(err.text, text);
		cr_expect_lt(load("", table[i].assignment, &s, &err), 0);
		(void)snprintf(text, sizeof(text), "environment: %s", table[i].error);
		cr_expect_str_eq(err.text, text);
		cr_expect_null(s.overlay_base);
		cr_expect_eq(err.kind,
			strstr(table[i].error, "this version") ? ERR_UNIMPLEMENTED : ERR_INVALID);
	}
}

Test(conf_settings, lets_the_environment_win_over_the_file)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;
	char where[64];

	cr_assert_eq(load("REAPER_LOG_LEVEL=warn\nREAPER_EXIT_GRACE=3s\n", "REAPER_LOG_LEVEL=debug",
			     &s, &err),
		0);
	cr_assert_eq(s.log_level, LOG_LEVEL_DEBUG);
	cr_assert_eq(s.exit_grace_ms, 3000);
	cr_assert_str_eq(
		settings_origin(&s, SETTING_LOG_LEVEL, where, sizeof(where)), "environment");
}

Test(conf_settings, refuses_a_bad_file_even_when_the_environment_overrides_it)
{
	struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;

	cr_assert_lt(load("REAPER_LOG_LEVEL=loud\n", "REAPER_LOG_LEVEL=debug", &s, &err), 0);
}

Test(conf_settings, warns_of_unknown_keys_with_their_line)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;
	char expected[128];

	cr_assert_eq(load("\nREAPER_UPER_SIZE=1G\nREAPER_LOG_LEVEL=warn\nX=\n", "REAPER_UNKNOWN=1",
			     &s, &err),
		0);
	cr_assert_eq(strv_len(s.warnings), 2);
	(void)snprintf(
		expected, sizeof(expected), "%s:2: REAPER_UPER_SIZE: unknown key, ignoring", path);
	cr_assert_str_eq(s.warnings[0], expected);
	cr_assert_eq(s.log_level, LOG_LEVEL_WARN);
}

Test(conf_settings, adds_run_paths_to_the_default_with_a_plus)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(load("REAPER_RUN_PATHS='+/run/slurm /run/x:rw'\n", NULL, &s, &err), 0);
	cr_assert_eq(s.n_run_paths, 9);
	cr_assert_str_eq(s.run_paths[7].path, "/run/slurm");
	cr_assert_str_eq(s.run_paths[8].path, "/run/x");
	cr_assert(s.run_paths[8].writable);
}

Test(conf_settings, works_out_sizes_in_bytes)
{
	static const struct {
		struct setting_size size;
		uint64_t memory, bytes;
	} table[] = {
		{{.percent = 10}, 1000ULL << 20, 100ULL << 20},
		{{.percent = 10}, 1000, 1 << 20},
		{{.percent = 90}, UINT64_MAX, UINT64_MAX / 100 * 90},
		{{.bytes = 5 << 20}, 1, 5 << 20},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		cr_expect_eq(setting_size_bytes(&table[i].size, table[i].memory), table[i].bytes);
}

static int load_annotated(const char *key, const char *value, struct settings *s, struct err *err)
{
	const struct json_pair pairs[] = {
		{(char *)"io.kubernetes.cri.sandbox-id", (char *)"x"},
		{(char *)(uintptr_t)key, (char *)(uintptr_t)value},
	};
	static const char file[] = "REAPER_EXIT_GRACE=10s\n";

	cr_assert_eq(file_replace_at(AT_FDCWD, path, file, strlen(file), 0600, err), 0);
	return settings_load(path, NULL, pairs, ARRAY_LEN(pairs), s, err);
}

Test(conf_settings, lets_an_annotation_narrow_and_not_widen)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct settings none = SETTINGS_INIT;
	struct err err = ERR_INIT;
	char where[32];

	cr_assert_eq(load_annotated("reaper.runtime/exit-grace", "500ms", &s, &err), 0);
	cr_assert_eq(s.exit_grace_ms, 500);
	cr_assert_str_eq(
		settings_origin(&s, SETTING_EXIT_GRACE, where, sizeof(where)), "annotation");
	cr_assert_lt(load_annotated("reaper.runtime/exit-grace", "11s", &none, &err), 0);
	cr_assert_str_eq(err.text, "annotation reaper.runtime/exit-grace: \"11s\": longer than the "
				   "node's REAPER_EXIT_GRACE allows");
	cr_assert_lt(load_annotated("reaper.runtime/exit-grace", "soon", &none, &err), 0);
	cr_assert_str_eq(err.text,
		"annotation reaper.runtime/exit-grace: \"soon\": must be a time in ms or s (a bare "
		"number: seconds), at most the node's REAPER_EXIT_GRACE");
	cr_assert_lt(load_annotated("reaper.runtime/exit-grace", "1\n2", &none, &err), 0);
	cr_assert_str_eq(err.text,
		"annotation reaper.runtime/exit-grace: a control character is in the value");
}

Test(conf_settings, takes_names_of_users_and_nothing_else)
{
	static const char *const good[] = {
		"alice", "a.b-c_d", "DOMAIN\\alice", "alice@example.org", "j\xc3\xb6rg", "x86$"};
	static const char *const bad[] = {
		"", "1000", "-alice", "+1000", "a b", "a:b", "a/b", "a,b", "alice\n"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(load_annotated("reaper.runtime/user", good[i], &s, &err), 0, "%s",
			err.text);
		cr_expect_str_eq(s.user, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct settings s = SETTINGS_INIT;
		struct err err = ERR_INIT;

		cr_expect_eq(load_annotated("reaper.runtime/user", bad[i], &s, &err), -EINVAL,
			"\"%s\"", bad[i]);
	}
}

Test(conf_settings, refuses_annotations_that_it_does_not_know_or_not_yet)
{
	struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;

	cr_assert_lt(load_annotated("reaper.runtime/exit-grase", "1", &s, &err), 0);
	cr_assert_str_eq(err.text, "annotation reaper.runtime/exit-grase: unknown: remove it, or "
				   "look for a spelling mistake");
	cr_assert_eq(err.kind, ERR_INVALID);
	cr_assert_lt(load_annotated("reaper.runtime/dns-mode", "pod", &s, &err), 0);
	cr_assert_str_eq(err.text,
		"annotation reaper.runtime/dns-mode: \"pod\": must be kubernetes "
		"(or k8s), or host");
	cr_assert_null(s.overlay_base);
	for (size_t i = 0; conf_annotation_info(i); i++)
		cr_assert(str_has_prefix(conf_annotation_info(i)->name, CONF_ANNOTATION_PREFIX));
}

Test(conf_settings, refuses_annotations_where_the_node_takes_none)
{
	const struct json_pair pairs[] = {{(char *)"other/x", (char *)"1"},
		{(char *)"reaper.runtime/dns-mode", (char *)"host"}};
	static const char file[] = "\nREAPER_ANNOTATIONS_ENABLED=off\n";
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;
	char expected[256];

	cr_assert_eq(file_replace_at(AT_FDCWD, path, file, strlen(file), 0600, &err), 0);
	cr_assert_eq(settings_load(path, NULL, pairs, 1, &s, &err), 0, "%s", err.text);
	settings_done(&s);
	cr_assert_eq(settings_load(path, NULL, pairs, 2, &s, &err), -EPERM);
	(void)snprintf(expected, sizeof(expected),
		"annotation reaper.runtime/dns-mode: this node takes no annotations "
		"(REAPER_ANNOTATIONS_ENABLED, %s:2): remove it",
		path);
	cr_assert_str_eq(err.text, expected);
}

Test(conf_settings, lets_a_pod_choose_its_resolver)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(s.dns_mode, DNS_KUBERNETES);
	cr_assert_eq(load_annotated("reaper.runtime/dns-mode", "host", &s, &err), 0);
	cr_assert_eq(s.dns_mode, DNS_HOST);
	settings_done(&s);
	cr_assert_eq(load_annotated("reaper.runtime/dns-mode", "k8s", &s, &err), 0);
	cr_assert_eq(s.dns_mode, DNS_KUBERNETES);
}

/* The reaper.conf of the version in Rust, as its Helm chart writes it and its documents describe.
 */
Test(conf_settings, says_what_became_of_keys_of_the_former_version)
{
	static const char file[] = "# /etc/reaper/reaper.conf\n"
				   "REAPER_DNS_MODE=kubernetes\n"
				   "REAPER_RUNTIME_LOG=/run/reaper/runtime.log\n"
				   "REAPER_OVERLAY_BASE=/run/reaper/overlay\n"
				   "REAPER_OVERLAY_ISOLATION=namespace\n"
				   "REAPER_SHIM_LOG=/run/reaper/shim.log\n";
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct settings none = SETTINGS_INIT;
	struct err err = ERR_INIT;
	char expected[256];

	cr_assert_eq(
		load(file, "REAPER_CONFIG=/etc/reaper/reaper.conf", &s, &err), 0, "%s", err.text);
	cr_assert_eq(s.isolation, OVERLAY_NAMESPACE);
	cr_assert_eq(strv_len(s.warnings), 2);
	(void)snprintf(expected, sizeof(expected),
		"%s:3: REAPER_RUNTIME_LOG: without effect in this version: what the runtime says "
		"is "
		"in containerd's log",
		path);
	cr_assert_str_eq(s.warnings[0], expected);
	cr_assert_eq(load("", "REAPER_CONFIG=/srv/reaper.conf", &none, &err), -EOPNOTSUPP);
	cr_assert_str_eq(err.text,
		"environment: REAPER_CONFIG: \"/srv/reaper.conf\": not in this version: the "
		"settings "
		"are in /etc/reaper/reaper.conf: put them there, or make that a symbolic link");
	cr_assert_eq(load("REAPER_NO_OVERLAY=1\n", NULL, &none, &err), -EOPNOTSUPP);
	(void)snprintf(expected, sizeof(expected),
		"%s:1: REAPER_NO_OVERLAY: \"1\": not in this version: workloads never write to the "
		"host: remove it",
		path);
	cr_assert_str_eq(err.text, expected);
}

Test(conf_settings, leaves_other_annotations_alone)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(load_annotated("reaper.runtimes/x", "1", &s, &err), 0);
	settings_done(&s);
	settings_done(NULL);
}

Test(conf_settings, rules_that_nobody_can_mean_are_refused)
{
	static const char *const lines[] = {
		"REAPER_SUBMOUNTS=",
		"REAPER_SUBMOUNTS=/scratch",
		"REAPER_SUBMOUNTS=/scratch=show",
		"REAPER_SUBMOUNTS=scratch/a=bind",
		"REAPER_SUBMOUNTS=*ext4=bind",
		"REAPER_SUBMOUNTS=/=bind",
		"REAPER_SUBMOUNTS=/run/user=bind",
		"REAPER_SUBMOUNTS=/proc=omit",
		"REAPER_SUBMOUNTS=/a/../b=omit",
		"REAPER_PASSTHROUGH=",
		"REAPER_PASSTHROUGH=+",
		"REAPER_PASSTHROUGH=/var",
		"REAPER_PASSTHROUGH=/run/*.sock",
		"REAPER_PASSTHROUGH=var/lib/sss",
		"REAPER_STALE=never",
		"REAPER_FILTER_MODE=prepend",
		"REAPER_FILTER_PATHS=etc/shadow",
		"REAPER_FILTER_PATHS=/etc/../root",
		"REAPER_FILTER_ALLOWLIST=/",
		"REAPER_FILTER_ENABLED=perhaps",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct settings s = SETTINGS_INIT;
		struct err err = ERR_INIT;

		cr_expect_eq(load(lines[i], NULL, &s, &err), -EINVAL, "%s", lines[i]);
		cr_expect(strstr(err.text, ": must be ") != NULL, "%s", err.text);
	}
}
