/* What the files of the plan share; nobody else includes it. */
#pragma once

#include "node/distro.h"
#include "merge/plan.h"

/* The daemon's view of the configuration without our block. */
struct baseline {
	const char *text; /* bytes of the file without the block; own_text, or the file's own */
	char *own_text;
	size_t len;
	size_t at, joint;      /* as in struct stanza_rest; without a block its end, and 0 */
	struct toml_doc *file; /* the same parsed */
	bool borrowed;         /* it is the file's own */
	unsigned own_version;  /* the block itself says the file's `version` (a file of ours) */
	char *dump_text;
	struct toml_doc *dump;
	const char *dump_plugin;          /* id of the CRI runtime plugin in the dump */
	const struct toml_node *runtimes; /* in the dump */
};

/* Names of the CRI plugin that has the runtimes: of version 3 and 4, of version 2, of version 1. */
#define CRI_ID_V3 "io.containerd.cri.v1.runtime"
#define CRI_ID_V2 "io.containerd.grpc.v1.cri"
#define CRI_ID_V1 "cri"
enum { CRI_IDS = 3 };
extern const char *const cri_ids[CRI_IDS];

/* `runtimes` of a CRI plugin in a document, or NULL. */
const struct toml_node *plan_runtimes(
	const struct toml_doc *doc, const struct toml_node *root, const char *plugin);

/* ---- plan_files.c: what can be told from the files alone ---- */

/* The file that the daemon takes its runtimes from: on 1.x the last one with a CRI section owns
 * all of it; 2.x merges, and the root is right. */
size_t plan_winning_file(const struct plan *p);

/* Our handler in a file, under any plugin's name, or NULL. */
const struct toml_node *plan_entry_in(const struct plan *p, const struct toml_doc *doc);

/* Refuses what no runtime can be added to; fills p->version and p->put_version. 0 or the report's
 * exit status, as the next two. */
int plan_check_files(
	const struct cli_args *args, struct plan *p, const struct baseline *b, struct report *rep);

/* Refuses forms beside which a header of ours could not stand, or that the release reads as other
 * names. */
int plan_check_forms(const struct plan *p, const struct baseline *b, struct report *rep);

/* ---- plan_judge.c: a runtime of our name that stands there already ---- */

/* Somebody else wrote it; `ours` is it in the dump, or NULL: it has no effect. */
int plan_judge_foreign(const struct plan *p, const struct baseline *b, const struct toml_node *ours,
	struct report *rep);

/* Our block, edited by somebody. */
int plan_judge_edited(struct plan *p, struct report *rep);

/* ---- drop_in.c ---- */

/*
 * A place for a file of our own: below a directory that the root imports by a pattern, on a
 * containerd that merges imported files. 1: it is the target now (a new file of the set), 0: there
 * is none, with the reason in `why`, or an error.
 */
int drop_in_choose(struct plan *p, struct err *why);

/* Forgets the file that drop_in_choose added. */
void drop_in_forget(struct plan *p);

/* ---- source.c ---- */

/* Makes the distribution's source the target. Errors: it cannot be read, or is not there. */
int source_use(struct plan *p, const struct distro *distro, struct report *rep, struct err *err);

/* The daemon's view with `text` as the target; where that is a source, with its block at the end of
 * what is rendered. Results as confset_dump's. */
int source_dump(const struct plan *p, const char *text, size_t len, const char *block,
	size_t block_len, char **ret_text, struct toml_doc **ret_doc, struct err *err);

/* ---- oracle.c ---- */

/*
 * Tries the ways to write the runtime in the order in which they are likely to be right and takes
 * the first that the daemon's program proves. 1: found, p->after … are set; 0: none, with the
 * reason of the first in `err`; or an error.
 */
int oracle_choose(struct plan *p, const struct baseline *base, struct err *err);
