/*
 * Mount options as mount(8) and the OCI runtime-spec (config.md#linux-mount-options) spell them.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

enum { MOUNT_DATA_MAX = 3800 }; /* the kernel's limit for the data of a file system is a page */

struct mount_options {
	unsigned long set, clear;         /* MS_RDONLY, MS_NOSUID, … that are set or taken away */
	unsigned long rec_set, rec_clear; /* the same for a whole tree: "rro" */
	unsigned long propagation;  /* MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE; 0: none */
	bool propagation_recursive; /* rprivate … */
	bool bind, recursive_bind;  /* "bind", "rbind" */
	struct buf data; /* what the file system itself is told: "mode=755,size=65536k" */
};

#define MOUNT_OPTIONS_INIT                       \
	{                                        \
		.data = BUF_INIT(MOUNT_DATA_MAX) \
	}

/* Adds one word; a word that is in no table is data of the file system. -ENOMEM, -EMSGSIZE. Words
 * that this runtime knows and does not do ("idmap", "tmpcopyup") are -EOPNOTSUPP. */
int mount_options_add(struct mount_options *o, const char *word);

/* All words of a vector, in their order. The error names the word. */
int mount_options_parse(char *const *words, struct mount_options *ret_options, struct err *err);

void mount_options_done(struct mount_options *o);

/* MS_… flags as the MOUNT_ATTR_… of mount_setattr(2). Access time modes are a field of their own
 * there: *ret_clear has what must be cleared for them. */
void mount_options_attr(
	unsigned long set, unsigned long clear, uint64_t *ret_set, uint64_t *ret_clear);
