/*
 * The annotations of a pod, whose author may be anybody: lines of KEY=VALUE. What must hold: an
 * error has a text of one line; nothing that the node decides is changed, and what may be narrowed
 * is not widened; the pod's group has a label of one line and a key that is a file name.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "conf/annotations.h"
#include "conf/settings.h"
#include "oci/annotations.h"
#include "store/group.h"

enum { PAIRS_MAX = 32, GRACE_MS = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text)
{
	assert(text[0] != '\0');
	for (const char *c = text; *c; c++)
		assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

static size_t split(char *text, struct json_pair *pairs)
{
	size_t n = 0;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line && n < PAIRS_MAX;
		line = strtok_r(NULL, "\n", &save)) {
		char *equals = strchr(line, '=');

		if (!equals)
			continue;
		*equals = '\0';
		pairs[n++] = (struct json_pair) {line, equals + 1};
	}
	return n;
}

/* What an annotation may change besides the members that only it has. */
static bool may_change(int key)
{
	return key == SETTING_EXIT_GRACE || key == SETTING_DNS_MODE;
}

static void check_narrower(const struct settings *node, const struct settings *pod)
{
	for (int i = 0; i < _SETTING_MAX; i++) {
		char *of_node, *of_pod;

		if (settings_value(node, (enum setting_key)i, &of_node) < 0 ||
			settings_value(pod, (enum setting_key)i, &of_pod) < 0)
			abort();
		assert(may_change(i) || str_eq(of_node, of_pod));
		free(of_node);
		free(of_pod);
	}
	assert(pod->exit_grace_ms <= node->exit_grace_ms);
	assert(pod->annotations);
}

static void check_group(const struct settings *s, const char *sandbox)
{
	struct store_group g = {.scope = STORE_GROUP_POD,
		.ns = (char *)(uintptr_t) "k8s.io",
		.id = (char *)(uintptr_t)sandbox,
		.name = s->overlay_name};
	char *key;

	if (store_group_key(&g, &key) < 0)
		abort();
	assert(key[0] != '\0' && key[0] != '.' && strlen(key) <= STORE_KEY_MAX);
	assert(strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		strlen(key));
	assert(store_group_is_of_pod(key));
	free(key);
}

static void use(const struct json_pair *pairs, size_t n)
{
	static char grace[] = "REAPER_EXIT_GRACE=5s";
	char *env[] = {grace, NULL};
	struct settings node = SETTINGS_INIT, pod = SETTINGS_INIT;
	const struct oci_annotations all = {.v = (struct json_pair *)(uintptr_t)pairs, .n = n};
	struct err err = ERR_INIT;
	const char *group = NULL;
	int r;

	if (settings_load("/nonexistent/reaper.conf", env, NULL, 0, &node, &err) < 0)
		abort();
	assert(node.exit_grace_ms == GRACE_MS);
	(void)oci_container_type(&all);
	if (oci_group_key(&all, "id", &group, &err) < 0)
		check_line(err.text);
	else
		check_line(group);
	r = settings_load("/nonexistent/reaper.conf", env, pairs, n, &pod, &err);
	if (r < 0) {
		check_line(err.text);
	} else {
		check_narrower(&node, &pod);
		check_group(&pod, group ? group : "id");
		settings_done(&pod);
	}
	settings_done(&node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_pair pairs[PAIRS_MAX];
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	use(pairs, split(text, pairs));
	free(text);
	return 0;
}
