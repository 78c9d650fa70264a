#include "operate/conf_doc.h"

#include "conf/annotations.h"
#include "conf/former.h"
#include "conf/settings.h"

static const char head[] =
	"# Configuration\n"
	"\n"
	"Made from the tables of `src/conf/` by `reaperctl configuration`; change those, not this "
	"page.\n"
	"\n"
	"A node is configured in `/etc/reaper/reaper.conf`: lines of `KEY=VALUE`, blank lines, "
	"and\n"
	"comments that begin with `#`. A value may stand in single or double quotes. There are no\n"
	"blanks around the `=`, no escapes and no expansion, and each key stands there once. The "
	"file\n"
	"must be root's and not writable by everybody. No file is an empty one.\n"
	"\n"
	"A setting in the environment of containerd's service (for `reaperctl`: its own) wins over "
	"the\n"
	"file, a pod's annotation over both, within what the node allows. A value that is not "
	"allowed\n"
	"refuses every new pod of the node with file, line, key, value and what would be allowed: "
	"a "
	"node\n"
	"never starts pods with half a configuration. A key that nobody knows is a warning with "
	"its "
	"line\n"
	"in containerd's log.\n"
	"\n"
	"## Settings\n"
	"\n"
	"| key | default | allowed | takes effect |\n"
	"|---|---|---|---|\n";

static const char annotations_head[] =
	"\n"
	"## Annotations of a pod\n"
	"\n"
	"An annotation narrows what the node allows, or chooses where nothing is wider; it never "
	"gives\n"
	"rights that the pod's spec does not have. One that is misspelt, malformed or not allowed "
	"is an\n"
	"error of the pod's start: a pod that asks for something gets it, or an answer.\n"
	"\n"
	"| annotation | allowed | |\n"
	"|---|---|---|\n";

static const char former_head[] =
	"\n"
	"## From the version in Rust\n"
	"\n"
	"Its keys and annotations mean the same, with these differences. "
	"`REAPER_OVERLAY_ISOLATION` "
	"is\n"
	"`node` unless set (there: `namespace`) and knows `pod`, too. `REAPER_DNS_MODE` is\n"
	"`kubernetes` unless set (there: `host`), and is each pod's own: there the last pod "
	"decided "
	"for\n"
	"its group. `host` shows the node's file as it is: a stub resolver on 127.0.0.53 answers "
	"only pods\n"
	"with `hostNetwork`; `dnsPolicy: Default` is what others want. With\n"
	"`REAPER_ANNOTATIONS_ENABLED=false` a pod that has annotations is refused, not started "
	"without\n"
	"them. `overlay-name` is any name of 1 to 253 bytes (there: a DNS label), within a scope "
	"that may\n"
	"be the node. A key that is set twice, or has blanks around its `=`, is an error.\n"
	"\n"
	"| key | | |\n"
	"|---|---|---|\n";

static const char *moment(enum setting_scope scope)
{
	switch (scope) {
	case SETTING_AT_CONTAINER:
		return "at the next container";
	case SETTING_AT_POD:
		return "at the next pod";
	case SETTING_AT_GROUP:
		return "when the next group is made";
	case SETTING_AT_COMMAND:
		return "at the next command";
	}
	return "";
}

/* Text of a cell: a bar would end it. */
static void put_cell(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '|')
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
}

static void put_settings(FILE *out)
{
	for (size_t i = 0; i < _SETTING_MAX; i++) {
		const struct setting_info *s = setting_info((enum setting_key)i);

		(void)fprintf(out, "| `%s` | `%s` | ", s->name, s->def);
		put_cell(s->allowed, out);
		(void)fprintf(out, " | %s |\n", moment(s->scope));
	}
	(void)fputc('\n', out);
	for (size_t i = 0; i < _SETTING_MAX; i++) {
		const struct setting_info *s = setting_info((enum setting_key)i);

		(void)fprintf(out, "- `%s`: %s\n", s->name, s->help);
	}
}

static void put_annotations(FILE *out)
{
	const struct conf_annotation_info *a;

	for (size_t i = 0; (a = conf_annotation_info(i)); i++) {
		(void)fprintf(out, "| `%s` | ", a->name);
		put_cell(a->allowed ? a->allowed : "nothing: refused, not in this version", out);
		(void)fputs(" | ", out);
		put_cell(a->help, out);
		(void)fputs(" |\n", out);
	}
}

static void put_former(FILE *out)
{
	const struct conf_former_info *f;

	for (size_t i = 0; (f = conf_former_info(i)); i++) {
		(void)fprintf(out, "| `%s` | %s | ", f->name, f->refused ? "refused" : "a warning");
		put_cell(f->instead, out);
		(void)fputs(" |\n", out);
	}
}

void conf_print_doc(FILE *out)
{
	(void)fputs(head, out);
	put_settings(out);
	(void)fputs(annotations_head, out);
	put_annotations(out);
	(void)fputs(former_head, out);
	put_former(out);
}
