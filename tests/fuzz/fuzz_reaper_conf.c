/*
 * A reaper.conf of any bytes, and its values as settings. What must hold: an error has a text of
 * one line; keys are names; each accepted value, written back, is accepted again and means the
 * same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "conf/annotations.h"
#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct err *err)
{
	assert(err->kind != ERR_NONE && err->text[0] != '\0');
	for (const char *c = err->text; *c; c++)
		assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

/* The settings that one assignment makes, from the environment. */
static int load(const char *key, const char *value, struct settings *s, struct err *err)
{
	char *env[2] = {NULL, NULL};
	int r;

	if (str_printf(&env[0], "%s=%s", key, value) < 0)
		abort();
	r = settings_load("/nonexistent/reaper.conf", env, NULL, 0, s, err);
	free(env[0]);
	return r;
}

static void use_value(const char *key, const char *value)
{
	struct settings s = SETTINGS_INIT, again = SETTINGS_INIT;
	struct err err = ERR_INIT;
	char *one, *two;

	if (load(key, value, &s, &err) < 0) {
		check_error(&err);
		return;
	}
	for (int i = 0; i < _SETTING_MAX; i++) {
		enum setting_key k = (enum setting_key)i;

		if (!str_eq(setting_info(k)->name, key))
			continue;
		if (settings_value(&s, k, &one) < 0)
			abort();
		if (load(key, one, &again, &err) < 0 || settings_value(&again, k, &two) < 0)
			abort();
		assert(str_eq(one, two));
		free(one);
		free(two);
	}
	settings_done(&s);
	settings_done(&again);
}

static void use_annotation(const char *key, const char *value)
{
	const struct json_pair pair = {(char *)(uintptr_t)key, (char *)(uintptr_t)value};
	struct settings s = SETTINGS_INIT;
	struct err err = ERR_INIT;

	if (settings_load("/nonexistent/reaper.conf", NULL, &pair, 1, &s, &err) < 0)
		check_error(&err);
	settings_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reaper_conf conf = REAPER_CONF_INIT;
	struct err err = ERR_INIT;
	char *text = malloc(size ? size : 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	if (reaper_conf_parse(text, size, "reaper.conf", &conf, &err) < 0) {
		check_error(&err);
		assert(!conf.v);
	}
	for (size_t i = 0; i < conf.n && i < 16; i++) {
		assert(conf.v[i].key[0] != '\0' && !strpbrk(conf.v[i].key, "= \t\"'#"));
		assert(!strchr(conf.v[i].value, '\n'));
		use_value(conf.v[i].key, conf.v[i].value);
		use_annotation("reaper.runtime/exit-grace", conf.v[i].value);
	}
	reaper_conf_done(&conf);
	free(text);
	return 0;
}
