/* UTF-8 as Unicode defines it (15.0, table 3-7): no overlong forms, no surrogates, nothing above
 * U+10FFFF. */
#pragma once

#include <stddef.h>

/*
 * How many bytes the well-formed character at `s` has, of which at most `len` are looked at; 0:
 * there is none. `len` is not 0. For a string that ends in NUL it may be SIZE_MAX: nothing behind
 * the NUL is read.
 */
size_t utf8_length(const char *s, size_t len);

/* Makes `text` valid in place: each byte that is not part of a character becomes '?'. */
void utf8_clean(char *text);
