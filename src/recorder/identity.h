/* As whom a process runs, as the kernel has it now. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct identity {
	bool known;
	uid_t uid; /* real ones */
	gid_t gid;
	char *capabilities; /* the effective ones as the kernel writes them: 16 hexadecimal digits
			     */
};

#define IDENTITY_INIT           \
	{                       \
		.known = false, \
	}

/*
 * Reads it. A process that is just being replaced by exec is read when that is over. One that is
 * gone is not known.
 */
void identity_read(pid_t pid, struct identity *ret);
void identity_done(struct identity *i);
