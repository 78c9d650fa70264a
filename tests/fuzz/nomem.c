/*
 * Replays files as replay.c does, each many times: with the first allocation of our code failing,
 * then with the second, until the input needs no more than were allowed. What the target asserts
 * must hold without memory too, and the sanitizer's leak check counts what the way out forgot.
 *
 * The linker gives our calls of malloc, calloc and realloc to the functions below (--wrap).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int nomem_one_input(const uint8_t *data, size_t size);

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* Of the target: what it asserts of an undisturbed server does not count now. */
extern bool fuzz_memory_fails;

enum { ALLOCATIONS_MAX = 10000 };

static unsigned countdown; /* 0: all succeed */

static bool fails(void)
{
	return countdown > 0 && --countdown == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

int nomem_one_input(const uint8_t *data, size_t size)
{
	unsigned n;

	/* Once undisturbed: what is made for all inputs is made here. */
	(void)LLVMFuzzerTestOneInput(data, size);
	fuzz_memory_fails = true;
	for (n = 1; n < ALLOCATIONS_MAX; n++) {
		countdown = n;
		(void)LLVMFuzzerTestOneInput(data, size);
		if (countdown > 0)
			break;
	}
	countdown = 0;
	fuzz_memory_fails = false;
	return 0;
}
