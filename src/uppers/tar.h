/*
 * Writing a tar archive: POSIX.1-2001, ustar headers with pax records for what does not fit into
 * them (long names, large numbers, extended attributes), as OCI layers have it
 * (image-spec layer.md). Names are bytes, taken as they are.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#define TAR_XATTR_PREFIX "SCHILY.xattr."

struct tar_xattr {
	const char *name;
	const void *value;
	size_t len;
};

struct tar_entry {
	const char *name; /* without a slash in front; a directory's ends in one */
	char type; /* '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5', '6' */
	const char *link; /* type '1': a name in the archive; '2': the target; else NULL */
	struct stat st;   /* mode, owner, time, device number; the size if it is a file */
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
};

/* Everything before the content. -ENOMEM, or -EIO when the stream took it not. */
int tar_put_header(FILE *out, const struct tar_entry *e);

/* What follows `size` bytes of content: zeros up to a whole block. */
int tar_put_padding(FILE *out, uint64_t size);

/* The end of the archive. */
int tar_put_end(FILE *out);
