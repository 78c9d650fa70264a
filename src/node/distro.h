/*
 * Distributions that render containerd's configuration themselves: an edit of the rendered file
 * would report success and be gone at the next start (k3s#5854). Each row says where its file is,
 * and what the source of truth is that the runtime goes to instead. Facts: docs/CONFIG-MERGE.md,
 * "Distributions".
 */
#pragma once

#include "node/daemon.h"
#include "cli/report.h"

/* Where EKS' nodeadm takes NodeConfig documents from: merge/nodeadm.h. */
#define NODEADM_DIR "/etc/eks/nodeadm.d"

struct distro {
	const char *name;
	const char *config;         /* the file that it renders */
	const char *program;        /* its containerd */
	const char *program_prefix; /* where that may really lie */
	const char *units[3];       /* whose restart renders and starts anew; NULL-terminated */
	const char *sources[2];     /* of containerd 1.x and 2.x; NULL: only by hand */
	const char *start;          /* what a new source begins with; NULL: it is never made anew */
	bool own_file;              /* the source is a file of ours alone, with a version */
	const char
		*generated_line; /* the rendered file begins with it; else it is the user's own */
	const char *recipe;      /* for people: what is the source of truth */
};

/* The row that this daemon belongs to, or NULL. */
const struct distro *distro_of(const struct daemon *d);

/* The row whose rendered file lies below this root, or NULL. */
const struct distro *distro_find(const char *root);

/* The file that takes the runtime for this daemon, or NULL. */
const char *distro_source(const struct distro *distro, const struct daemon *d);

/* Refuses on systems where no file would last; 0, or the report's exit status. Warns where a
 * provisioner writes the file anew at some time. */
int distro_check_system(const char *root, struct report *rep);
