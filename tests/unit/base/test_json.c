#include "base/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"

static int parse(const char *text, struct json_ref *root, struct err *err)
{
	return json_parse(text, strlen(text), "doc", root, err);
}

Test(base_json, refuses_what_is_not_one_strict_json_object)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{"", "doc: the text ends in the middle, after 0 bytes"},
		{"{", "doc: the text ends in the middle, after 1 bytes"},
		{"{\"a\": \"b", "doc: the text ends in the middle, after 8 bytes"},
		{"[]", "doc: expected an object at the top"},
		{"\"a\"", "doc: expected an object at the top"},
		{"{}x", "doc: line 1, column 3: not JSON: unexpected character"},
		{"{\"a\": 1,}",
			"doc: line 1, column 9: not JSON: a name in double quotes expected"},
		{"{'a': 1}", "doc: line 1, column 2: not JSON: a name in double quotes expected"},
		{"{\n\n  b\"a\": 1}",
			"doc: line 3, column 3: not JSON: a name in double quotes expected"},
		{"{\"a\": 01}", "doc: line 1, column 8: not JSON: ',' or '}' expected"},
		{"{\"a\": TRUE}", "doc: line 1, column 7: not JSON: a value expected"},
		{"{\"a\": \"\xff\"}", "doc: line 1, column 8: not JSON: invalid UTF-8"},
		{"{\"a\": 18446744073709551616}",
			"doc: a: 18446744073709551616: too large a number"},
		{"{\"x\": 1, \"a\": [0, {\"b\": -9223372036854775809}]}",
			"doc: a[1].b: -9223372036854775809: too large a number"},
		{"{\"a\": {\"b\": \"[{\\\"\", \"c\": "
		 "99999999999999999999999999999999999999999999999}}",
			"doc: a.c: 9999999999999999999999999999999999999999…: too large a number"},
		{"{\"a\" 1}", "doc: line 1, column 6: not JSON: ':' expected"},
		{"{\"a\": [1 2]}", "doc: line 1, column 10: not JSON: ',' or ']' expected"},
		{"{\"a\": [1,]}", "doc: line 1, column 10: not JSON: a value expected"},
		{"{\"a\": nul}", "doc: line 1, column 7: not JSON: a value expected"},
		{"{\"a\": 1.}", "doc: line 1, column 9: not JSON: a digit expected"},
		{"{\"a\": 1e+}", "doc: line 1, column 10: not JSON: a digit expected"},
		{"{\"a\": +1}", "doc: line 1, column 7: not JSON: a value expected"},
		{"{\"a\": NaN}", "doc: line 1, column 7: not JSON: a value expected"},
		{"{\"a\": \"\t\"}",
			"doc: line 1, column 8: not JSON: a control character in a string"},
		{"{\"a\": \"\\x\"}", "doc: line 1, column 9: not JSON: no escape sequence"},
		{"{\"a\": \"\\u12g4\"}",
			"doc: line 1, column 12: not JSON: four hexadecimal digits expected"},
		{"{\"a\\u0000\": 1}",
			"doc: line 1, column 11: not JSON: a NUL character is in the name before"},
		{"{\"a\": \"\xed\xa0\x80\"}", "doc: line 1, column 8: not JSON: invalid UTF-8"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct json_ref root = {.value = NULL};
		struct err err = ERR_INIT;

		cr_expect_lt(parse(table[i].text, &root, &err), 0, "%s", table[i].text);
		cr_expect_str_eq(err.text, table[i].error);
		cr_expect_eq(err.kind, ERR_INVALID);
		cr_expect_null(root.value);
	}
}

