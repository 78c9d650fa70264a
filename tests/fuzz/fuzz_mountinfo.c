/*
 * A mountinfo file of any bytes: other people's mount points have any name. What must hold: an
 * error has a text of one line and leaves nothing; what is visible was in the table, begins with
 * its root and is found by its point.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "mount/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct mountinfo *t)
{
	struct err err = ERR_INIT;
	size_t all = t->n;

	for (size_t i = 0; i < t->n; i++) {
		const struct mountinfo_entry *e = &t->entries[i];

		assert(e->root && e->point && e->options && e->optional && e->fstype && e->source &&
			e->super);
		assert(mountinfo_find(t, e->point));
		(void)mountinfo_has_option(e->options, "ro");
	}
	if (mountinfo_keep_visible(t, &err) < 0)
		assert(err.kind != ERR_NONE && err.text[0] != '\0');
	else
		assert(t->n <= all);
	mountinfo_truncate(t, t->n / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mountinfo table = MOUNTINFO_INIT;
	struct err err = ERR_INIT;
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (mountinfo_parse(text, &table, &err) < 0) {
		assert(err.kind != ERR_NONE && err.text[0] != '\0');
		for (const char *c = err.text; *c; c++)
			assert((unsigned char)*c >= ' ' && *c != 0x7f);
		assert(table.n == 0);
	} else {
		use(&table);
	}
	mountinfo_done(&table);
	mountinfo_done(&table);
	free(text);
	return 0;
}
