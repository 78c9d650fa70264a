/*
 * The mask: layers of whiteouts that lie above the host's file systems and below what the workloads
 * write, so that hidden paths do not exist in the view; no unmount brings them back, and names that
 * a workload makes there are ordinary files. They lie on a small tmpfs of their own (on the file
 * system of `/` the kernel answers ELOOP: measured), which is mounted nowhere but in the group's
 * namespace, at /run: there it lies below each container's private /run, and a refresh finds it.
 *
 * File systems that are no overlay (network, read-only ones) cannot have a layer: hidden paths
 * there are covered by empty read-only files and directories.
 *
 * All functions want root, and a mount namespace that is the caller's own and no peer of the
 * host's.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "mask/plan.h"
#include "mount/mountinfo.h"

/* Where the group's namespace has it. */
#define MASK_PLACE "/run"

/* A mask while a view is put together or refreshed. */
struct mask {
	bool on;
	int proc_fd;
	char *dir; /* BASE_DIR/mask, where the tmpfs is mounted meanwhile */
	int fd;    /* its root */
	int root;  /* the host's, O_PATH */
	struct mask_plan plan;
	char **points; /* mount points of the host that the view shows, and "/" */
};

#define MASK_INIT                                         \
	{                                                 \
		.fd = -EBADF, .root = -EBADF, .on = false \
	}

/*
 * Works out what is hidden and mounts the tmpfs on BASE_DIR/mask, which is made. `shown` are the
 * host's mounts that the view shows. `tree`: the mount of an existing mask, which is attached
 * there instead (open_tree, OPEN_TREE_CLONE), or -EBADF. With rules->off nothing is done.
 * `proc_fd`: a procfs where "self" is the caller.
 */
int mask_begin(const struct mask_rules *rules, const struct mountinfo *shown, const char *base_dir,
	int tree, int proc_fd, struct mask *ret_mask, struct err *err);

/*
 * The layer for the file system at `point`, made or brought up to date: new whiteouts come, those
 * of what is no longer hidden go, directories stay (an overlay may be using them). In *ret_dir a
 * path for overlay_mount, which the caller frees; NULL when there is no mask.
 */
int mask_layer(struct mask *m, const char *point, char **ret_dir, struct err *err);

/* The file system at `point` has no layer after all: its hidden paths are covered. */
int mask_no_layer(struct mask *m, const char *point, struct err *err);

/* Whether `path` (of the host, without symbolic links) is hidden or lies below something that is:
 * no place to mount anything on. */
bool mask_hides(const struct mask *m, const char *path);

/*
 * The end of a view's making: covers below VIEW_DIR what no layer hides, and moves the tmpfs to
 * its place there.
 */
int mask_finish(struct mask *m, const char *view_dir, struct err *err);

/*
 * The group's mask for mask_begin, or -EBADF if it has none: a detached mount, whose layers can be
 * added to and are in use. In the group's namespace.
 */
int mask_open_tree(void);

/* Brings all layers that are there up to date. */
int mask_refresh(struct mask *m, struct err *err);

/* Takes the tmpfs off BASE_DIR/mask again; what was put into it stays. */
void mask_detach(struct mask *m);

/* Covers what no layer hides in the caller's root, which is a view; after mask_detach, in the
 * group's namespace. */
int mask_cover(struct mask *m, struct err *err);

/* Releases the memory; what is mounted stays. */
void mask_done(struct mask *m);
