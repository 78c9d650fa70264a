#include "node/daemon.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/sha256.h"
#include "base/str.h"
#include "node/child.h"
#include "node/distro.h"
#include "node/grpc.h"
#include "node/image.h"
#include "node/report.h"

Test(node_daemon, reads_the_versions_of_every_vendor)
{
	static const struct {
		const char *line;
		unsigned major, minor, patch; /* major 0: refused */
		unsigned max;
	} lines[] = {
		{"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n", 1,
			6, 20, 2},
		{"containerd github.com/containerd/containerd 1.7.24~ds1 x", 1, 7, 24, 2},
		{"containerd github.com/containerd/containerd/v2 2.1.9+unknown \n", 2, 1, 9, 3},
		{"containerd github.com/containerd/containerd/v2 v2.3.1 0123abc\n", 2, 3, 1, 4},
		{"containerd containerd.io 1.7.27 05044ec\n", 1, 7, 27, 2},
		{"containerd github.com/containerd/containerd v1.7.15-k3s1\n", 1, 7, 15, 2},
		{"containerd x\n", 0, 0, 0, 0},
		{"containerd x unknown\n", 0, 0, 0, 0},
		{"", 0, 0, 0, 0},
		{"containerd x 99999999999999999999.1\n", 0, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct daemon d = DAEMON_INIT;

		if (lines[i].major == 0) {
			cr_expect_eq(daemon_parse_version(lines[i].line, &d), -EINVAL, "%s",
				lines[i].line);
			continue;
		}
		cr_expect_eq(daemon_parse_version(lines[i].line, &d), 0, "%s", lines[i].line);
		cr_expect(daemon_at_least(&d, lines[i].major, lines[i].minor, lines[i].patch));
		cr_expect_not(
			daemon_at_least(&d, lines[i].major, lines[i].minor, lines[i].patch + 1));
		cr_expect_eq(daemon_max_config_version(&d), lines[i].max);
	}
}

Test(node_daemon, finds_the_config_in_a_command_line)
{
	static const struct {
		const char *line, *config;
	} lines[] = {
		{"/usr/bin/containerd", NULL},
		{"containerd -c /a", "/a"},
		{"containerd --log-level debug --config /a", "/a"},
		{"containerd --config=/a", "/a"},
		{"containerd -config /a", "/a"},
		{"containerd --config", NULL},
		{"containerd --configure /a", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		_cleanup_strv_ char **words = NULL;
		const char *config;

		cr_assert_eq(strv_split(&words, lines[i].line, " "), 0);
		config = daemon_config_of(words);
		cr_expect_eq(config == NULL, lines[i].config == NULL, "%s", lines[i].line);
		if (config && lines[i].config)
			cr_expect_str_eq(config, lines[i].config);
	}
}

Test(node_daemon, takes_an_exec_start_apart)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_strv_ char **argv = NULL;

	cr_assert_eq(
		daemon_parse_exec_start(
			"{ path=/usr/bin/containerd ; argv[]=/usr/bin/containerd --config /etc/c ; "
			"ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 }",
			&path, &argv),
		1);
	cr_expect_str_eq(path, "/usr/bin/containerd");
	cr_expect_str_eq(daemon_config_of(argv), "/etc/c");
	cr_expect_eq(daemon_parse_exec_start("", &path, &argv), 0);
}

Test(node_distro, knows_who_renders_the_file)
{
	struct daemon d = {.root = "",
		.config = (char *)"/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
		.program = (char *)"/usr/bin/containerd"};

	cr_assert_not_null(distro_of(&d));
	cr_expect_str_eq(distro_of(&d)->name, "k3s");
	d.config = (char *)DAEMON_CONFIG_DEFAULT;
	cr_expect_null(distro_of(&d));
	d.program = (char *)"/snap/microk8s/7000/bin/containerd";
	cr_expect_str_eq(distro_of(&d)->name, "microk8s");
}

Test(node_child, collects_both_streams_and_the_status)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
		(char *)"cat; echo problem >&2; printf 'x%.0s' $(seq 200000); exit 7", NULL};
	struct child_spec spec = {
		.path = "/bin/sh", .argv = argv, .input = "in\n", .input_len = 3, .timeout_s = 60};
	_cleanup_(child_result_done) struct child_result r = CHILD_RESULT_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(child_run(&spec, &r, NULL), 0);
	cr_expect_eq(r.status, 7);
	cr_expect_eq(r.out.len, 200003);
	cr_expect_str_eq(child_last_line(&r.err), "problem");
	child_result_done(&r);
	cr_expect_lt(child_must(&spec, &r, &err), 0);
	cr_expect_not_null(strstr(err.text, "status 7: problem"), "%s", err.text);
}

