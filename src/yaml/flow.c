#include <json-c/json.h>
#include <string.h>
#include "base/cleanup.h"
#include "yaml/impl.h"

/* To the next thing, also over lines' ends. */
static int skip(struct yaml *y)
{
	for (;;) {
		yaml_skip_blanks(y);
		if (!yaml_at_line_end(y))
			break;
		if (y->at == y->end)
			return yaml_refuse(y, "a [ or { has no end");
		yaml_next_line(y);
		if (y->end - y->at >= 3 &&
			(memcmp(y->at, "---", 3) == 0 || memcmp(y->at, "...", 3) == 0))
			return yaml_refuse(y, "a [ or { has no end in its document");
	}
	return *y->at == '\t' ? yaml_refuse(y, "a tab: only blanks stand between words") : 0;
}

static int value(struct yaml *y, struct json_object **ret)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(JSON_STRING_MAX);
	bool quoted = *y->at == '"' || *y->at == '\'';
	int r;

	if (*y->at == '[' || *y->at == '{')
		return yaml_flow(y, ret);
	r = yaml_count(y);
	if (r == 0)
		r = quoted ? yaml_quoted(y, &text) : yaml_plain(y, true, &text);
	if (r < 0)
		return r;
	return quoted ? yaml_string(y, &text, ret) : yaml_resolve(y, text.data, ret);
}

static int member(struct yaml *y, struct json_object *object)
{
	_cleanup_(buf_done) struct buf key = BUF_INIT(YAML_KEY_MAX);
	bool quoted = *y->at == '"' || *y->at == '\'';
	struct json_object *child = NULL;
	int r = quoted ? yaml_quoted(y, &key) : yaml_plain(y, true, &key);

	if (r == 0 && !quoted)
		r = yaml_plain_key(y, key.data);
	if (r < 0)
		return r;
	yaml_skip_blanks(y);
	if (!yaml_is(y, 0, ':'))
		return yaml_refuse(y, "%.80s: in { } each name has a \": \" and a value",
			key.data ? key.data : "");
	y->at++;
	r = skip(y);
	if (r == 0)
		r = value(y, &child);
	return r < 0 ? r : yaml_put(y, object, key.data ? key.data : "", child);
}

static int elements(struct yaml *y, char close, struct json_object *collection)
{
	struct json_object *child = NULL;
	int r;

	for (;;) {
		r = skip(y);
		if (r < 0 || *y->at == close)
			return r;
		if (close == '}')
			r = member(y, collection);
		else
			r = value(y, &child);
		if (r == 0 && close == ']')
			r = yaml_append(y, collection, child);
		if (r == 0)
			r = skip(y);
		if (r < 0 || *y->at == close)
			return r;
		if (*y->at != ',')
			return yaml_refuse(
				y, "%.1s: in [ ] and { } a comma stands between values", y->at);
		y->at++;
	}
}

int yaml_flow(struct yaml *y, struct json_object **ret)
{
	char close = *y->at == '[' ? ']' : '}';
	_cleanup_(json_object_freep) struct json_object *o = NULL;
	int r = yaml_enter(y);

	if (r < 0)
		return r;
	y->at++;
	o = close == ']' ? json_new_list() : json_new_object();
	r = o ? elements(y, close, o) : yaml_no_memory(y);
	if (r < 0)
		return r;
	y->at++;
	yaml_leave(y);
	*ret = TAKE_PTR(o);
	return 0;
}
