/*
 * A reaper.json of any bytes: what a crash, a full disk or a later version may leave behind. What
 * must hold: nothing that would be killed or joined by its path is believed unless it is whole.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_record rec = STORE_RECORD_INIT;
	struct err err = ERR_INIT;
	char *text = malloc(size ? size : 1);
	int r;

	if (!text)
		abort();
	memcpy(text, data, size);
	r = store_record_parse(text, size, &rec, &err);
	assert(r <= STORE_RECORD_PARTIAL);
	assert(r == 0 || err.text[0] != '\0');
	if (r < 0)
		assert(!rec.id && !rec.cgroups);
	assert(strv_len(rec.cgroups) <= STORE_CGROUPS_MAX);
	for (char **c = rec.cgroups; c && *c; c++)
		assert((*c)[0] == '/' && (*c)[1] != '\0' && !strstr(*c, "/../"));
	assert(rec.init_pid >= 0);
	assert(rec.exited || rec.exit_status == 0);
	store_record_done(&rec);
	store_record_done(&rec);
	free(text);
	return 0;
}
