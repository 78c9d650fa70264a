/*
 * Scope-bound release: what a declaration says is released on every way out of the block. TAKE_PTR
 * and TAKE_FD hand the value over and leave the empty value behind.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}

static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

static inline void cleanup_closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

#define _cleanup_free_     _cleanup_(cleanup_freep)
#define _cleanup_close_    _cleanup_(cleanup_closep)
#define _cleanup_fclose_   _cleanup_(cleanup_fclosep)
#define _cleanup_closedir_ _cleanup_(cleanup_closedirp)

#define TAKE_PTR(p)                          \
	({                                   \
		__typeof__(p) _take_p = (p); \
		(p) = NULL;                  \
		_take_p;                     \
	})

#define TAKE_FD(fd)                  \
	({                           \
		int _take_fd = (fd); \
		(fd) = -EBADF;       \
		_take_fd;            \
	})
