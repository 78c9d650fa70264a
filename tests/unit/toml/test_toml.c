#include "toml/toml.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "support/toml/json.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct toml_doc *must_parse(const char *text, unsigned flags)
{
	struct toml_doc *doc = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(toml_parse("t", text, strlen(text), flags, &doc, &err), 0, "%s in: %s",
		err.text, text);
	return doc;
}

Test(toml, means_the_same_in_every_spelling_of_a_table)
{
	static const char *const spellings[] = {
		"[plugins.\"io.x.v1.cri\".containerd]\nname = \"runc\"\n",
		"[ plugins . 'io.x.v1.cri'\t.containerd ] # c\nname='runc'",
		"[plugins.\"io.x.v1.cri\"]\ncontainerd.name = \"\"\"\nrunc\"\"\"\n",
		"plugins.\"io.x.v1.cri\".containerd.name = 'runc'\r\n",
		"plugins = { \"io.x.v1.cri\" = { containerd = { name = \"runc\" } } }",
		"[plugins.\"io\\u002ex.v1.cri\".containerd]\nname = \"ru\\u006ec\"\n",
		/* children before their parents, as kind's file has them */
		("[plugins.\"io.x.v1.cri\".containerd]\nname = "
		 "\"runc\"\n[plugins.\"io.x.v1.cri\"]\n[plugins]"),
	};

	for (size_t i = 0; i < LEN(spellings); i++) {
		_cleanup_(toml_doc_freep) struct toml_doc *doc = must_parse(spellings[i], 0);
		struct toml_node *n = toml_find(
			doc, toml_root(doc), "plugins", "io.x.v1.cri", "containerd", "name", NULL);

		cr_assert_not_null(n, "%s", spellings[i]);
		cr_expect_str_eq(n->text, "runc");
	}
}

Test(toml, knows_the_version_however_it_is_written)
{
	static const struct {
		const char *text;
		int64_t version; /* 0: none, -1: no integer */
	} files[] = {
		{"version = 2", 2},
		{"version=3", 3},
		{"version\t=\t3 # comment", 3},
		{"'version' = 0x2", 2},
		{"version = 0b10", 2},
		{"version = +2", 2},
		{"disabled_plugins = []\nimports = []\noom_score = 0\nversion = 2\n[grpc]\n", 2},
		{"[plugins]\nversion = 2\n", 0},
		{"# version = 2\n", 0},
		{"x = '''\nversion = 2\n'''\n", 0},
		{"version = \"2\"", -1},
		{"version = 2.0", -1},
	};

	for (size_t i = 0; i < LEN(files); i++) {
		_cleanup_(toml_doc_freep) struct toml_doc *doc = must_parse(files[i].text, 0);
		struct toml_node *n = toml_get(doc, toml_root(doc), "version");
		int64_t v = !n ? 0 : n->type == TOML_INTEGER ? n->integer : -1;

		cr_expect_eq(v, files[i].version, "%s", files[i].text);
	}
}

Test(toml, refuses_and_names_line_and_column)
{
	static const struct {
		const char *text, *error;
	} files[] = {
		{"a = 1\n[plugins]\nx = 1\n[plugins]\n",
			"line 4, column 2: \"plugins\" is defined a second time (first in line 2)"},
		{"['a']\n[\"a\"]\n", "line 2, column 2: \"a\" is defined a second time"},
		{"a = 1\na = 2",
			"line 2, column 1: key \"a\" is defined a second time (first in line 1)"},
		{"r = { a = {} }\n[r.b]\n", "line 2, column 2: \"r\" is a value since line 1"},
		{"[r]\nx = 1\n[[r]]\n", "line 3, column 3: \"r\" is no array of tables"},
		{"a = \"x\nb = 2", "line 1, column 7: string is not closed on its line"},
		{"\na = '''x\ny", "line 2, column 5: string is never closed"},
		{"a = [1, 2\n", "array without"},
		{"[a\n", "line 1, column 3: header without its closing ]"},
		{"]\n", "line 1, column 1: a key is missing"},
		{"a = { b = 1,\n c = 2 }\n", "an inline table must stand on one line"},
		{"a = 1\rb = 2\n", "line 1, column 6: carriage return without a line feed"},
		{"a = yes\n", "\"yes\" is no value (strings need quotes)"},
		{"a = 1 b = 2\n", "unexpected text behind the end"},
		{"{{ template \"base\" . }}\n", "line 1, column 1: a key is missing"},
		{"\xef\xbb\xbfversion = 2\n", "line 1, column 1: byte order mark"},
		{"# Gr\xfc\xdf\x65\n", "line 1, column 5: byte 0xfc in a comment"},
		{"a = 99999999999999999999", "larger than 64 bits"},
	};

	for (size_t i = 0; i < LEN(files); i++) {
		struct toml_doc *doc = NULL;
		struct err err = ERR_INIT;

		cr_expect_eq(toml_parse("t", files[i].text, strlen(files[i].text), 0, &doc, &err),
			-EINVAL, "%s", files[i].text);
		cr_expect_not_null(strstr(err.text, files[i].error), "\"%s\" gave: %s",
			files[i].text, err.text);
	}
}

