/*
 * Annotations of a pod that Reaper reads: reaper.runtime/NAME, an allow-list. They come from the
 * pod's author, so that each can only narrow what the node's settings allow. A name that is not in
 * the list is refused, because a pod that asks for something must get it or an answer.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "base/json.h"

#define CONF_ANNOTATION_PREFIX "reaper.runtime/"

struct settings;

/*
 * Applies all reaper.runtime/ annotations to the settings; other keys are not looked at.
 * ERR_INVALID with key, value and what is allowed; ERR_UNIMPLEMENTED for one that a later version
 * has. On error the settings are half changed: throw them away. settings_load calls this.
 */
int conf_annotations_apply(
	struct settings *s, const struct json_pair *annotations, size_t n, struct err *err);

/* One row of the list, for documentation and `reaperctl`. NULL behind the last one. */
struct conf_annotation_info {
	const char *name;    /* with prefix */
	const char *allowed; /* NULL: known, but not done by this version */
	const char *help;
};
const struct conf_annotation_info *conf_annotation_info(size_t i);
