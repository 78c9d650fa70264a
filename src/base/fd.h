/* File descriptors: their flags, their numbers, and sending them to another process. */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

/* Closes *fd if it is open and leaves -EBADF. Never retried: Linux closes even when close() says
 * EINTR. */
void fd_close(int *fd);

/* A close-on-exec copy of `fd` with a number of at least 3. Returns the new fd or -errno. */
int fd_copy(int fd);

/*
 * Opens `name` (absolute, as seen from inside) below `root` ("" is this machine): symbolic links,
 * absolute ones too, stay inside. -errno.
 */
int fd_open_below(const char *root, const char *name, int flags);

/* Makes `fd` non-blocking. */
int fd_set_nonblock(int fd);

/* Clears close-on-exec: for a descriptor that a child is to keep under its number.
 * Async-signal-safe. */
int fd_clear_cloexec(int fd);

/* Marks all descriptors from `first` on close-on-exec (close_range, or /proc/self/fd before
 * Linux 5.11). */
int fd_cloexec_from(unsigned first);

/* Closes all descriptors from `first` on; one by one where close_range is refused (a seccomp
 * profile of an older container engine). Async-signal-safe. */
void fd_close_from(unsigned first);

/* Points 0, 1 and 2 at /dev/null. */
int fd_stdio_to_null(void);

/*
 * Sends `len` (> 0) bytes and, if fd >= 0, the descriptor over the unix socket `sock`. One message,
 * never SIGPIPE. Async-signal-safe.
 */
int fd_send(int sock, const void *data, size_t len, int fd);

/*
 * Receives one message of at most `len` bytes and at most one descriptor (close-on-exec, -EBADF if
 * none came; further ones are closed). Returns the number of bytes, 0 at end of file, -EAGAIN when
 * nothing is there, or -errno.
 */
ssize_t fd_recv(int sock, void *data, size_t len, int *ret_fd);
