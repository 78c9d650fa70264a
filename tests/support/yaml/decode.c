/*
 * What the reader of YAML makes of inputs: on standard input each one as "LENGTH\n" and its bytes,
 * on standard output for each a line, "=" and a JSON array of its documents, or "!" and the error.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include "yaml/yaml.h"

static void answer(const char *text, size_t len)
{
	struct json_object *list = json_object_new_array();
	struct err err = ERR_INIT;
	unsigned line = 1;
	int r = 1;

	while (r > 0) {
		struct json_ref root = {.value = NULL};

		r = yaml_parse(&text, &len, &line, "input", &root, &err);
		if (r > 0)
			(void)json_object_array_add(list, root.value);
	}
	if (r < 0)
		(void)printf("!%s\n", err.text);
	else
		(void)printf("=%s\n", json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
	(void)json_object_put(list);
}

int main(void)
{
	unsigned long len;

	while (scanf("%lu", &len) == 1 && getchar() == '\n') {
		char *text = malloc(len + 1);

		if (!text || fread(text, 1, len, stdin) != len)
			return 1;
		answer(text, len);
		free(text);
	}
	return 0;
}