Test(base_json, refuses_a_nul_byte_and_too_much_of_everything)
{
	_cleanup_free_ char *big = malloc(2 * JSON_VALUES_MAX + 16);
	struct json_ref root = {.value = NULL};
	struct err err = ERR_INIT;
	size_t n = 0;

	cr_assert_lt(json_parse("{}\0{", 4, "doc", &root, &err), 0);
	cr_assert_str_eq(err.text, "doc: a NUL byte is in the text");

	for (int i = 0; i <= JSON_DEPTH_MAX; i++)
		n += (size_t)snprintf(big + n, 16, "{\"a\":");
	cr_assert_lt(json_parse(big, n, "doc", &root, &err), 0);
	cr_assert_str_eq(err.text, "doc: nested deeper than the limit of 64");

	n = (size_t)sprintf(big, "[");
	for (int i = 0; i < JSON_NESTS_MAX; i++)
		n += (size_t)sprintf(big + n, "[],");
	cr_assert_lt(json_parse(big, n, "doc", &root, &err), 0);
	cr_assert_str_eq(err.text, "doc: too much in it: more than 32768 objects and arrays");

	n = (size_t)sprintf(big, "[");
	for (int i = 0; i < JSON_VALUES_MAX; i++)
		n += (size_t)sprintf(big + n, "1,");
	cr_assert_lt(json_parse(big, n, "doc", &root, &err), 0);
	cr_assert_str_eq(err.text, "doc: too much in it: more than 262144 values");
}

Test(base_json, reads_values_and_keeps_the_target_when_a_member_is_absent_or_null)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *s = NULL, *raw = NULL;
	_cleanup_strv_ char **v = NULL;
	struct json_ref sub;
	struct err err = ERR_INIT;
	uint64_t u = 7;
	int64_t i = 7;
	uint32_t w = 7;
	bool b = false;

	cr_assert_eq(parse(" {\"s\":\"x/y\",\"u\":18446744073709551615,\"i\":-9223372036854775808,"
			   "\"w\":4294967295,\"b\":true,\"v\":[\"a\",\"\"],\"e\":[],\"n\":null,"
			   "\"o\":{\"in\":\"\\u00e9\"}}\n",
			     &root, &err),
		0, "%s", err.text);
	cr_assert_eq(json_get_str(&root, "s", &s, &err), 1);
	cr_assert_str_eq(s, "x/y");
	cr_assert_eq(json_get_u64(&root, "u", 0, UINT64_MAX, &u, &err), 1);
	cr_assert_eq(u, UINT64_MAX);
	cr_assert_eq(json_get_i64(&root, "i", INT64_MIN, INT64_MAX, &i, &err), 1);
	cr_assert_eq(i, INT64_MIN);
	cr_assert_eq(json_get_u32(&root, "w", &w, &err), 1);
	cr_assert_eq(w, UINT32_MAX);
	cr_assert_eq(json_get_bool(&root, "b", &b, &err), 1);
	cr_assert(b);
	cr_assert_eq(json_get_strv(&root, "v", 2, &v, &err), 1);
	cr_assert_eq(strv_len(v), 2);
	cr_assert_str_empty(v[1]);
	cr_assert_eq(json_get_strv(&root, "e", 2, &v, &err), 1);
	cr_assert_null(v);
	cr_assert_eq(json_get_str(&root, "n", &s, &err), 0);
	cr_assert_eq(json_get_str(&root, "absent", &s, &err), 0);
	cr_assert_str_eq(s, "x/y");
	cr_assert(json_has(&root, "s") && !json_has(&root, "n") && !json_has(&root, "absent"));
	cr_assert_eq(json_get_object(&root, "o", &sub, &err), 1);
	cr_assert_eq(json_get_str(&sub, "in", &s, &err), 1);
	cr_assert_str_eq(s, "é");
	cr_assert_eq(json_get_raw(&root, "o", &raw, &err), 1);
	cr_assert_str_eq(raw, "{\"in\":\"é\"}");
	cr_assert_eq(json_get_raw(&root, "n", &raw, &err), 0);
	json_free(&root);
	json_free(NULL);
}

Test(base_json, decodes_every_escape_sequence)
{
	static const char text[] = "{\"s\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t|\\u0041\\u00e9\\u20AC"
				   "\\ud83d\\ude00|\\ud83d|\\udE00|\\ud83d\\u0041\"}";
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *s = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(parse(text, &root, &err), 0, "%s", err.text);
	cr_assert_eq(json_get_str(&root, "s", &s, &err), 1);
	cr_assert_str_eq(s, "\"\\/\b\f\n\r\t|A\u00e9\u20ac\U0001f600|\ufffd|\ufffd|\ufffdA");
}

Test(base_json, keeps_the_text_of_numbers_that_are_not_whole)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *raw = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(
		parse("{\"n\": [ -0.5, 1E3 , 1e-7, 0, -0, -12 ]}", &root, &err), 0, "%s", err.text);
	cr_assert_eq(json_get_raw(&root, "n", &raw, &err), 1);
	cr_assert_str_eq(raw, "[-0.5,1E3,1e-7,0,0,-12]");
}

