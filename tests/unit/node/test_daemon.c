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
#include "node/distro.h"
#include "node/grpc.h"
#include "node/image.h"

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
