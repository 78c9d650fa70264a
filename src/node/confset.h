/*
 * containerd's configuration as it reads it: the root file and, breadth first, what `imports`
 * names. Nothing here writes; a candidate (one file with other bytes) is shown to the daemon's own
 * program from memory, so that even `plan` proves what it says without touching the disk.
 *
 * Rules of imports (cmd/containerd/server/config of 1.6 … 2.3, measured): a relative name belongs
 * to the importing file's directory; a '*' makes it a glob (sorted; '*' matches dot files too),
 * which before 1.6.30 and 1.7.16 belongs to the daemon's working directory; without one '?' and '['
 * are plain; each file is read once; a glob may match nothing, a plain name must exist.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "node/daemon.h"
#include "toml/toml.h"

enum {
	CONFSET_FILES_MAX = 256,
	CONFSET_FILE_MAX = 16 << 20, /* bytes of one file */
};

struct conf_file {
	char *name; /* as the daemon sees it */
	char *path; /* with the --root in front */
	bool exists;
	char *text;
	size_t len;
	char *masked; /* of a template: the text that the document was read from */
	struct toml_doc *doc;
	size_t *imports; /* indices of confset.files, in the order of reading */
	size_t n_imports;
};

struct confset {
	struct conf_file *files; /* [0] is the root */
	size_t n;
};

#define CONFSET_INIT          \
	{                     \
		.files = NULL \
	}

/*
 * Reads all files. A root that does not exist is one file with exists = false and no text.
 * ERR_INVALID with file and line for a syntax error or an import that is missing; `ret_imports`
 * tells the latter.
 */
int confset_load(const struct daemon *d, struct confset *s, bool *ret_imports, struct err *err);
void confset_done(struct confset *s);

/*
 * The daemon's own view (`containerd config dump`) of the set, with the bytes of file `index`
 * replaced by text (NULL: none is replaced). *ret_text holds the bytes that *ret_doc points into;
 * the caller frees both. If nothing at all is configured it is `config default`.
 */
int confset_dump(const struct daemon *d, const struct confset *s, size_t index, const char *text,
	size_t len, char **ret_text, struct toml_doc **ret_doc, struct err *err);

/*
 * A file that is not there yet, as if file `importer` named it at the end of its imports: its index
 * in *ret_index (that of the set's file if there is one of the name), or -errno. The next takes the
 * file that was added last out again.
 */
int confset_add_import(
	struct confset *s, size_t importer, const char *root, const char *name, size_t *ret_index);
void confset_drop_last(struct confset *s);

/* Reads one more file, which nobody imports: 1, 0 if there is none, or an error. */
int confset_add_file(const struct daemon *d, struct confset *s, const char *name, size_t *ret_index,
	struct err *err);

/* An import as an absolute, clean name in *ret: relative ones belong to the importer's directory.
 */
int confset_absolute(const char *importer, const char *import, char **ret);

/*
 * As confset_add_file, a file that is no TOML but has our block in it, as a template has: of its
 * lines only the block's markers are read.
 */
int confset_add_template(const struct daemon *d, struct confset *s, const char *name,
	size_t *ret_index, struct err *err);

/* Takes bytes out of the text in memory, and reads it anew. */
int confset_cut(struct conf_file *f, size_t begin, size_t end, struct err *err);
