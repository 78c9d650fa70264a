/* Strict parsing of numbers: the whole string must be one, nothing is guessed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits only (no sign, no blanks). -EINVAL, -ERANGE beyond `max`. */
int num_parse_u64(const char *s, uint64_t max, uint64_t *ret_v);

/* Optional '-', then decimal digits. -EINVAL, -ERANGE outside min…max. */
int num_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret_v);

/* A size in bytes: digits with an optional suffix K, M, G, T (powers of 1024, also "Ki", "MiB" …).
 */
int num_parse_size(const char *s, uint64_t *ret_bytes);

/* true/false, yes/no, on/off, 1/0, any case. */
int num_parse_bool(const char *s, bool *ret_v);
