/*
 * Files that the host has replaced or deleted and that the view still shows as they were, to
 * everybody: an overlay keeps a name that some process uses bound to the file it was. They are
 * found by comparing inode numbers, which for a file of the lower layer are the host's own, through
 * the view and on the host.
 *
 * Which names are in use is read from /proc of the processes that live in the view: programs,
 * mapped files, open files. That is done again when one of these changed: the lists of dpkg and
 * rpm, the linker's cache, the directories of programs and libraries, the directories of all files
 * that were in use the last time, and /run/reaper/packages, which the package's trigger touches.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct stale_file {
	char *path;
	uint64_t ino; /* in the view */
	bool deleted; /* on the host; else there is another file */
	pid_t holder; /* a process that has it open; 0: not looked for this time */
};

struct stale_files {
	struct stale_file *v;
	size_t n, cap;
};

#define STALE_FILES_INIT   \
	{                  \
		.v = NULL, \
	}

void stale_files_done(struct stale_files *files);

/* Where to search. The group's overlays were just refreshed, so that what differs from the host is
 * in use. The caller is in the host's mount namespace, in which the paths are seen. */
struct stale_search {
	int proc_fd;              /* of the host's pid namespace; "self" is the caller */
	int host_root, view_root; /* directories, O_PATH */
	char *const *layers;      /* mount points of the view's overlays */
	char *const *others;  /* its other mount points: a server that is gone must not be asked */
	const char *base_dir; /* what was found is remembered there */
	const char *run_dir;  /* "/run/reaper" */
	bool search;          /* whatever changed or did not */
};

/* Lists the stale files in *ret (stale_files_done). Only regular files on layered file systems
 * count; what the workloads have written themselves is not stale, nor is what was hidden or changed
 * on purpose by a layer between. */
int stale_find(const struct stale_search *s, struct stale_files *ret, struct err *err);

/* A file that a process has open, in the sorted list of all, each path once. */
struct stale_candidate {
	char *path;
	pid_t holder;
	bool of_host; /* for stale_find: as far as seen, the host's file in a layer */
};

struct stale_candidates {
	struct stale_candidate *v;
	size_t n, cap;
};

void stale_candidates_done(struct stale_candidates *c);

/* The files in use by processes whose root is the directory `view_root`. A process that ends
 * meanwhile has none. */
int stale_read_processes(int proc_fd, int view_root, struct stale_candidates *ret, struct err *err);
