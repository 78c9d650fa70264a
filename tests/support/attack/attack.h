/*
 * What a workload might try to see or change of its node. One attack is one function: 0 if it
 * worked, else the errno that stopped it. Each runs in a child of its own.
 */
#pragma once

#include <stddef.h>

/* What the test tells: things of the host that the attacks are about. */
struct target {
	const char *secret; /* a hidden file of the host */
	const char *parent; /* its directory */
	unsigned disk_major, disk_minor;
	const char *abstract; /* name of an abstract socket that listens on the host */
	int terminal;         /* number of a pseudo terminal of the host */
	int victim; /* pid of a process of the host, in case its pids are seen; its uid is */
	unsigned victim_uid; /* not root's, and it has no capabilities */
};

struct attack {
	const char *name;
	int (*fn)(const struct target *t);
};

extern const struct attack mount_attacks[], device_attacks[], process_attacks[], kernel_attacks[];

/* errno of the last call, or 0 if it was a success. */
int outcome(long result);
/* Whether the secret can be read now: 0, or why not. */
int read_secret(const struct target *t);
/* Opens for writing and closes; nothing is written. */
int open_to_write(const char *path);
