#include "merge/stanza.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "merge/compare.h"

static struct toml_doc *parse(const char *text)
{
	struct toml_doc *doc = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(
		toml_parse("t", text, strlen(text), TOML_LENIENT, &doc, &err), 0, "%s", err.text);
	return doc;
}

/* `before`, a block, `after`: the caller frees it. */
static char *with_block(const char *before, const char *after)
{
	struct stanza_spec spec = {.handler = STANZA_HANDLER,
		.plugin = "io.containerd.grpc.v1.cri",
		.gap = stanza_gap(before, strlen(before)),
		.eol = stanza_eol(before, strlen(before))};
	struct buf b = BUF_INIT(1 << 20);

	cr_assert_eq(buf_append_str(&b, before), 0);
	cr_assert_eq(stanza_write(&spec, &b), 0);
	cr_assert_eq(buf_append_str(&b, after), 0);
	return b.data;
}

Test(merge_stanza, finds_its_block_again_and_cuts_exactly_what_was_added)
{
	static const char *const befores[] = {"version = 2\n", "version = 2",
		"version = 2\r\n# x\r\n", "# only", "", "\n\n", "version = 2\n\n\n  "};
	static const char *const afters[] = {"", "[debug]\nlevel = \"info\"\n", "\n\n# tail"};

	for (size_t i = 0; i < ARRAY_LEN(befores); i++) {
		for (size_t k = 0; k < ARRAY_LEN(afters); k++) {
			_cleanup_free_ char *text = with_block(befores[i], afters[k]);
			_cleanup_(toml_doc_freep) struct toml_doc *doc = parse(text);
			struct stanza_block b;

			cr_assert_eq(stanza_find(text, strlen(text), doc, STANZA_HANDLER, &b, NULL),
				1, "%s", text);
			cr_expect(b.intact);
			cr_expect_eq(b.begin, strlen(befores[i]));
			cr_expect_str_eq(text + b.end, afters[k]);
			cr_expect(stanza_matches(
				doc, toml_find(doc, toml_root(doc), "plugins",
					     "io.containerd.grpc.v1.cri", "containerd", "runtimes",
					     STANZA_HANDLER, NULL)));
		}
	}
}

Test(merge_stanza, notices_every_changed_byte_of_the_body)
{
	_cleanup_free_ char *text = with_block("version = 2\n", "");
	_cleanup_(toml_doc_freep) struct toml_doc *doc = parse(text);
	struct stanza_block b;

	cr_assert_eq(stanza_find(text, strlen(text), doc, STANZA_HANDLER, &b, NULL), 1);
	for (size_t i = b.body_begin; i + 1 < b.body_end; i++) {
		_cleanup_free_ char *copy = strdup(text);
		struct toml_doc *changed = NULL;
		struct stanza_block c;

		copy[i] = copy[i] == 'x' ? 'y' : 'x';
		if (toml_parse("t", copy, strlen(copy), 0, &changed, NULL) < 0)
			continue;
		if (stanza_find(copy, strlen(copy), changed, STANZA_HANDLER, &c, NULL) == 1)
			cr_expect_not(c.intact, "byte %zu", i);
		toml_doc_free(changed);
	}
}

