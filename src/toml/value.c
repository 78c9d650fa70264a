/* key = value: dotted keys, arrays and inline tables. Recursion is bounded by TOML_DEPTH_MAX. */
#include <errno.h>
#include <string.h>
#include "toml/impl.h"

/* One step of a dotted key: the child table that it made itself, or a new one. */
static int dotted_step(struct toml_parser *p, struct toml_node *at, const struct toml_part *part,
	struct toml_node **ret)
{
	struct toml_node *n = toml_lookup(p->doc, at, part->text, part->len);

	if (!n) {
		n = toml_add(p->doc, at, part, TOML_TABLE);
		if (!n)
			return err_sysf(p->err, ENOMEM, "%s", p->what);
		n->flags |= TOML_DOTTED;
		n->line = p->line;
		n->begin = (uint32_t)p->pos;
		n->end = (uint32_t)p->pos;
	} else if (n->type != TOML_TABLE || !(n->flags & (TOML_DOTTED | TOML_IMPLICIT)) ||
		   (n->flags & TOML_INLINE)) {
		return toml_fail_at(p, part->at,
			"\"%s\" cannot be extended: it is complete since line %u", part->text,
			n->line);
	}
	/* a parent that only headers had implied belongs to this key from now on */
	n->flags = (uint8_t)((n->flags & ~TOML_IMPLICIT) | TOML_DOTTED);
	*ret = n;
	return 0;
}

int toml_read_pair(struct toml_parser *p, struct toml_node *table)
{
	const struct toml_part *last;
	struct toml_node *node;
	struct toml_key key;
	int r = toml_read_key(p, &key);

	if (r < 0)
		return r;
	if (toml_peek(p, 0) != '=')
		return toml_fail(p, "key \"%s\" without '='", key.parts[0].text);
	p->pos++;
	for (size_t i = 0; i + 1 < key.n; i++) {
		r = dotted_step(p, table, &key.parts[i], &table);
		if (r < 0)
			return r;
	}
	last = &key.parts[key.n - 1];
	node = toml_lookup(p->doc, table, last->text, last->len);
	if (node)
		return toml_fail_at(p, last->at,
			"key \"%s\" is defined a second time (first in line %u)", last->text,
			node->line);
	node = toml_add(p->doc, table, last, TOML_BOOL);
	if (!node)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	r = toml_skip(p, false);
	return r < 0 ? r : toml_read_value(p, node);
}

static int read_array(struct toml_parser *p, struct toml_node *array)
{
	array->type = TOML_ARRAY;
	array->flags |= TOML_INLINE;
	p->pos++;
	for (;;) {
		struct toml_node *item;
		int r = toml_skip(p, true);

		if (r < 0)
			return r;
		if (toml_peek(p, 0) == ']')
			break;
		item = toml_add(p->doc, array, NULL, TOML_BOOL);
		if (!item)
			return err_sysf(p->err, ENOMEM, "%s", p->what);
		r = toml_read_value(p, item);
		if (r == 0)
			r = toml_skip(p, true);
		if (r < 0)
			return r;
		if (toml_peek(p, 0) == ']')
			break;
		if (toml_peek(p, 0) != ',')
			return toml_fail(
				p, "array without ',' or ']' (it begins in line %u)", array->line);
		p->pos++;
	}
	p->pos++;
	return 0;
}

/* Tables that dotted keys made inside of an inline table are closed with it. */
static void close_inline(struct toml_node *table)
{
	table->flags |= TOML_INLINE;
	for (struct toml_node *n = table->first; n; n = n->next) {
		if (n->type == TOML_TABLE && !(n->flags & TOML_INLINE))
			close_inline(n);
	}
}

static int read_inline_table(struct toml_parser *p, struct toml_node *table)
{
	bool first = true;

	table->type = TOML_TABLE;
	p->pos++;
	for (;;) {
		int r = toml_skip(p, false);

		if (r < 0)
			return r;
		if (toml_peek(p, 0) == '}' && first)
			break;
		if (toml_peek(p, 0) == '\n' || toml_peek(p, 0) == '\r' || toml_peek(p, 0) == '#')
			return toml_fail(p, "an inline table must stand on one line");
		r = toml_read_pair(p, table);
		if (r == 0)
			r = toml_skip(p, false);
		if (r < 0)
			return r;
		first = false;
		if (toml_peek(p, 0) == '}')
			break;
		if (toml_peek(p, 0) != ',')
			return toml_fail(p, "inline table without ',' or '}' on its line");
		p->pos++;
	}
	p->pos++;
	close_inline(table);
	return 0;
}

int toml_read_value(struct toml_parser *p, struct toml_node *node)
{
	struct toml_part text;
	int c = toml_peek(p, 0), r;

	node->begin = (uint32_t)p->pos;
	node->line = p->line;
	if (p->depth == TOML_DEPTH_MAX)
		return toml_fail(p, "values inside each other more than %d deep", TOML_DEPTH_MAX);
	p->depth++;
	if (c == '"' || c == '\'') {
		r = toml_read_string(p, true, &text);
		if (r == 0) {
			node->type = TOML_STRING;
			node->text = text.text;
			node->text_len = (uint32_t)text.len;
		}
	} else if (c == '[') {
		r = read_array(p, node);
	} else if (c == '{') {
		r = read_inline_table(p, node);
	} else {
		r = toml_read_scalar(p, node);
	}
	p->depth--;
	node->end = (uint32_t)p->pos;
	return r;
}
