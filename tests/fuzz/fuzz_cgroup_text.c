/*
 * A file of a cgroup with any bytes in it (memory.stat, io.stat, memory.events): a workload names
 * its devices and hugepage sizes, not these, but a kernel of tomorrow may write what none does now.
 * What must hold: no read behind the text, and what is not found leaves the target alone.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cgroup/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {
		"oom_kill", "anon", "rbytes", "populated", "usage_usec", ""};
	/* exactly as long as it is: a read behind the end is found */
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		uint64_t value = 42;

		if (cgroup_text_value(text, keys[i], &value) < 0)
			assert(value == 42);
		value = 42;
		if (cgroup_line_value(text, keys[i], &value) < 0)
			assert(value == 42);
	}
	free(text);
	return 0;
}
