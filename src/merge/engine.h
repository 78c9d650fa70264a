/* What the commands of `reaperctl containerd` share with each other, with the doctor and with the
 * package's scripts. */
#pragma once

#include <stdbool.h>
#include "merge/plan.h"

/* The planned change on stdout, coloured on a terminal. */
void containerd_print_diff(const struct plan *p);

/* Any change of one file, the same way. */
void containerd_print_change(const char *path, bool created, const char *old, size_t old_len,
	const char *new, size_t new_len);

/* What `verify` says: fills plan and report, up to the first thing that is wrong. */
int containerd_judge(const struct cli_args *args, struct plan *p, struct report *rep);

/* Makes the image of host pods known to the running daemon if it is not. What was done, or why not,
 * is a note; where nothing else is wrong a failure is the report's reason, too. */
void containerd_import_image(const struct cli_args *args, const struct plan *p, struct report *rep);

/* Whether the shim lies where containerd looks for it (the running one's PATH, else that of
 * systemd's units) and runs; below --root only the former. 0, or what is wrong. */
int containerd_check_shim(const struct daemon *d, struct err *err);

/* The path of a shim that containerd finds before the package's in /usr/bin, or NULL; the caller
 * frees it. */
char *containerd_shadowing_shim(const char *root);

/* Whether there is a containerd to merge into. Never asked of PATH: package managers' is shorter
 * than the node's, kind's containerd is in /usr/local/bin and that of k3s and its like on nobody's.
 * What cannot be found out counts as one, and the merge tells it. */
bool containerd_is_there(const struct cli_args *args);

/* Whether this is a pod's view and not the node: then the report says so, and nothing may be
 * written. */
bool containerd_inside_view(const struct cli_args *args, struct report *rep);

/* The daemon's gRPC socket as its dump has it; points into the dump or is the default. */
const char *containerd_address(const struct toml_doc *dump);
