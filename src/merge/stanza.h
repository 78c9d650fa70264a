/*
 * The text that Reaper puts into containerd's file: one block between two marker comments, which
 * name the runtime, the format, how many line ends were put in front of it, and the hash of what
 * stands between them. So the block can be found, proved untouched and cut out byte for byte
 * without any state.
 *
 *   version = 2
 *   …
 *   (gap: an empty line)
 *   #>> reaper block=reaper-v2 format=1 gap=1 sha256=… (made by reaperctl; …)
 *   [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.reaper-v2]
 *   runtime_type = "io.containerd.reaper.v2"
 *   …
 *   #<< reaper block=reaper-v2
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"
#include "toml/toml.h"

#define STANZA_HANDLER "reaper-v2"
#define STANZA_TYPE    "io.containerd.reaper.v2"

/* runtime_type, pod_annotations, container_annotations: without the annotations' patterns no
 * annotation of a pod reaches the shim. */
#define STANZA_ANNOTATIONS "reaper.runtime/*"

enum { STANZA_FORMAT = 1, STANZA_GAP_MAX = 2 };

/* Where a block stands in a text. */
struct stanza_block {
	size_t begin, end;           /* everything that was added: gap, markers, line ends */
	size_t body_begin, body_end; /* between the markers' lines */
	unsigned format, gap;
	uint32_t line; /* of the first marker */
	bool intact; /* the body has the hash that the marker says, and nobody added to its table */
};

/*
 * Looks for the block of this handler. 1 and *ret if there is one, 0 if there is none, -EBADMSG
 * with the lines in `err` when markers are left over, doubled or in the wrong order. Only comments
 * that stand alone on their line count.
 */
int stanza_find(const char *text, size_t len, const struct toml_doc *doc, const char *handler,
	struct stanza_block *ret, struct err *err);

/* The handler's table that a table is or lies in; NULL: it is none of ours. */
const struct toml_node *stanza_table_of(const struct toml_node *table, const char *handler);

/* Whether something outside of the block belongs to its runtime: keys right behind the end marker,
 * or a [header] below our table. */
bool stanza_spills(const char *text, size_t len, const struct toml_doc *doc, const char *handler,
	const struct stanza_block *b);

/* What is left of a text without the block. */
struct stanza_rest {
	struct buf text;
	size_t at;    /* where the block stood */
	size_t joint; /* bytes of a line end that was put there, for the line before has none */
};

/* Fills *ret (whose buffer the caller has initialized and frees): neither the block is in it nor
 * what stanza_spills finds. -ENOMEM, -EMSGSIZE. */
int stanza_cut(const char *text, size_t len, const struct toml_doc *doc, const char *handler,
	const struct stanza_block *b, struct stanza_rest *ret);

/* What the runtime's table says about sandboxes: "podsandbox" in the words of the file's version.
 */
enum stanza_sandbox {
	STANZA_SANDBOX_NONE, /* containerd before 1.7 does not know the key */
	STANZA_SANDBOX_MODE, /* sandbox_mode: 1.7, and version 2 files of 2.x */
	STANZA_SANDBOXER,    /* sandboxer: files of version 3 and 4 */
};

struct stanza_spec {
	const char *handler; /* the runtime's name: STANZA_HANDLER */
	enum stanza_sandbox sandbox;
	const char *plugin; /* "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime" */
	unsigned version;   /* > 0: the block begins with `version = N` (a file of our own) */
	unsigned gap;       /* line ends in front of the first marker */
	const char *eol;    /* "\n" or "\r\n" */
	const struct toml_node
		*carry; /* runtimes to repeat: children of a `runtimes` table, or NULL */
};

/* Whether the text can be a handler's name: what Kubernetes accepts in a RuntimeClass. */
bool stanza_is_handler(const char *name);

/* Appends the block. -ENOMEM, -EMSGSIZE. */
int stanza_write(const struct stanza_spec *spec, struct buf *out);

/* The line ending that most lines of the text have. */
const char *stanza_eol(const char *text, size_t len);

/* How many line ends go in front of a block at the end of this text: none at the beginning of a
 * file, else so many that an empty line stands before it. */
unsigned stanza_gap(const char *text, size_t len);

/* Whether the table is our runtime as stanza_write writes it, every other key being zero. */
bool stanza_matches(const struct toml_doc *doc, const struct toml_node *runtime);

/* Whether both lists of annotations let ours pass. */
bool stanza_has_annotations(const struct toml_doc *doc, const struct toml_node *runtime);

/* Whether its runtime_type is ours, whatever else it says. */
bool stanza_is_ours(const struct toml_doc *doc, const struct toml_node *runtime);
