/* Two TOML trees side by side: what `containerd config dump` says before and after. */
#pragma once

#include "base/buf.h"
#include "toml/toml.h"

/*
 * Called for each difference: `path` as TOML would write it
 * (plugins."io.containerd.grpc.v1.cri".x), `a` and `b` the nodes there, one of which is NULL if
 * only one tree has it. Returns 0 to go on.
 */
typedef int (*compare_fn)(
	void *arg, const char *path, const struct toml_node *a, const struct toml_node *b);

/* Visits every difference; the order of keys does not matter, that of array items does. Returns
 * what `fn` returned when that was not 0, or -ENOMEM. */
int toml_compare(const struct toml_doc *a, const struct toml_doc *b, compare_fn fn, void *arg);

/* The same for two tables. `path` is where they stand; it is the same again afterwards. */
int toml_compare_tables(const struct toml_doc *da, const struct toml_node *a,
	const struct toml_doc *db, const struct toml_node *b, struct buf *path, compare_fn fn,
	void *arg);

/* Appends a basic string: the text in quotes, with escapes where TOML wants them. 0 or -errno. */
int toml_put_quoted(struct buf *out, const char *s, size_t len);

/* Appends ".key" (or "key" at the start), quoted if it needs it. */
int toml_path_push(struct buf *path, const char *key, size_t len);

/* Whether the value is what containerd prints for a key that nobody set: "", 0, false, [], a table
 * of nothing else, or the default "podsandbox". NULL is one too. */
bool toml_is_zero(const struct toml_node *n);

/* Whether two values are the same; both may be NULL. */
bool toml_equal(const struct toml_doc *da, const struct toml_node *a, const struct toml_doc *db,
	const struct toml_node *b);
