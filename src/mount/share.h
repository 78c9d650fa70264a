/*
 * How what is mounted while containers run gets from one to the others of a group.
 *
 *        group's namespace        the view's own mounts (overlays) are shared: a peer group each
 *          ║          │
 *      peer ║      slave │
 *          ║          ▼
 *     container A   container B     A may mount (CAP_SYS_ADMIN): what it mounts appears everywhere;
 *                                   B may not: it only receives
 *
 * While a container is set up its copies are slaves, so that no volume of it gets out, and what
 * others mount meanwhile still gets in. Only then is a peer made of them, with
 * MOVE_MOUNT_SET_GROUP (Linux 5.15). Nothing of this reaches the host: the group's mounts are no
 * peers of the host's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "mount/target.h"

enum mount_reach {
	MOUNT_REACH_NONE,    /* private: neither in nor out */
	MOUNT_REACH_RECEIVE, /* what others of the group mount appears */
	MOUNT_REACH_BOTH,    /* … and theirs what this one mounts */
};

/* In the group's namespace, once: makes the view's overlays shared. */
int mount_share_prepare(int proc_fd, struct err *err);

/* A container on its way. */
struct mount_share {
	enum mount_reach reach;
	int group_root; /* of the group's namespace, open before the clone */
	struct mount_share_pair {
		int own, group; /* one mount, in the clone and in the group's namespace; O_PATH */
	} * v;
	size_t n;
	uint64_t *ids; /* of the clone's mounts that unmounts of others may arrive at: all that
			  came from the group, none when it is private */
	size_t n_ids;
	struct mount_foreign foreign; /* the clone's mounts that are the host's own (target.h) */
};

#define MOUNT_SHARE_INIT                        \
	{                                       \
		.group_root = -EBADF, .v = NULL \
	}

void mount_share_done(struct mount_share *s);

/*
 * In the group's namespace, behind mount_group_enter: unshares the container's own clone of it and
 * cuts or turns its mounts as `reach` says.
 */
int mount_share_clone(
	enum mount_reach reach, int proc_fd, struct mount_share *ret_share, struct err *err);

/*
 * After the container's mounts: makes peers of the clone's mounts. ERR_UNIMPLEMENTED where the
 * kernel cannot (before 5.15, or a filter in the way): everything is private then, and the caller
 * says so. Nothing to do unless the reach is MOUNT_REACH_BOTH.
 */
int mount_share_join(struct mount_share *s, int proc_fd, struct err *err);
