/*
 * A mount namespace kept alive by a file: the namespace's nsfs inode is bound onto it. Only group.c
 * calls this.
 */
#pragma once

#include "base/err.h"

/* The pinned namespace as a descriptor; -ENOENT if there is none, also when only the file is there
 * that somebody was about to bind it to. */
int pin_open(const char *dir, const char *name, struct err *err);

/* Pins the namespace `ns` on DIR/NAME; DIR becomes an unbindable bind of itself if it is none yet.
 * In the namespace in which the pin is to be seen. */
int pin_make(const char *dir, const char *name, int ns, int proc_fd, struct err *err);

/* Takes it away, file and all. Nothing there is no error. */
int pin_remove(const char *dir, const char *name, struct err *err);

/*
 * The kernel binds a mount namespace only in an older one, so that there can be no loops, and tells
 * their age by a number. FIXME(kernel 6.18): these numbers are handed out in batches of 4096 per
 * CPU, so that a namespace made later on another CPU can have the smaller one, and the bind fails
 * with EINVAL. Clones the caller's namespace again, on each CPU that it may use and then as often
 * as a batch is long, until it counts as younger than `older`. At once where it does already.
 */
int pin_become_younger(int older, int proc_fd, struct err *err);
