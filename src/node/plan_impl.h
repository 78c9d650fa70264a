/* What plan.c and oracle.c share; nobody else includes it. */
#pragma once

#include "node/plan.h"

/* The daemon's view of the configuration without our block. */
struct baseline {
	char *text; /* bytes of the file without the block */
	size_t len;
	struct toml_doc *file; /* the same parsed */
	unsigned own_version;  /* the block itself says the file's `version` (a file of ours) */
	char *dump_text;
	struct toml_doc *dump;
	const char *dump_plugin;          /* id of the CRI runtime plugin in the dump */
	const struct toml_node *runtimes; /* in the dump */
};

/* `runtimes` of a CRI plugin in a document, or NULL. */
const struct toml_node *plan_runtimes(
	const struct toml_doc *doc, const struct toml_node *root, const char *plugin);

/*
 * Tries the ways to write the runtime in the order in which they are likely to be right and takes
 * the first that the daemon's program proves. 1: found, p->after … are set; 0: none, with the
 * reason of the first in `err`; or an error.
 */
int oracle_choose(struct plan *p, const struct baseline *base, struct err *err);
