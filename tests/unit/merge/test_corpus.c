/*
 * Files that real nodes have, and files that break other installers, against real daemons: each
 * case of tests/data/containerd/corpus/expected.txt is planned, applied and undone. With
 * REAPER_TEST_CONTAINERDS (programs, colon-separated) each is also applied again, verified, and
 * undone without the journal; without it the machine's own containerd is taken.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "merge/containerd.h"
#include "merge/engine.h"
#include "node/daemon.h"
#include "merge/plan.h"
#include "unit/merge/tree.h"

#define CONFIG "/etc/containerd/config.toml"

struct corpus_case {
	char name[64], on_1[64], on_2[64];
	char *text;
	size_t len;
};

static void same_bytes(const char *root, const struct corpus_case *c, const char *when)
{
	size_t len;
	char *now = tree_get(root, CONFIG, &len);

	cr_expect(now && len == c->len && memcmp(now, c->text, len) == 0, "%s: other bytes %s",
		c->name, when);
	free(now);
}

static enum reason plan_reason(const struct cli_args *args)
{
	struct plan plan = PLAN_INIT;
	struct report rep = REPORT_INIT;
	enum reason reason;

	(void)plan_make(args, &plan, &rep);
	reason = rep.reason;
	report_done(&rep);
	plan_done(&plan);
	return reason;
}

static bool thorough(void)
{
	return getenv("REAPER_TEST_CONTAINERDS") != NULL;
}

static void applied_and_undone(
	const char *root, const struct cli_args *args, const struct corpus_case *c)
{
	_cleanup_(plan_done) struct plan plan = PLAN_INIT;
	_cleanup_(report_done) struct report rep = REPORT_INIT;
	char *before, *after;

	cr_expect_eq(containerd_apply(args), REPORT_OK, "%s: apply", c->name);
	if (!thorough()) {
		cr_expect_eq(containerd_undo(args), REPORT_OK, "%s: undo", c->name);
		same_bytes(root, c, "after undo");
		return;
	}
	cr_expect_str_eq(report_code(plan_reason(args)), "ok", "%s: read again", c->name);
	before = tree_census(root);
	cr_expect_eq(containerd_apply(args), REPORT_OK, "%s: apply again", c->name);
	after = tree_census(root);
	cr_expect_str_eq(before, after, "%s: a second apply wrote", c->name);
	free(before);
	free(after);
	cr_expect_eq(containerd_judge(args, &plan, &rep), REPORT_OK, "%s: judge", c->name);
	cr_expect_eq(containerd_undo(args), REPORT_OK, "%s: undo", c->name);
	same_bytes(root, c, "after undo");
	/* once more, with nothing but the markers to go by */
	cr_expect_eq(containerd_apply(args), REPORT_OK, "%s: apply", c->name);
	before = NULL;
	cr_assert_geq(str_printf(&before, "%s/var/lib/reaper/containerd/journal", root), 0);
	cr_expect_eq(unlink(before), 0);
	free(before);
	cr_expect_eq(containerd_undo(args), REPORT_OK, "%s: undo without journal", c->name);
	same_bytes(root, c, "after undo without journal");
}

static void run_case(const char *program, const struct corpus_case *c, const char *expected)
{
	char *root = tree_new(), *before, *after;
	struct cli_args args = {.root = root, .containerd = program, .timeout_s = 30};
	bool change = str_eq(expected, "change");
	enum reason reason;

	tree_put(root, CONFIG, c->text, c->len);
	before = tree_census(root);
	reason = plan_reason(&args);
	cr_expect_str_eq(report_code(reason), expected, "%s with %s: plan says %s, not %s", c->name,
		program, report_code(reason), expected);
	if (change && reason == REASON_CHANGE) {
		applied_and_undone(root, &args, c);
	} else {
		cr_expect_eq(containerd_apply(&args), report_exit(reason), "%s: apply", c->name);
		after = tree_census(root);
		cr_expect_str_eq(before, after, "%s: something was written", c->name);
		free(after);
	}
	free(before);
	tree_remove(root);
}

static void run_corpus(const char *program)
{
	struct daemon d = DAEMON_INIT;
	struct cli_args args = {.root = "/", .containerd = program};
	size_t len;
	char *table = tree_get(TEST_DATA_DIR, "/containerd/corpus/expected.txt", &len);
	char *rest = table, *line;
	unsigned n = 0;

	cr_assert_not_null(table);
	cr_assert_eq(daemon_resolve(&args, &d, NULL), 0, "%s", program);
	while ((line = strsep(&rest, "\n"))) {
		struct corpus_case c = {0};
		char *file = NULL;

		if (line[0] == '#' || sscanf(line, "%63s %63s %63s", c.name, c.on_1, c.on_2) != 3)
			continue;
		cr_assert_geq(str_printf(&file, "/containerd/corpus/%s.toml", c.name), 0);
		c.text = tree_get(TEST_DATA_DIR, file, &c.len);
		cr_assert_not_null(c.text, "%s", file);
		run_case(program, &c, d.major >= 2 ? c.on_2 : c.on_1);
		free(c.text);
		free(file);
		n++;
	}
	cr_expect_gt(n, 60);
	free(table);
	daemon_done(&d);
}

Test(merge_corpus, is_decided_applied_and_undone_as_the_table_says, .init = cr_redirect_stdout,
	.timeout = 300)
{
	const char *programs = getenv("REAPER_TEST_CONTAINERDS");
	char **list = NULL;

	cr_redirect_stderr();
	if (!programs)
		programs = "/usr/bin/containerd";
	cr_assert_eq(strv_split(&list, programs, ":"), 0);
	if (access(list[0], X_OK) < 0)
		cr_skip_test("no containerd here: %s", list[0]);
	for (char **p = list; *p; p++)
		run_corpus(*p);
	strv_free(list);
}