Test(merge_stanza, refuses_markers_that_are_left_over)
{
	_cleanup_free_ char *once = with_block("", ""), *twice = with_block(once, "");
	static const struct {
		const char *text, *error;
	} fixed[] = {
		{"#<< reaper block=reaper-v2\n", "line 1: the reaper block has no begin marker"},
		{"\n#>> reaper block=reaper-v2 format=1 gap=0 sha256=x\n",
			"line 2: the reaper block has no end marker"},
		{"#<< reaper block=reaper-v2\n#>> reaper block=reaper-v2 format=1 gap=0\n",
			"no end"},
		{"#>> reaper block=reaper-v2 format=x gap=0\n#<< reaper block=reaper-v2\n",
			"cannot be read"},
	};
	struct stanza_block b;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		_cleanup_(toml_doc_freep) struct toml_doc *doc = parse(fixed[i].text);

		cr_expect_eq(stanza_find(fixed[i].text, strlen(fixed[i].text), doc, STANZA_HANDLER,
				     &b, &err),
			-EBADMSG);
		cr_expect_not_null(strstr(err.text, fixed[i].error), "%s", err.text);
	}
	/* the same tables twice are no TOML: only the comments are compared here */
	for (char *p = twice; (p = strstr(p, "\n[plugins")); p++)
		p[1] = '#';
	{
		_cleanup_(toml_doc_freep) struct toml_doc *doc = NULL;
		_cleanup_free_ char *comments = strdup(twice);

		for (char *line = comments; line && *line; line = strchr(line, '\n')) {
			line += *line == '\n';
			if (*line && *line != '#' && *line != '\n')
				*line = '#';
		}
		doc = parse(comments);
		cr_expect_eq(stanza_find(comments, strlen(comments), doc, STANZA_HANDLER, &b, &err),
			-EBADMSG);
		cr_expect_not_null(
			strstr(err.text, "two reaper blocks: lines 1 and"), "%s", err.text);
	}
}

Test(merge_stanza, does_not_take_strings_or_tails_for_markers)
{
	static const char text[] = "a = '''\n#>> reaper block=reaper-v2 format=1 gap=0\n'''\n"
				   "b = 1 #<< reaper block=reaper-v2\n";
	_cleanup_(toml_doc_freep) struct toml_doc *doc = parse(text);
	struct stanza_block b;

	cr_expect_eq(stanza_find(text, strlen(text), doc, STANZA_HANDLER, &b, NULL), 0);
}

Test(merge_stanza, carries_what_is_set_of_a_runtime_and_nothing_else)
{
	_cleanup_(toml_doc_freep) struct toml_doc *dump =
		parse("[runtimes.runc]\nruntime_type = 'io.containerd.runc.v2'\nsnapshotter = ''\n"
		      "sandbox_mode = 'podsandbox'\nn = 0\npod_annotations = ['a', 'b']\n"
		      "[runtimes.runc.options]\nSystemdCgroup = true\nRoot = ''\n[runtimes.'x y']\n"
		      "runtime_type = 'q\"'\n[runtimes.none]\nruntime_type = ''\n");
	struct stanza_spec spec = {.handler = STANZA_HANDLER,
		.plugin = "p",
		.eol = "\n",
		.carry = toml_get(dump, toml_root(dump), "runtimes")};
	_cleanup_(buf_done) struct buf b = BUF_INIT(4096);

	cr_assert_eq(stanza_write(&spec, &b), 0);
	cr_expect_not_null(
		strstr(b.data,
			"[plugins.p.containerd.runtimes.runc]\nruntime_type = "
			"\"io.containerd.runc.v2\"\n"
			"pod_annotations = [\"a\", \"b\"]\n\n"
			"[plugins.p.containerd.runtimes.runc.options]\nSystemdCgroup = true\n\n"
			"[plugins.p.containerd.runtimes.\"x y\"]\nruntime_type = \"q\\\"\"\n\n"
			"[plugins.p.containerd.runtimes.reaper-v2]\n"),
		"%s", b.data);
}

static int collect(
	void *arg, const char *path, const struct toml_node *a, const struct toml_node *b)
{
	return buf_printf(arg, "%c%c%s ", a ? 'a' : '-', b ? 'b' : '-', path);
}

Test(merge_compare, tells_each_difference_by_its_path)
{
	_cleanup_(toml_doc_freep) struct toml_doc *a =
		parse("x = 1\n[t.\"u.v\"]\ny = [1, 2]\nz = nan\n[s]\n");
	_cleanup_(toml_doc_freep) struct toml_doc *b =
		parse("t.'u.v'.z = nan\nt.'u.v'.y = [2, 1]\nx = 1.0\n[n]\nk = ''\n");
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);

	cr_assert_eq(toml_compare(a, b, collect, &out), 0);
	cr_expect_str_eq(out.data, "abx abt.\"u.v\".y a-s -bn ");
	cr_expect(toml_is_zero(toml_get(b, toml_root(b), "n")));
	cr_expect_not(toml_is_zero(toml_get(a, toml_root(a), "x")));
}
