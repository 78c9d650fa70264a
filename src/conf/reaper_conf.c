#include "conf/reaper_conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"

/* One line being taken apart. */
struct line {
	const char *path;
	unsigned number;
	const char *text; /* without the newline; not terminated */
	size_t len;
};

static int bad(const struct line *l, struct err *err, const char *what)
{
	return err_setf(err, ERR_INVALID, EINVAL, "%s:%u: %s", l->path, l->number, what);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Shortens the line at both ends. */
static void trim(struct line *l)
{
	while (l->len > 0 && is_blank(l->text[0])) {
		l->text++;
		l->len--;
	}
	while (l->len > 0 && is_blank(l->text[l->len - 1]))
		l->len--;
}

static size_t key_length(const struct line *l)
{
	size_t n = 0;

	while (n < l->len && (isalpha((unsigned char)l->text[n]) || l->text[n] == '_' ||
				     (n > 0 && isdigit((unsigned char)l->text[n]))))
		n++;
	return n;
}

/* Where a comment begins behind a value, or the end. */
static size_t until_comment(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '#' && (i == 0 || is_blank(s[i - 1])))
			return i;
	}
	return len;
}

/* "value" # comment: the span between the quotes. */
static int quoted(const struct line *l, struct line *value, struct err *err)
{
	const char *end = memchr(value->text + 1, value->text[0], value->len - 1);
	struct line rest = *l;

	if (!end)
		return bad(l, err, "the value has an opening quote and no closing one");
	rest.text = end + 1;
	rest.len = (size_t)(value->text + value->len - rest.text);
	if (rest.len > 0 && !is_blank(rest.text[0]))
		return bad(l, err, "text behind the closing quote");
	trim(&rest);
	if (rest.len > 0 && rest.text[0] != '#')
		return bad(l, err, "text behind the closing quote");
	value->text++;
	value->len = (size_t)(end - value->text);
	return 0;
}

static int plain(const struct line *l, struct line *value, struct err *err)
{
	value->len = until_comment(value->text, value->len);
	trim(value);
	if (memchr(value->text, '"', value->len) || memchr(value->text, '\'', value->len))
		return bad(l, err,
			"a quote inside the value: put the whole value in quotes of the other "
			"kind");
	return 0;
}

static int split(const struct line *l, struct line *key, struct line *value, struct err *err)
{
	key->len = key_length(l);
	if (key->len == 0)
		return bad(l, err, "expected KEY=VALUE, or a comment that begins with #");
	if (key->len == l->len)
		return bad(l, err, "expected KEY=VALUE: there is no '='");
	if (is_blank(l->text[key->len]))
		return bad(l, err, "expected KEY=VALUE without blanks around the '='");
	if (l->text[key->len] != '=')
		return bad(l, err, "expected KEY=VALUE: a key has only letters, digits and '_'");
	value->text = l->text + key->len + 1;
	value->len = l->len - key->len - 1;
	if (value->len > 0 && is_blank(value->text[0])) {
		struct line rest = *value;

		rest.len = until_comment(rest.text, rest.len);
		trim(&rest);
		if (rest.len > 0)
			return bad(l, err, "expected KEY=VALUE without blanks around the '='");
	}
	if (value->len > 0 && (value->text[0] == '"' || value->text[0] == '\''))
		return quoted(l, value, err);
	return plain(l, value, err);
}

static int append(
	struct reaper_conf *conf, const struct line *key, const struct line *value, struct err *err)
{
	struct conf_entry e = {.line = key->number}, *grown;

	if (conf->n == CONF_LINES_MAX)
		return bad(key, err, "too many assignments");
	for (size_t i = 0; i < conf->n; i++) {
		if (strlen(conf->v[i].key) == key->len &&
			memcmp(conf->v[i].key, key->text, key->len) == 0)
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s:%u: %s: already set in line %u", key->path, key->number,
				conf->v[i].key, conf->v[i].line);
	}
	grown = reallocarray(conf->v, conf->n + 1, sizeof(*conf->v));
	if (!grown)
		return err_sysf(err, ENOMEM, "%s", key->path);
	conf->v = grown;
	e.key = strndup(key->text, key->len);
	e.value = strndup(value->text, value->len);
	conf->v[conf->n++] = e;
	return e.key && e.value ? 0 : err_sysf(err, ENOMEM, "%s", key->path);
}

static int parse_line(struct reaper_conf *conf, struct line *l, struct err *err)
{
	struct line key, value;
	int r;

	if (l->len > 0 && l->text[l->len - 1] == '\r') /* edited elsewhere */
		l->len--;
	if (l->len > CONF_LINE_MAX)
		return bad(l, err, "the line is too long");
	for (size_t i = 0; i < l->len; i++) {
		unsigned char c = (unsigned char)l->text[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return bad(l, err, "a control character is in the line");
	}
	trim(l);
	if (l->len == 0 || l->text[0] == '#')
		return 0;
	key = value = *l;
	r = split(l, &key, &value, err);
	return r < 0 ? r : append(conf, &key, &value, err);
}

int reaper_conf_parse_from(const char *text, size_t len, const char *path, unsigned first_line,
	struct reaper_conf *ret_conf, struct err *err)
{
	_cleanup_(reaper_conf_done) struct reaper_conf conf = REAPER_CONF_INIT;
	struct line l = {.path = path, .number = first_line - 1};
	const char *p = text, *end = text + len;
	int r;

	if (len > CONF_FILE_MAX)
		return err_setf(
			err, ERR_INVALID, EFBIG, "%s: larger than %d bytes", path, CONF_FILE_MAX);
	conf.path = strdup(path);
	if (!conf.path)
		return err_sysf(err, ENOMEM, "%s", path);
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *stop = newline ? newline : end;

		l.number++;
		l.text = p;
		l.len = (size_t)(stop - p);
		r = parse_line(&conf, &l, err);
		if (r < 0)
			return r;
		p = stop + (newline != NULL);
	}
	*ret_conf = conf;
	conf = (struct reaper_conf)REAPER_CONF_INIT;
	return 0;
}

int reaper_conf_parse(const char *text, size_t len, const char *path, struct reaper_conf *ret_conf,
	struct err *err)
{
	return reaper_conf_parse_from(text, len, path, 1, ret_conf, err);
}

int reaper_conf_load(const char *path, struct reaper_conf *ret_conf, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r;

	if (fd < 0 && errno == ENOENT)
		return reaper_conf_parse("", 0, path, ret_conf, err);
	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	/* it decides what root does on this node */
	r = file_check_owner(fd, path, S_IWOTH, err);
	if (r == 0)
		r = file_read_fd(fd, path, CONF_FILE_MAX, &text, &len, err);
	if (r < 0)
		return r;
	return reaper_conf_parse(text ? text : "", len, path, ret_conf, err);
}

void reaper_conf_done(struct reaper_conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->n; i++) {
		free(conf->v[i].key);
		free(conf->v[i].value);
	}
	free(conf->v);
	free(conf->path);
	*conf = (struct reaper_conf)REAPER_CONF_INIT;
}
