#include "merge/stanza.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/sha256.h"
#include "base/str.h"
#include "merge/compare.h"

#define MARK_BEGIN "#>> reaper block="
#define MARK_END   "#<< reaper block="

enum { HANDLER_MAX = 63 }; /* a DNS label */

bool stanza_is_handler(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= HANDLER_MAX && name[0] != '-' && name[len - 1] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* ---- finding ---- */

static size_t after_line(const char *text, size_t end)
{
	if (text[end] == '\r')
		end++;
	return text[end] == '\n' ? end + 1 : end;
}

static size_t line_begin(const char *text, size_t at)
{
	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

/* " name=NUMBER" in a marker line. */
static bool marker_number(const char *line, const char *name, unsigned max, unsigned *ret)
{
	const char *p = strstr(line, name);
	unsigned long v;

	if (!p || !isdigit((unsigned char)p[strlen(name)]))
		return false;
	v = strtoul(p + strlen(name), NULL, 10);
	if (v > max)
		return false;
	*ret = (unsigned)v;
	return true;
}

/* Steps back over the line ends that were put in front of the marker, as far as they are there. */
static size_t gap_begin(const char *text, size_t at, unsigned gap)
{
	while (gap > 0 && at > 0 && text[at - 1] == '\n') {
		at--;
		if (at > 0 && text[at - 1] == '\r')
			at--;
		gap--;
	}
	return at;
}

static int read_marker(const char *text, const struct toml_comment *begin,
	const struct toml_comment *end, struct stanza_block *ret, struct err *err)
{
	_cleanup_free_ char *line = strndup(text + begin->begin, begin->end - begin->begin);
	char hash[SHA256_HEX_SIZE];
	const char *claimed;

	if (!line)
		return err_sysf(err, ENOMEM, "marker");
	if (!marker_number(line, " format=", 1000, &ret->format) ||
		!marker_number(line, " gap=", STANZA_GAP_MAX, &ret->gap))
		return err_setf(err, ERR_INVALID, EBADMSG,
			"line %u: the marker of the reaper block cannot be read", begin->line);
	ret->line = begin->line;
	ret->begin = gap_begin(text, line_begin(text, begin->begin), ret->gap);
	ret->body_begin = after_line(text, begin->end);
	ret->body_end = line_begin(text, end->begin);
	ret->end = after_line(text, end->end);
	sha256_hex(text + ret->body_begin, ret->body_end - ret->body_begin, hash);
	claimed = strstr(line, " sha256=");
	ret->intact = claimed && strncmp(claimed + strlen(" sha256="), hash, strlen(hash)) == 0;
	return 1;
}

/* Whether the comment is this marker, of this handler and not of one with a longer name. */
static bool comment_is(
	const char *text, const struct toml_comment *c, const char *mark, const char *handler)
{
	size_t len = strlen(mark), name = strlen(handler), all = c->end - c->begin;
	const char *s = text + c->begin;

	return c->alone && all >= len + name && memcmp(s, mark, len) == 0 &&
	       memcmp(s + len, handler, name) == 0 &&
	       (all == len + name || isspace((unsigned char)s[len + name]));
}

int stanza_find(const char *text, size_t len, const struct toml_doc *doc, const char *handler,
	struct stanza_block *ret, struct err *err)
{
	const struct toml_comment *begin = NULL, *end = NULL, *comments;
	struct stanza_block block = {0};
	size_t n;
	int r;

	comments = toml_comments(doc, &n);
	for (size_t i = 0; i < n; i++) {
		const struct toml_comment *c = &comments[i], **which;

		if (comment_is(text, c, MARK_BEGIN, handler))
			which = &begin;
		else if (comment_is(text, c, MARK_END, handler))
			which = &end;
		else
			continue;
		if (*which)
			return err_setf(err, ERR_INVALID, EBADMSG,
				"there are two reaper blocks: lines %u and %u", (*which)->line,
				c->line);
		*which = c;
	}
	if (!begin && !end)
		return 0;
	if (!begin || !end || end->begin < begin->begin)
		return err_setf(err, ERR_INVALID, EBADMSG,
			"line %u: the reaper block has no %s marker",
			begin ? begin->line : end->line, begin ? "end" : "begin");
	r = read_marker(text, begin, end, &block, err);
	if (r < 0)
		return r;
	block.intact = block.intact && !stanza_spills(text, len, doc, handler, &block);
	*ret = block;
	return r;
}

/* ---- writing ---- */

const char *stanza_eol(const char *text, size_t len)
{
	size_t lf = 0, crlf = 0;

	for (const char *p = text; p && (p = memchr(p, '\n', len - (size_t)(p - text))); p++) {
		lf++;
		crlf += p > text && p[-1] == '\r';
	}
	return crlf * 2 > lf ? "\r\n" : "\n";
}

unsigned stanza_gap(const char *text, size_t len)
{
	if (len == 0)
		return 0;
	return text[len - 1] == '\n' ? 1 : 2;
}

static int put_value(struct buf *out, const struct toml_node *n)
{
	int r;

	switch (n->type) {
	case TOML_STRING:
		return toml_put_quoted(out, n->text, n->text_len);
	case TOML_INTEGER:
		return buf_printf(out, "%" PRId64, n->integer);
	case TOML_BOOL:
		return buf_append_str(out, n->boolean ? "true" : "false");
	case TOML_ARRAY:
		r = buf_append(out, "[", 1);
		for (const struct toml_node *c = n->first; c && r == 0; c = c->next) {
			r = put_value(out, c);
			if (r == 0 && c->next)
				r = buf_append_str(out, ", ");
		}
		return r < 0 ? r : buf_append(out, "]", 1);
	case TOML_FLOAT:
	case TOML_DATETIME:
	case TOML_DATETIME_LOCAL:
	case TOML_DATE_LOCAL:
	case TOML_TIME_LOCAL:
		return buf_append(out, n->text, n->text_len);
	case TOML_TABLE:
		break;
	}
	return -EINVAL; /* tables get headers: put_table */
}

static int put_key(struct buf *out, const struct toml_node *n)
{
	_cleanup_(buf_done) struct buf key = BUF_INIT(64 << 10);
	int r = toml_path_push(&key, n->key, n->key_len);

	return r < 0 ? r : buf_append(out, key.data, key.len);
}

/* A table and, below it, its tables: keys that are zero in the daemon's view are left out, for the
 * next release may not know them. */
static int put_table(
	struct buf *out, const char *path, const struct toml_node *table, const char *eol)
{
	int r = buf_printf(out, "[%s]%s", path, eol);

	for (const struct toml_node *n = table->first; n && r == 0; n = n->next) {
		if (n->type == TOML_TABLE || toml_is_zero(n))
			continue;
		r = put_key(out, n);
		if (r == 0)
			r = buf_append_str(out, " = ");
		if (r == 0)
			r = put_value(out, n);
		if (r == 0)
			r = buf_append_str(out, eol);
	}
	for (const struct toml_node *n = table->first; n && r == 0; n = n->next) {
		_cleanup_(buf_done) struct buf sub = BUF_INIT(64 << 10);

		if (n->type != TOML_TABLE || toml_is_zero(n))
			continue;
		r = buf_append_str(&sub, path);
		if (r == 0)
			r = toml_path_push(&sub, n->key, n->key_len);
		if (r == 0)
			r = buf_append_str(out, eol);
		if (r == 0)
			r = put_table(out, sub.data, n, eol);
	}
	return r;
}

/* plugins."PLUGIN".containerd.runtimes */
static int put_path(struct buf *out, const struct stanza_spec *spec)
{
	int r = buf_append_str(out, "plugins");

	if (r == 0)
		r = toml_path_push(out, spec->plugin, strlen(spec->plugin));
	return r == 0 ? buf_append_str(out, ".containerd.runtimes") : r;
}

static int put_carried(struct buf *out, const struct stanza_spec *spec)
{
	int r = 0;

	for (const struct toml_node *n = spec->carry->first; n && r == 0; n = n->next) {
		_cleanup_(buf_done) struct buf path = BUF_INIT(64 << 10);

		if (n->type != TOML_TABLE || toml_is_zero(n))
			continue;
		r = put_path(&path, spec);
		if (r == 0)
			r = toml_path_push(&path, n->key, n->key_len);
		if (r == 0)
			r = put_table(out, path.data, n, spec->eol);
		if (r == 0)
			r = buf_append_str(out, spec->eol);
	}
	return r;
}

static int put_ours(struct buf *out, const struct stanza_spec *spec)
{
	static const char *const sandbox[] = {
		[STANZA_SANDBOX_NONE] = NULL,
		[STANZA_SANDBOX_MODE] = "sandbox_mode",
		[STANZA_SANDBOXER] = "sandboxer",
	};
	_cleanup_(buf_done) struct buf path = BUF_INIT(64 << 10);
	int r = put_path(&path, spec);

	if (r == 0)
		r = buf_printf(out,
			"[%s.%s]%s"
			"runtime_type = \"" STANZA_TYPE "\"%s"
			"pod_annotations = [\"" STANZA_ANNOTATIONS "\"]%s"
			"container_annotations = [\"" STANZA_ANNOTATIONS "\"]%s",
			path.data, spec->handler, spec->eol, spec->eol, spec->eol, spec->eol);
	if (r == 0 && sandbox[spec->sandbox])
		r = buf_printf(out, "%s = \"podsandbox\"%s", sandbox[spec->sandbox], spec->eol);
	return r;
}

static int put_body(struct buf *out, const struct stanza_spec *spec)
{
	int r = 0;

	if (spec->version)
		r = buf_printf(out, "version = %u%s%s", spec->version, spec->eol, spec->eol);
	if (r == 0 && spec->carry)
		r = put_carried(out, spec);
	return r == 0 ? put_ours(out, spec) : r;
}

int stanza_write(const struct stanza_spec *spec, struct buf *out)
{
	_cleanup_(buf_done) struct buf body = BUF_INIT(1 << 20);
	char hash[SHA256_HEX_SIZE];
	int r = put_body(&body, spec);

	for (unsigned i = 0; i < spec->gap && r == 0; i++)
		r = buf_append_str(out, spec->eol);
	if (r < 0)
		return r;
	sha256_hex(body.data, body.len, hash);
	r = buf_printf(out,
		MARK_BEGIN "%s format=%d gap=%u sha256=%s (made by reaperctl, do not edit; "
			   "\"reaperctl containerd undo\" takes it out)%s%s" MARK_END "%s%s",
		spec->handler, STANZA_FORMAT, spec->gap, hash, spec->eol, body.data, spec->handler,
		spec->eol);
	return r;
}

static bool is_annotations(const struct toml_node *n)
{
	return n->type == TOML_ARRAY && n->count == 1 && n->first->type == TOML_STRING &&
	       str_eq(n->first->text, STANZA_ANNOTATIONS);
}

bool stanza_is_ours(const struct toml_doc *doc, const struct toml_node *runtime)
{
	const char *type = toml_get_string(doc, runtime, "runtime_type");

	return type && str_eq(type, STANZA_TYPE);
}

bool stanza_matches(const struct toml_doc *doc, const struct toml_node *runtime)
{
	unsigned annotations = 0;

	if (!stanza_is_ours(doc, runtime))
		return false;
	for (const struct toml_node *n = runtime->first; n; n = n->next) {
		if (str_eq(n->key, "runtime_type"))
			continue;
		if (str_eq(n->key, "pod_annotations") || str_eq(n->key, "container_annotations")) {
			if (!is_annotations(n))
				return false;
			annotations++;
		} else if (!toml_is_zero(n)) {
			return false;
		}
	}
	return annotations == 2;
}

bool stanza_has_annotations(const struct toml_doc *doc, const struct toml_node *runtime)
{
	static const char *const lists[] = {"pod_annotations", "container_annotations"};

	for (size_t i = 0; i < 2; i++) {
		const struct toml_node *list = toml_get(doc, runtime, lists[i]);
		bool passes = false;

		for (const struct toml_node *n = list ? list->first : NULL; n; n = n->next)
			passes |= n->type == TOML_STRING &&
				  (str_eq(n->text, STANZA_ANNOTATIONS) || str_eq(n->text, "*"));
		if (!passes)
			return false;
	}
	return true;
}
