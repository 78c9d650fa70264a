/*
 * A configuration file without our runtime: the bytes between the markers, or, where somebody
 * serialised the file anew and the markers are lost, the lines of our table.
 */
#pragma once

#include "merge/journal.h"
#include "merge/plan.h"

/* How the file gets back to what it was. */
enum undo_way { UNDO_NOTHING, UNDO_RESTORE, UNDO_CUT, UNDO_CUT_TABLE };

struct undo {
	struct plan plan; /* only handler, daemon, set, target and block are used */
	struct journal journal;
	enum undo_way way;
	char *text; /* the file afterwards; NULL: it is removed */
	size_t len;
	bool explicit_config; /* --config: no distribution is asked */
	bool edited;          /* the block has somebody else's text in it */
};

/* Each fills way, text and len for the plan's target; 0 or the exit status of the report. */
int undo_cut_block(struct undo *u, struct report *rep);
int undo_cut_table(struct undo *u, struct report *rep);
