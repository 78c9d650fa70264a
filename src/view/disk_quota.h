/*
 * Project quotas (ext4 and xfs mounted with prjquota): a limit for one directory and everything
 * that is made in it, in the file system itself.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"

/*
 * Gives the directory `dir`, which is empty or was given one before, a project of its own among
 * the directories in `base` (both open, on one file system), and this project a limit. 0,
 * -EOPNOTSUPP if the file system or the kernel has none (it is as it was then), or an error.
 */
int disk_quota_set(int base, int dir, uint64_t size_bytes, uint64_t inodes, struct err *err);

/* Takes the limit of the directory's project away, before it is removed. */
void disk_quota_clear(int dir);
