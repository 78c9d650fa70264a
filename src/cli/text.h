/* Names of files as people and JSON can take them. */
#pragma once

/*
 * The bytes as one line of printable UTF-8 that can be turned back: a backslash is doubled, control
 * characters and what is no UTF-8 become \xNN. The caller frees it; NULL: no memory.
 */
char *text_escape(const char *bytes);
