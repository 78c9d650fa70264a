/*
 * A policy file of any bytes. What must hold: an error has a text of one line that begins with the
 * file; rules that were read can be compared with any process.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "policy/policy.h"

extern bool fuzz_memory_fails;
bool fuzz_memory_fails; /* set by nomem.c; an error then names the file, too */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct policy_subject subjects[] = {
		{.command = NULL},
		{.ns = "lab-1",
			.pod = "web-0",
			.command = "/usr/bin/rm",
			.uid = 1000,
			.hosts = 15,
			.privileged = true,
			.caps = UINT64_MAX},
	};
	struct policy policy = POLICY_INIT;
	struct err err = ERR_INIT;
	char *text = malloc(size ? size : 1);

	if (!text) {
		assert(fuzz_memory_fails);
		return 0;
	}
	memcpy(text, data, size);
	if (policy_parse(&policy, text, size, "p.conf", &err) < 0) {
		assert(strncmp(err.text, "p.conf:", 7) == 0);
		for (const char *c = err.text; *c; c++)
			assert((unsigned char)*c >= ' ' && *c != 0x7f);
	} else {
		for (size_t i = 0; i < 2; i++) {
			struct policy_decision d = policy_decide(&policy, &subjects[i]);
			int r = policy_refusal(&d, &subjects[i], &err);

			assert((r < 0) == (d.rule && d.rule->action == POLICY_DENY));
		}
	}
	policy_done(&policy);
	free(text);
	return 0;
}
