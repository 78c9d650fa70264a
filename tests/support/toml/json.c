#include "support/toml/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static int put_string(struct buf *out, const char *s, size_t len)
{
	int r = buf_append(out, "\"", 1);

	for (size_t i = 0; i < len && r == 0; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			r = buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			r = buf_printf(out, "\\u%04x", c);
		else
			r = buf_append(out, s + i, 1);
	}
	return r < 0 ? r : buf_append(out, "\"", 1);
}

static int put_scalar(struct buf *out, const struct toml_node *n)
{
	static const char *const names[] = {
		[TOML_STRING] = "string",
		[TOML_INTEGER] = "integer",
		[TOML_FLOAT] = "float",
		[TOML_BOOL] = "bool",
		[TOML_DATETIME] = "datetime",
		[TOML_DATETIME_LOCAL] = "datetime-local",
		[TOML_DATE_LOCAL] = "date-local",
		[TOML_TIME_LOCAL] = "time-local",
	};
	int r = buf_printf(out, "{\"type\": \"%s\", \"value\": ", names[n->type]);

	if (r < 0)
		return r;
	if (n->type == TOML_INTEGER)
		r = buf_printf(out, "\"%" PRId64 "\"", n->integer);
	else if (n->type == TOML_BOOL)
		r = buf_append_str(out, n->boolean ? "\"true\"" : "\"false\"");
	else if (n->type == TOML_FLOAT && isnan(strtod(n->text, NULL)))
		r = buf_append_str(out, "\"nan\"");
	else if (n->type == TOML_FLOAT)
		r = buf_printf(out, "\"%.17g\"", strtod(n->text, NULL));
	else
		r = put_string(out, n->text, n->text_len);
	return r < 0 ? r : buf_append_str(out, "}");
}

/* The reader bounds the nesting (TOML_DEPTH_MAX in keys times in values). */
static int put_node(struct buf *out, const struct toml_node *n)
{
	bool table = n->type == TOML_TABLE;
	int r;

	if (!table && n->type != TOML_ARRAY)
		return put_scalar(out, n);
	r = buf_append_str(out, table ? "{" : "[");
	for (const struct toml_node *c = n->first; c && r == 0; c = c->next) {
		if (c != n->first)
			r = buf_append_str(out, ", ");
		if (r == 0 && table)
			r = put_string(out, c->key, c->key_len);
		if (r == 0 && table)
			r = buf_append_str(out, ": ");
		if (r == 0)
			r = put_node(out, c);
	}
	return r < 0 ? r : buf_append_str(out, table ? "}" : "]");
}

int toml_to_json(const struct toml_doc *doc, struct buf *out)
{
	int r = put_node(out, toml_root(doc));

	return r < 0 ? r : buf_append_str(out, "\n");
}
