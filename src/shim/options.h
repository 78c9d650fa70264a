/* The command line that containerd gives a shim (contract §1.2; Go's flag conventions). */
#pragma once

#include <stdbool.h>
#include "base/err.h"

enum shim_action { SHIM_START, SHIM_DELETE, SHIM_INFO, SHIM_VERSION, SHIM_HELP };

struct shim_options {
	enum shim_action action;
	bool debug;
	/* All point into argv; NULL = not given. */
	const char *ns;      /* -namespace */
	const char *id;      /* -id */
	const char *address; /* -address: containerd's gRPC socket */
	const char *bundle;  /* -bundle */
	const char *publish; /* -publish-binary */
};

/*
 * Reads argv. A flag is -name value, -name=value, or the same with two dashes; the first other word
 * is the action. Flags that this version does not know are ignored with their value, so that a
 * newer containerd can go on starting it; an unknown action, a missing value or a missing
 * -namespace or -id is ERR_INVALID.
 */
int shim_options_parse(struct shim_options *opts, int argc, char **argv, struct err *err);
