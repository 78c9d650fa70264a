#include "shim/options.h"

#include <errno.h>
#include <stddef.h>
#include "base/str.h"

static const struct flag {
	const char *name;
	size_t value; /* offset of the const char * it sets; 0 and no value: a switch */
	bool takes_value;
	enum shim_action action; /* switches that are an action of their own */
	bool is_action;
} flags[] = {
	{"namespace", offsetof(struct shim_options, ns), true},
	{"id", offsetof(struct shim_options, id), true},
	{"address", offsetof(struct shim_options, address), true},
	{"bundle", offsetof(struct shim_options, bundle), true},
	{"publish-binary", offsetof(struct shim_options, publish), true},
	{"debug", offsetof(struct shim_options, debug), false},
	{"v", 0, false, SHIM_VERSION, true},
	{"version", 0, false, SHIM_VERSION, true},
	{"info", 0, false, SHIM_INFO, true},
	{"h", 0, false, SHIM_HELP, true},
	{"help", 0, false, SHIM_HELP, true},
};

static const struct flag *find_flag(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0)
			return &flags[i];
	}
	return NULL;
}

static void set_switch(
	struct shim_options *opts, const struct flag *flag, const char *value, bool *chosen)
{
	bool on = !value || str_eq(value, "true") || str_eq(value, "1");

	if (!flag->is_action) {
		opts->debug = on;
	} else if (on && !*chosen) {
		opts->action = flag->action;
		*chosen = true;
	}
}

static int check_names(const struct shim_options *opts, struct err *err)
{
	const struct {
		const char *flag, *value;
	} names[] = {{"-namespace", opts->ns}, {"-id", opts->id}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_empty(names[i].value))
			return err_setf(err, ERR_INVALID, EINVAL, "%s: missing", names[i].flag);
		if (!str_is_identifier(names[i].value))
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s %.100s: not an identifier (letters, digits, and single . _ - "
				"between them, "
				"at most 76 bytes)",
				names[i].flag, names[i].value);
	}
	return 0;
}

static int set_action(struct shim_options *opts, const char *word, struct err *err)
{
	if (str_eq(word, "start"))
		opts->action = SHIM_START;
	else if (str_eq(word, "delete"))
		opts->action = SHIM_DELETE;
	else
		return err_setf(err, ERR_INVALID, EINVAL,
			"%.100s: unknown action; it is start or delete", word);
	return 0;
}

int shim_options_parse(struct shim_options *opts, int argc, char **argv, struct err *err)
{
	bool chosen = false;
	int i, r;

	*opts = (struct shim_options) {0};
	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1);
		const char *eq = strchr(name, '=');
		const struct flag *flag = find_flag(name, eq ? (size_t)(eq - name) : strlen(name));
		const char *value = eq ? eq + 1 : NULL;

		if (!*name) { /* "--" ends the flags */
			i++;
			break;
		}
		if (flag && !flag->takes_value) {
			set_switch(opts, flag, value, &chosen);
			continue;
		}
		/* an unknown flag: its value, if it has one, is the next word that is no flag and
		 * not the last */
		if (!flag && !value && i + 2 < argc && argv[i + 1][0] != '-') {
			i++;
			continue;
		}
		if (!flag)
			continue;
		if (!value && ++i >= argc)
			return err_setf(err, ERR_INVALID, EINVAL, "-%s: needs a value", flag->name);
		*(const char **)((char *)opts + flag->value) = value ? value : argv[i];
	}
	if (chosen)
		return 0;
	if (i >= argc)
		return err_setf(err, ERR_INVALID, EINVAL,
			"no action: this program is started by containerd (start, delete); try -h");
	r = set_action(opts, argv[i], err);
	/* behind an action containerd says nothing; a person may ask */
	if (r == 0 && i + 1 < argc && strv_asks_help(argv + i + 1)) {
		opts->action = SHIM_HELP;
		return 0;
	}
	return r < 0 ? r : check_names(opts, err);
}
