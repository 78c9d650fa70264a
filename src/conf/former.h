/*
 * Keys that other versions of Reaper read and this one does not: what happens to a file that has
 * them. One that would only put something elsewhere is ignored with a warning that says where it is
 * now; one whose value decides what a pod may do is refused, because a node that ignored it would
 * do something else than it was told.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct conf_former_info {
	const char *name;
	const char *instead; /* a sentence: what takes its place */
	bool refused;
	const char *accepted; /* of a refused one: the value that changes nothing, or NULL */
};

/* One row of the list; NULL behind the last one. */
const struct conf_former_info *conf_former_info(size_t i);

/* The row of this name, or NULL. */
const struct conf_former_info *conf_former_find(const char *name);