Test(base_json, names_the_path_type_and_range_of_what_it_refuses)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *s = NULL;
	_cleanup_strv_ char **v = NULL;
	struct json_ref a, e, o;
	struct json_pair *pairs = NULL;
	struct err err = ERR_INIT;
	size_t n;
	uint64_t u = 0;
	int64_t i = 0;
	uint32_t w = 0;
	bool b;

	cr_assert_eq(parse("{\"process\":{\"rlimits\":[{},{},{\"soft\":\"x\",\"hard\":-1,\"f\":1.5,"
			   "\"t\":1e3,\"big\":9223372036854775808}]},"
			   "\"v\":[\"a\",null],\"l\":[1,2,3],\"z\":\"a\\u0000b\","
			   "\"p\":{\"k\\n\":{}},\"q\":{\"a\":\"1\",\"b\":\"2\"}}",
			     &root, &err),
		0, "%s", err.text);
	cr_assert_eq(json_get_object(&root, "process", &o, &err), 1);
	cr_assert_eq(json_get_array(&o, "rlimits", 3, &a, &n, &err), 1);
	cr_assert_eq(n, 3);
	cr_assert_eq(json_element_object(&a, 2, &e, &err), 0);

#define REFUSED(call, says)                               \
	do {                                              \
		err = (struct err)ERR_INIT;               \
		cr_expect_eq((call), -EINVAL);            \
		cr_expect_str_eq(err.text, "doc: " says); \
	} while (0)

	REFUSED(json_get_u64(&e, "soft", 0, 5, &u, &err),
		"process.rlimits[2].soft: expected a whole number, got a string");
	REFUSED(json_get_u64(&e, "hard", 0, 5, &u, &err),
		"process.rlimits[2].hard: -1 is not between 0 and 5");
	REFUSED(json_get_i64(&e, "hard", 0, 5, &i, &err),
		"process.rlimits[2].hard: -1 is not between 0 and 5");
	REFUSED(json_get_u32(&e, "big", &w, &err),
		"process.rlimits[2].big: 9223372036854775808 is not between 0 and 4294967295");
	REFUSED(json_get_i64(&e, "big", INT64_MIN, INT64_MAX, &i, &err),
		"process.rlimits[2].big: 9223372036854775808 is not between -9223372036854775808 "
		"and 9223372036854775807");
	REFUSED(json_get_u64(&e, "f", 0, 5, &u, &err),
		"process.rlimits[2].f: expected a whole number, got a number with a fraction or an "
		"exponent");
	REFUSED(json_get_u64(&e, "t", 0, 5000, &u, &err),
		"process.rlimits[2].t: expected a whole number, got a number with a fraction or an "
		"exponent");
	REFUSED(json_get_bool(&e, "soft", &b, &err),
		"process.rlimits[2].soft: expected true or false, got a string");
	REFUSED(json_get_array(&o, "rlimits", 2, &a, &n, &err),
		"process.rlimits: 3 elements, the limit is 2");
	REFUSED(json_get_str(&root, "process", &s, &err),
		"process: expected a string, got an object");
	REFUSED(json_get_strv(&root, "v", 9, &v, &err), "v[1]: expected a string, got null");
	REFUSED(json_get_str(&root, "z", &s, &err), "z: a NUL character is in the string");
	REFUSED(json_get_pairs(&root, "p", 9, &pairs, &n, &err),
		"p.k?: expected a string, got an object");
	REFUSED(json_get_pairs(&root, "q", 1, &pairs, &n, &err), "q: 2 members, the limit is 1");
	REFUSED(json_get_object(&root, "l", &o, &err), "l: expected an object, got an array");
	REFUSED(json_errorf(&root, &err, "none of this"), "none of this");
	cr_assert_eq(json_get_array(&root, "l", 3, &a, &n, &err), 1);
	REFUSED(json_element_object(&a, 1, &e, &err), "l[1]: expected an object, got a number");
#undef REFUSED
	cr_assert_null(s);
	cr_assert_null(v);
	cr_assert_null(pairs);
}

