/* A throw-away tree for tests that write files. */
#pragma once

#include <stddef.h>

/* Makes DIR/etc/containerd under a new directory; the path, to be freed by tree_remove. */
char *tree_new(void);

/* Removes it with all that is in it. */
void tree_remove(char *root);

/* Writes a file below the root. */
void tree_put(const char *root, const char *name, const void *data, size_t len);

/* Reads one; NULL and length 0 if there is none. The caller frees it. */
char *tree_get(const char *root, const char *name, size_t *ret_len);

/* A text that names every file below the root with mode, owner, inode, size and time: what changes
 * when anything was written. The caller frees it. */
char *tree_census(const char *root);
