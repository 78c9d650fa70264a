/*
 * Distributions that render containerd's configuration themselves: an edit of the rendered file
 * would report success and be gone at the next start (k3s#5854).
 */
#pragma once

#include "node/daemon.h"

struct distro {
	const char *name;
	const char *config_prefix;  /* where its rendered file lies */
	const char *program_prefix; /* where its containerd lies, NULL: not to be told by that */
	const char *source;         /* what is the source of truth there */
};

/* The row that this daemon belongs to, or NULL. */
const struct distro *distro_of(const struct daemon *d);