Test(base_json, reads_arrays_of_numbers)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ uint32_t *v = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;

	cr_assert_eq(
		parse("{\"v\":[0,4294967295],\"e\":[],\"n\":[1,-1],\"s\":[\"1\"]}", &root, &err),
		0);
	cr_assert_eq(json_get_u32v(&root, "v", 2, &v, &n, &err), 1);
	cr_assert_eq(n, 2);
	cr_assert_eq(v[1], UINT32_MAX);
	cr_assert_lt(json_get_u32v(&root, "v", 1, &v, &n, &err), 0);
	cr_assert_lt(json_get_u32v(&root, "n", 2, &v, &n, &err), 0);
	cr_assert_str_eq(err.text, "doc: n[1]: -1 is not between 0 and 4294967295");
	cr_assert_lt(json_get_u32v(&root, "s", 2, &v, &n, &err), 0);
	cr_assert_str_eq(err.text, "doc: s[0]: expected a whole number, got a string");
	cr_assert_eq(n, 2);
	cr_assert_eq(json_get_u32v(&root, "e", 2, &v, &n, &err), 1);
	cr_assert_null(v);
	cr_assert_eq(n, 0);
}

Test(base_json, keeps_the_order_of_pairs_and_lets_the_last_of_equal_keys_count)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	struct json_pair *pairs = NULL;
	struct err err = ERR_INIT;
	size_t n = 0;

	cr_assert_eq(parse("{\"p\":{\"z\":\"1\",\"a\":\"2\",\"z\":\"3\"}}", &root, &err), 0);
	cr_assert_eq(json_get_pairs(&root, "p", 9, &pairs, &n, &err), 1);
	cr_assert_eq(n, 2);
	cr_assert_str_eq(pairs[0].key, "z");
	cr_assert_str_eq(pairs[0].value, "3");
	cr_assert_str_eq(json_pairs_get(pairs, n, "a"), "2");
	cr_assert_null(json_pairs_get(pairs, n, "b"));
	json_pairs_free(pairs, n);
	json_pairs_free(NULL, 0);
}

Test(base_json, cuts_and_cleans_long_names_in_errors)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	struct json_ref at;
	struct err err = ERR_INIT;
	char key[2048], text[2200];

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	key[1] = '\t';
	(void)snprintf(text, sizeof(text), "{\"%.1s\\t%s\": []}", key, key + 2);
	cr_assert_eq(parse(text, &root, &err), 0, "%s", err.text);
	cr_assert_lt(json_get_object(&root, key, &at, &err), 0);
	cr_assert_eq(strncmp(err.text, "doc: k?kkk", 10), 0);
	cr_assert(strstr(err.text, "kkk...: expected an object, got an array"));
	cr_assert_lt(strlen(err.text), 140);
}

Test(base_json, writes_compact_and_pretty_without_escaped_slashes)
{
	char *const words[] = {(char *)"a/b", (char *)"\"", NULL};
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	_cleanup_free_ char *compact = NULL, *pretty = NULL;
	size_t len = 0;
	int r = json_put_str(o, "s", "/run");

	r |= json_put_str(o, "none", NULL);
	r |= json_put_bool(o, "b", true);
	r |= json_put_u64(o, "u", UINT64_MAX);
	r |= json_put_i64(o, "i", -1);
	r |= json_put_strv(o, "v", words);
	r |= json_put_strv(o, "e", NULL);
	r |= json_put_consume(o, "o", json_new_object());
	cr_assert_eq(r, 0);
	cr_assert_eq(json_write(o, JSON_COMPACT, &compact, &len), 0);
	cr_assert_str_eq(compact, "{\"s\":\"/run\",\"b\":true,\"u\":18446744073709551615,\"i\":-1,"
				  "\"v\":[\"a/b\",\"\\\"\"],\"e\":[],\"o\":{}}\n");
	cr_assert_eq(len, strlen(compact));
	cr_assert_eq(json_write(o, JSON_PRETTY, &pretty, NULL), 0);
	cr_assert(strstr(pretty, "\n  \"s\": \"/run\",\n"), "%s", pretty);
	cr_assert_eq(json_put_str(NULL, "s", "x"), -ENOMEM);
	cr_assert_eq(json_put_u64(NULL, "s", 1), -ENOMEM);
	cr_assert_eq(json_put_consume(NULL, "s", json_new_object()), -ENOMEM);
	cr_assert_eq(json_write(NULL, JSON_COMPACT, &compact, NULL), -ENOMEM);
}
