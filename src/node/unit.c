#include "node/unit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/macro.h"
#include "base/str.h"
#include "node/confset.h"
#include "node/root.h"

enum { UNIT_FILE_MAX = 1 << 20, UNIT_LINE_MAX = 64 << 10 };

/* the first has precedence */
static const char *const dirs[] = {"/etc/systemd/system", "/run/systemd/system",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"};

struct unit {
	const char *root;
	char *command; /* ExecStart= as written */
	char **variables;
};

static int read_at(const char *root, const char *name, char **ret)
{
	_cleanup_close_ int fd = root_open(root, name, O_RDONLY | O_NONBLOCK);
	size_t len;

	return fd < 0 ? fd : file_read_fd(fd, name, UNIT_FILE_MAX, ret, &len, NULL);
}

/* ---- words: blanks part them, quotes hold them together, a backslash takes the next as it is ----
 */

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* The next word without its quotes in `word`; the rest, or NULL when there was none. */
static const char *next_word(const char *p, struct buf *word)
{
	char quote = 0;

	p = skip_blanks(p);
	if (!*p)
		return NULL;
	word->len = 0;
	if (buf_append(word, "", 0) < 0)
		return NULL;
	for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
		if (quote ? *p == quote : (*p == '"' || *p == '\'')) {
			quote = quote ? 0 : *p;
			continue;
		}
		if (*p == '\\' && p[1])
			p++;
		if (buf_append(word, p, 1) < 0)
			return NULL;
	}
	return p;
}

static const char *value_of(const struct unit *u, const char *name, size_t len)
{
	const char *found = "";

	for (char **v = u->variables; v && *v; v++) {
		if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
			found = *v + len + 1; /* the last one counts */
	}
	return found;
}

static size_t name_length(const char *p)
{
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	return n;
}

/* ${NAME} within a word becomes its value. */
static int put_braces(const struct unit *u, const char *word, struct buf *out)
{
	int r = 0;

	for (const char *p = word; *p && r == 0; p++) {
		size_t n = p[0] == '$' && p[1] == '{' ? name_length(p + 2) : 0;

		if (n > 0 && p[2 + n] == '}') {
			r = buf_append_str(out, value_of(u, p + 2, n));
			p += 2 + n;
		} else {
			r = buf_append(out, p, 1);
		}
	}
	return r;
}

static int add_words(const struct unit *u, const char *line, bool expand, char ***argv)
{
	_cleanup_(buf_done) struct buf word = BUF_INIT(UNIT_LINE_MAX);
	int r = 0;

	while (r == 0 && (line = next_word(line, &word))) {
		_cleanup_(buf_done) struct buf full = BUF_INIT(UNIT_LINE_MAX);
		const char *text = word.data ? word.data : "";

		/* $NAME as a word of its own becomes as many words as its value has */
		if (expand && text[0] == '$' && text[1] && !text[1 + name_length(text + 1)]) {
			r = add_words(u, value_of(u, text + 1, strlen(text) - 1), false, argv);
			continue;
		}
		if (expand)
			r = put_braces(u, text, &full);
		if (r == 0)
			r = strv_append(argv, !expand ? text : full.data ? full.data : "");
	}
	return r;
}

/* ---- files ---- */

/* EnvironmentFile=: a line per variable. */
static int read_environment(struct unit *u, const char *name)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **lines = NULL;
	int r;

	name += *name == '-';
	if (read_at(u->root, name, &text) < 0 || !text)
		return 0;
	r = strv_split(&lines, text, "\n");
	for (char **l = lines; r == 0 && l && *l; l++) {
		const char *line = skip_blanks(*l), *equals = strchr(line, '=');
		_cleanup_(buf_done) struct buf value = BUF_INIT(UNIT_LINE_MAX);

		if (*line == '#' || *line == ';' || !equals)
			continue;
		(void)next_word(equals + 1, &value);
		r = strv_appendf(&u->variables, "%.*s=%s", (int)(equals - line), line,
			value.data ? value.data : "");
	}
	return r;
}

static int take_line(struct unit *u, const char *line)
{
	const char *value = strchr(line, '=');

	if (!value)
		return 0;
	value = skip_blanks(value + 1);
	if (str_has_prefix(line, "ExecStart=")) {
		value += strspn(value, "@-:+!"); /* what systemd does besides starting it */
		if (*value && u->command)
			return 0; /* of several the first is what containerd is */
		free(u->command);
		u->command = NULL;
		return *value ? str_dup(&u->command, value) : 0;
	}
	if (str_has_prefix(line, "Environment=")) {
		if (!*value)
			u->variables = strv_free(u->variables);
		return add_words(u, value, false, &u->variables);
	}
	if (str_has_prefix(line, "EnvironmentFile="))
		return read_environment(u, value);
	return 0;
}

static int read_unit(struct unit *u, const char *name)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(buf_done) struct buf line = BUF_INIT(UNIT_FILE_MAX);
	int r = read_at(u->root, name, &text);
	char *rest = text, *l;

	if (r < 0)
		return r;
	while (rest && r == 0 && (l = strsep(&rest, "\n"))) {
		size_t len = strlen(l);
		bool more = len > 0 && l[len - 1] == '\\';

		if (line.len == 0 && (*l == '#' || *l == ';'))
			continue;
		r = buf_append(&line, l, len - more);
		if (r == 0 && more)
			r = buf_append_str(&line, " ");
		if (r < 0 || more)
			continue;
		r = take_line(u, line.data ? line.data : "");
		line.len = 0;
	}
	return r;
}

/* Drop-ins of all directories in the order of their names; one of an earlier directory hides those
 * of its name. */
static int read_drop_ins(struct unit *u, const char *unit)
{
	_cleanup_strv_ char **names = NULL;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(dirs) && r == 0; i++) {
		_cleanup_free_ char *pattern = NULL;
		_cleanup_strv_ char **found = NULL;

		r = str_printf(&pattern, "%s/%s.d/*.conf", dirs[i], unit);
		if (r == 0)
			r = glob_expand(u->root, pattern, CONFSET_FILES_MAX, &found);
		for (char **f = found; r == 0 && f && *f; f++)
			r = strv_append(&names, *f);
	}
	for (;;) {
		char **least = NULL;

		for (char **n = names; r == 0 && n && *n; n++) {
			if (**n && (!least || strcmp(strrchr(*n, '/'), strrchr(*least, '/')) < 0))
				least = n;
		}
		if (r < 0 || !least)
			return r;
		r = read_unit(u, *least);
		for (char **n = least + 1; *n; n++) {
			if (**n && str_eq(strrchr(*n, '/'), strrchr(*least, '/')))
				**n = '\0';
		}
		**least = '\0';
	}
}

int unit_command(const char *root, const char *unit, char ***ret_argv)
{
	struct unit u = {.root = root};
	_cleanup_strv_ char **argv = NULL;
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_LEN(dirs) && r == -ENOENT; i++) {
		_cleanup_free_ char *name = NULL;

		r = str_printf(&name, "%s/%s", dirs[i], unit);
		if (r == 0)
			r = read_unit(&u, name);
	}
	if (r == 0)
		r = read_drop_ins(&u, unit);
	if (r == 0 && u.command)
		r = add_words(&u, u.command, true, &argv);
	free(u.command);
	strv_free(u.variables);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret_argv = TAKE_PTR(argv);
	return *ret_argv ? 1 : 0;
}
