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

/* The path on this machine of a name below `root`, whether it is there or not: links of its
 * directories stay inside, its last part is not looked at. -ENOENT: one of them leads nowhere. */
int root_path(const char *root, const char *name, char **ret_path);

/* The program ROOT/NAME in *ret_path where it really lies; NULL: there is none that can be run. */
int root_program(const char *root, const char *name, char **ret_path);

/* How many levels of the directories of ROOT/NAME are missing; the last that is there in *ret_last,
 * which the caller frees. -errno. */
int root_missing_dirs(const char *root, const char *name, char **ret_last);

/* Makes the missing directories of ROOT/NAME: all, or none. Returns how many levels were made, or
 * -errno. */
int root_mkdirs(const char *root, const char *name, mode_t mode, mode_t last_mode);

/* Removes the lowest `levels` directories of ROOT/NAME as far as they are empty. */
void root_rmdirs(const char *root, const char *name, int levels);
