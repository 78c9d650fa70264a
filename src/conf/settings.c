#include "conf/settings.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "conf/annotations.h"
#include "conf/former.h"
#include "conf/value.h"

enum { VALUE_TEXT_MAX = 64 << 10 };

#define X(KEY, FUNCTION, ...) [SETTING_##KEY] = {__VA_ARGS__},
static const struct setting_info infos[_SETTING_MAX] = {SETTINGS(X)};
#undef X

/* Text to data and back. */
#define X(KEY, FUNCTION, ...) \
	[SETTING_##KEY] = {.parse = value_parse_##FUNCTION, .format = value_format_##FUNCTION},
static const struct {
	int (*parse)(struct settings *s, const char *text, const char **ret_why);
	int (*format)(const struct settings *s, struct buf *b);
} value_types[_SETTING_MAX] = {SETTINGS(X)};
#undef X

const struct setting_info *setting_info(enum setting_key key)
{
	return &infos[key];
}

/* The settings while they are put together. */
struct loading {
	struct settings s;
	struct reaper_conf conf;
};

static void loading_done(struct loading *l)
{
	settings_done(&l->s);
	reaper_conf_done(&l->conf);
}

/* Sets one key. `where` is the beginning of the error's text ("/etc/reaper/reaper.conf:3"). */
static int set(struct settings *s, enum setting_key key, const char *value,
	struct setting_origin origin, const char *where, struct err *err)
{
	const char *why = NULL;
	int r = value_types[key].parse(s, value, &why);

	if (r == -ENOMEM)
		return err_sysf(err, ENOMEM, "%s", where);
	if (r == -EOPNOTSUPP)
		return err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP, "%s: %s: \"%.80s\": %s", where,
			infos[key].name, value, why);
	if (r < 0)
		return err_setf(err, ERR_INVALID, EINVAL, "%s: %s: \"%.80s\": must be %s", where,
			infos[key].name, value, infos[key].allowed);
	s->origin[key] = origin;
	return 0;
}

static int apply_defaults(struct settings *s, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
		int r = set(s, (enum setting_key)i, infos[i].def,
			(struct setting_origin) {.source = SETTING_DEFAULT}, "default", err);

		assert(r != -EINVAL && r != -EOPNOTSUPP);
		if (r < 0)
			return r;
	}
	return 0;
}

static int find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
		if (str_eq(infos[i].name, name))
			return (int)i;
	}
	return -ENOENT;
}

/* A key that is none of ours: a warning, or a refusal. */
static int other_key(
	struct settings *s, const char *name, const char *value, const char *where, struct err *err)
{
	const struct conf_former_info *former = conf_former_find(name);
	int r;

	if (former && former->refused && former->accepted && str_eq(former->accepted, value))
		return 0;
	if (former && former->refused)
		return err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP,
			"%s: %s: \"%.80s\": not in this version: %s", where, name, value,
			former->instead);
	if (former)
		r = strv_appendf(&s->warnings, "%s: %s: without effect in this version: %s", where,
			name, former->instead);
	else
		r = strv_appendf(&s->warnings, "%s: %.80s: unknown key, ignoring", where, name);
	return r < 0 ? err_sysf(err, ENOMEM, "%s", where) : 0;
}

static int apply_file(struct settings *s, const struct reaper_conf *conf, struct err *err)
{
	for (size_t i = 0; i < conf->n; i++) {
		const struct conf_entry *e = &conf->v[i];
		struct setting_origin origin = {.source = SETTING_FILE, .line = e->line};
		_cleanup_free_ char *where = NULL;
		int key = find_key(e->key), r;

		if (str_printf(&where, "%s:%u", conf->path, e->line) < 0)
			return err_sysf(err, ENOMEM, "%s", conf->path);
		if (key >= 0)
			r = set(s, (enum setting_key)key, e->value, origin, where, err);
		else
			r = other_key(s, e->key, e->value, where, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_environment(struct settings *s, char *const *env, struct err *err)
{
	for (size_t i = 0; env && i < ARRAY_LEN(infos); i++) {
		const char *value = strv_env_get(env, infos[i].name);
		int r;

		if (!value)
			continue;
		r = set(s, (enum setting_key)i, value,
			(struct setting_origin) {.source = SETTING_ENVIRONMENT}, "environment",
			err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; env && conf_former_info(i); i++) {
		const char *name = conf_former_info(i)->name, *value = strv_env_get(env, name);
		int r = value ? other_key(s, name, value, "environment", err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

int settings_load(const char *conf_path, char *const *env, const struct json_pair *annotations,
	size_t n_annotations, struct settings *ret_settings, struct err *err)
{
	_cleanup_(loading_done) struct loading l = {.s = SETTINGS_INIT};
	const char *path = conf_path ? conf_path : CONF_PATH;
	int r = str_dup(&l.s.path, path);

	if (r < 0)
		return err_sysf(err, -r, "%s", path);
	r = apply_defaults(&l.s, err);
	if (r == 0)
		r = reaper_conf_load(path, &l.conf, err);
	if (r == 0)
		r = apply_file(&l.s, &l.conf, err);
	if (r == 0)
		r = apply_environment(&l.s, env, err);
	if (r == 0)
		r = conf_annotations_apply(&l.s, annotations, n_annotations, err);
	if (r < 0)
		return r;
	*ret_settings = l.s;
	l.s = (struct settings)SETTINGS_INIT;
	return 0;
}

void settings_done(struct settings *s)
{
	if (!s)
		return;
	free(s->overlay_base);
	free(s->overlay_name);
	for (size_t i = 0; i < s->n_run_paths; i++)
		free(s->run_paths[i].path);
	free(s->run_paths);
	free(s->user);
	free(s->upper_base);
	free(s->history_file);
	(void)strv_free(s->submounts);
	(void)strv_free(s->passthrough);
	(void)strv_free(s->filter_paths);
	(void)strv_free(s->filter_allowlist);
	free(s->path);
	(void)strv_free(s->warnings);
	*s = (struct settings)SETTINGS_INIT;
}

const char *settings_origin(const struct settings *s, enum setting_key key, char *buf, size_t size)
{
	const struct setting_origin *o = &s->origin[key];

	switch (o->source) {
	case SETTING_DEFAULT:
		(void)snprintf(buf, size, "default");
		break;
	case SETTING_FILE:
		(void)snprintf(buf, size, "%s:%u", s->path, o->line);
		break;
	case SETTING_ENVIRONMENT:
		(void)snprintf(buf, size, "environment");
		break;
	case SETTING_ANNOTATION:
		(void)snprintf(buf, size, "annotation");
		break;
	}
	return buf;
}

int settings_value(const struct settings *s, enum setting_key key, char **ret_text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(VALUE_TEXT_MAX);
	int r = value_types[key].format(s, &b);

	if (r < 0)
		return r;
	*ret_text = TAKE_PTR(b.data);
	return 0;
}

uint64_t setting_size_bytes(const struct setting_size *size, uint64_t memory_bytes)
{
	uint64_t bytes = size->percent ? memory_bytes / 100 * size->percent : size->bytes;

	return bytes < SETTING_SIZE_MIN ? SETTING_SIZE_MIN : bytes;
}
