#include "shim/options.h"

#include <criterion/criterion.h>
#include <string.h>
#include "base/str.h"

#define PARSE(opts, err, ...)                                                             \
	({                                                                                \
		const char *words[] = {"shim", __VA_ARGS__, NULL};                        \
		shim_options_parse(opts, (int)ARRAY_LEN(words) - 1, (char **)words, err); \
	})

Test(shim_options, reads_the_command_line_of_every_containerd)
{
	struct shim_options o;
	struct err err = ERR_INIT;

	cr_assert_eq(
		PARSE(&o, &err, "-namespace", "k8s.io", "-address", "/run/c.sock",
			"-publish-binary", "/usr/bin/containerd", "-id", "c1", "-debug", "start"),
		0, "%s", err.text);
	cr_assert_eq(o.action, SHIM_START);
	cr_assert(o.debug);
	cr_assert_str_eq(o.ns, "k8s.io");
	cr_assert_str_eq(o.id, "c1");
	cr_assert_str_eq(o.address, "/run/c.sock");

	cr_assert_eq(
		PARSE(&o, &err, "-namespace", "default", "-id", "c1", "-bundle", "/b", "delete"),
		0);
	cr_assert_eq(o.action, SHIM_DELETE);
	cr_assert_str_eq(o.bundle, "/b");
}

Test(shim_options, takes_equals_signs_double_dashes_and_flags_of_the_future)
{
	struct shim_options o;
	struct err err = ERR_INIT;

	cr_assert_eq(PARSE(&o, &err, "--namespace=n", "-id=c", "--shiny-new", "thing", "-other=1",
			     "start"),
		0, "%s", err.text);
	cr_assert_str_eq(o.ns, "n");
	cr_assert_str_eq(o.id, "c");
	cr_assert_eq(o.action, SHIM_START);
}

Test(shim_options, answers_v_and_info_alone)
{
	struct shim_options o;

	cr_assert_eq(PARSE(&o, NULL, "-v"), 0);
	cr_assert_eq(o.action, SHIM_VERSION);
	cr_assert_eq(PARSE(&o, NULL, "-info"), 0);
	cr_assert_eq(o.action, SHIM_INFO);
}

Test(shim_options, answers_who_asks_for_help_with_or_without_an_action)
{
	static const char *const asked[] = {"-h", "-help", "--help"};
	struct shim_options o;

	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		cr_assert_eq(PARSE(&o, NULL, asked[i]), 0);
		cr_assert_eq(o.action, SHIM_HELP);
		cr_assert_eq(PARSE(&o, NULL, "start", asked[i]), 0);
		cr_assert_eq(o.action, SHIM_HELP);
		cr_assert_eq(PARSE(&o, NULL, "-id", "c", "delete", asked[i]), 0);
		cr_assert_eq(o.action, SHIM_HELP);
	}
}

Test(shim_options, refuses_what_is_wrong_in_one_sentence)
{
	static const struct {
		char *argv[6];
		const char *text;
	} cases[] = {
		{{(char *)"-namespace", (char *)"n", (char *)"-id", (char *)"c", (char *)"restart"},
			"restart"},
		{{(char *)"-id", (char *)"c", (char *)"start"}, "-namespace: missing"},
		{{(char *)"-namespace", (char *)"n", (char *)"start"}, "-id: missing"},
		{{(char *)"-namespace", (char *)"n", (char *)"-id", (char *)"../x",
			 (char *)"start"},
			"-id ../x"},
		{{(char *)"-namespace"}, "needs a value"},
		{{(char *)"-debug"}, "no action"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *argv[8] = {(char *)"shim"};
		struct err err = ERR_INIT;
		struct shim_options o;
		int argc = 1;

		for (size_t k = 0; k < ARRAY_LEN(cases[i].argv) && cases[i].argv[k]; k++)
			argv[argc++] = cases[i].argv[k];
		cr_assert_lt(shim_options_parse(&o, argc, argv, &err), 0, "case %zu", i);
		cr_assert_eq(err.kind, ERR_INVALID);
		cr_assert(strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
		cr_assert(!strchr(err.text, '\n'));
	}
}
