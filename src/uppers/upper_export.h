/* An upper layer as an OCI layer: what a workload wrote becomes an image that can be built on. */
#pragma once

#include <stdio.h>
#include "base/err.h"

struct upper_export {
	FILE *out;
	/* Told in a line each: what a layer cannot hold (sockets, names that begin with ".wh."),
	 * and files that changed while they were read. */
	void (*note)(const char *text);
	unsigned left_out; /* of these notes: those that make the layer incomplete */
	struct upper_links *links;
};

/* Appends the tree below the open directory `upper`, whose path in the view is `point`, with the
 * directories on the way to it. */
int upper_export(struct upper_export *x, int upper, const char *point, struct err *err);

/* Ends the archive. */
int upper_export_end(struct upper_export *x, struct err *err);
void upper_export_done(struct upper_export *x);