Test(node_child, ends_a_program_that_takes_too_long)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exec sleep 1000", NULL};
	struct child_spec spec = {.path = "/bin/sh", .argv = argv, .timeout_s = 1};
	_cleanup_(child_result_done) struct child_result r = CHILD_RESULT_INIT;

	cr_expect_eq(child_run(&spec, &r, NULL), -ETIMEDOUT);
	spec.path = "/nonexistent";
	cr_expect_eq(child_run(&spec, &r, NULL), -ENOENT);
}

Test(node_grpc, reads_protobuf_fields_and_refuses_cut_ones)
{
	static const char message[] = {
		0x08, (char)0x96, 0x01, 0x12, 3, 'a', 'b', 'c', 0x1d, 1, 2, 3, 4};
	struct pb_field f;
	size_t at = 0;

	cr_assert_eq(pb_next(message, sizeof(message), &at, &f), 1);
	cr_expect_eq(f.number, 1);
	cr_expect_eq(f.value, 150);
	cr_assert_eq(pb_next(message, sizeof(message), &at, &f), 1);
	cr_expect_eq(f.len, 3);
	cr_assert_eq(pb_next(message, sizeof(message), &at, &f), 1);
	cr_expect_eq(pb_next(message, sizeof(message), &at, &f), 0);
	for (size_t cut = 1; cut < sizeof(message); cut++) {
		int r;

		at = 0;
		do {
			r = pb_next(message, cut, &at, &f);
		} while (r > 0);
		cr_expect(r == -EBADMSG || (r == 0 && (cut == 3 || cut == 8)), "cut at %zu", cut);
	}
}

Test(node_image, is_the_same_everywhere_and_a_sound_tar)
{
	_cleanup_(buf_done) struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	unsigned files = 0;

	cr_assert_eq(image_tar(&a), 0);
	cr_assert_eq(image_tar(&b), 0);
	cr_assert_eq(a.len, b.len);
	cr_expect_eq(memcmp(a.data, b.data, a.len), 0);
	cr_assert_eq(a.len % 512, 0);
	for (size_t at = 0; a.data[at]; files++) {
		unsigned sum = 0;
		size_t len = strtoul(a.data + at + 124, NULL, 8);
		const char *digest = strstr(a.data + at, "blobs/sha256/") == a.data + at
					     ? a.data + at + strlen("blobs/sha256/")
					     : NULL;

		for (size_t i = 0; i < 512; i++)
			sum += i >= 148 && i < 156 ? ' ' : (unsigned char)a.data[at + i];
		cr_expect_eq(strtoul(a.data + at + 148, NULL, 8), sum);
		if (digest) {
			char hex[65];

			sha256_hex(a.data + at + 512, len, hex);
			cr_expect_str_eq(digest, hex);
		}
		at += 512 + (len + 511) / 512 * 512;
		cr_assert_lt(at, a.len);
	}
	cr_expect_eq(files, 4);
#if defined(__x86_64__)
	{
		char hex[65];

		/* a new digest means a new image on every node: think before changing this */
		sha256_hex(a.data, a.len, hex);
		cr_expect_str_eq(
			hex, "e0152bab3f2678440b08703c7134176181f2b9e0dc2b5cfe38e6312f1477a3fc");
	}
#endif
}

Test(node_report, gives_every_reason_its_exit_status, .init = cr_redirect_stdout)
{
	static const struct {
		enum reason reason;
		int status;
	} rows[] = {{REASON_OK, 0}, {REASON_CHANGE, 10}, {REASON_CHANGED, 0}, {REASON_E_SYNTAX, 3},
		{REASON_E_UNDONE, 4}, {REASON_E_UNDO_FAILED, 5}, {REASON_E_LOCKED, 6},
		{REASON_NO_CONTAINERD, 0}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct report rep = REPORT_INIT;

		cr_expect_eq(report_set(&rep, rows[i].reason, "m"), rows[i].status);
		cr_expect_eq(report_print(&rep, true), rows[i].status);
	}
	for (int r = 0; r < _REASON_MAX; r++)
		cr_expect_not(str_empty(report_code((enum reason)r)));
}
