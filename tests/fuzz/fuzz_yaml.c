/*
 * A manifest of any bytes. What must hold: an error is one line that begins with the input's name
 * and a line of it; each document is a mapping; and reading ends.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "yaml/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern bool fuzz_memory_fails;
bool fuzz_memory_fails; /* set by nomem.c */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	unsigned line = 1;
	const char *at;
	size_t left = size;
	char *text = malloc(size ? size : 1); /* exact: the sanitizer sees one byte too far */
	int r = 1;

	if (!text)
		return 0;
	memcpy(text, data, size);
	at = text;
	while (r > 0) {
		struct json_ref root = {.value = NULL};
		const char *before = at;

		r = yaml_parse(&at, &left, &line, "file", &root, &err);
		assert(r <= 0 || (root.value && at > before && at + left == text + size));
		json_free(&root);
	}
	if (r < 0 && !fuzz_memory_fails)
		assert(strncmp(err.text, "file:", 5) == 0 && !strchr(err.text, '\n'));
	free(text);
	return 0;
}