Test(toml, lets_pass_what_containerd_1_accepts_when_asked_to)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc =
		must_parse("\xef\xbb\xbfversion = 2\n# a\x01\n# Gr\xfc\xdf\x65\n", TOML_LENIENT);

	cr_expect(toml_has_bom(doc));
	cr_expect_eq(toml_foreign_line(doc), 2);
	cr_expect_not_null(toml_get(doc, toml_root(doc), "version"));
}

Test(toml, keeps_where_headers_and_comments_stand)
{
	static const char text[] = "a = 1 # tail\r\n  # alone\r\n [t.u] \r\nx = '# no'\n\n[v]\n";
	_cleanup_(toml_doc_freep) struct toml_doc *doc = must_parse(text, 0);
	const struct toml_header *h;
	const struct toml_comment *c;
	size_t n;

	c = toml_comments(doc, &n);
	cr_assert_eq(n, 2);
	cr_expect_not(c[0].alone);
	cr_expect(c[1].alone);
	cr_expect_eq(c[1].end - c[1].begin, strlen("# alone"));
	h = toml_headers(doc, &n);
	cr_assert_eq(n, 2);
	cr_expect_str_eq(h[0].table->key, "u");
	cr_expect_eq(strncmp(text + h[0].begin, " [t.u]", 6), 0);
	cr_expect_eq(h[0].end, h[1].begin);
	cr_expect_eq(h[1].end, strlen(text));
	cr_expect_eq(h[1].line, 6);
}

Test(toml, tells_a_key_that_was_spelled_with_an_escape)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc = must_parse("[\"a\\u002eb\"]\n['c']\n", 0);

	cr_expect(toml_get(doc, toml_root(doc), "a.b")->flags & TOML_ESCAPED);
	cr_expect_not(toml_get(doc, toml_root(doc), "c")->flags & TOML_ESCAPED);
}

/* `n` times `piece`, then `tail`. */
static char *repeat(
	const char *head, const char *piece, size_t n, const char *tail, size_t *ret_len)
{
	struct buf b = BUF_INIT(TOML_SIZE_MAX * 2L);

	cr_assert_eq(buf_append_str(&b, head), 0);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(buf_append_str(&b, piece), 0);
	cr_assert_eq(buf_append_str(&b, tail), 0);
	*ret_len = b.len;
	return b.data;
}

Test(toml, bounds_depth_and_size)
{
	static const struct {
		const char *head, *piece;
		size_t n;
		const char *tail;
	} files[] = {
		{"a = ", "[", 10000, ""},
		{"", "a.", 10000, "b = 1"},
		{"[", "a.", 10000, "b]"},
		{"a = ", "{a=", 10000, ""},
		{"# ", "xxxxxxxxxxxxxxxx", 1 << 20, ""},
	};

	for (size_t i = 0; i < LEN(files); i++) {
		struct toml_doc *doc = NULL;
		size_t len;
		_cleanup_free_ char *text =
			repeat(files[i].head, files[i].piece, files[i].n, files[i].tail, &len);

		cr_expect_lt(toml_parse("t", text, len, 0, &doc, NULL), 0, "case %zu", i);
	}
}

Test(toml, reads_many_strings_on_one_long_line)
{
	size_t len;
	_cleanup_free_ char *text = repeat("a = [", "\"some text\",", 100000, "]\n", &len);
	_cleanup_(toml_doc_freep) struct toml_doc *doc = must_parse(text, 0);

	cr_expect_eq(toml_get(doc, toml_root(doc), "a")->count, 100000);
}

Test(toml, survives_every_cut_and_every_changed_byte)
{
	static const char text[] = "version = 2 # c\r\nimports = [ 'a', \"b\\u00e9\\n\", ]\n[a.\"b "
				   "c\"]\nx.y = { p = 1.5e3, q = "
				   "[true, 1979-05-27 07:32:00Z] }\n[[t]]\nz = \"\"\"\n a \\\n  "
				   "b\"\"\"\"\n[[t]]\nw = '''c'''\n";
	char copy[sizeof(text)];

	for (size_t i = 0; i < sizeof(text); i++) {
		static const char changes[] = "\0\n\r\"'[]{}=.#,\\\xff 0";

		for (size_t c = 0; c < sizeof(changes); c++) {
			struct toml_doc *doc = NULL;
			/* the parser must not read behind the length: ASan watches the heap */
			char *exact = malloc(i ? i : 1);

			memcpy(copy, text, sizeof(text));
			copy[i] = changes[c];
			if (toml_parse("t", copy, sizeof(text) - 1, TOML_LENIENT, &doc, NULL) == 0)
				doc = toml_doc_free(doc);
			memcpy(exact, text, i);
			if (c == 0 && toml_parse("t", exact, i, 0, &doc, NULL) == 0)
				doc = toml_doc_free(doc);
			free(exact);
		}
	}
}

Test(toml, speaks_the_protocol_of_toml_test)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc =
		must_parse("a = \"x\\u0000\"\nb = [1, 0.5, {}]\nc = 1979-05-27 07:32:00z\n", 0);
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);

	cr_assert_eq(toml_to_json(doc, &out), 0);
	cr_expect_str_eq(out.data,
		"{\"a\": {\"type\": \"string\", \"value\": \"x\\u0000\"}, "
		"\"b\": [{\"type\": \"integer\", \"value\": \"1\"}, "
		"{\"type\": \"float\", \"value\": \"0.5\"}, {}], "
		"\"c\": {\"type\": \"datetime\", \"value\": \"1979-05-27T07:32:00Z\"}}\n");
}
