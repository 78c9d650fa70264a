/* Paths below --root, the way a process whose root directory that is would see them. */
#pragma once

#include <sys/types.h>
#include "base/err.h"

/*
 * Opens `name` (absolute, as seen from inside) below `root` ("" is this machine): symbolic links,
 * absolute ones too, stay inside. -errno.
 */
int root_open(const char *root, const char *name, int flags);

/* The path on this machine of an open file in *ret_path: its symbolic links are resolved. */
int root_real_path(int fd, char **ret_path);

/* Makes the missing directories of ROOT/NAME. Returns how many levels were made, or -errno. */
int root_mkdirs(const char *root, const char *name, mode_t mode, mode_t last_mode);

/* Removes the lowest `levels` directories of ROOT/NAME that are empty. */
void root_rmdirs(const char *root, const char *name, int levels);
