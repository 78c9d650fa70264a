/*
 * The YAML that people write manifests in, as the tree that json_parse makes of JSON: block and
 * flow collections, plain and quoted texts of one line, literal and folded blocks, comments,
 * documents.
 *
 * Either it is read as every reader of YAML reads it, or it is refused with its line: anchors,
 * aliases, tags, merge keys, directives, texts that go on in the next line, keys that are given
 * twice, and what one version of YAML takes for a number or a truth and another for a text (yes,
 * 0o17, 1_000, 12:30). tests/component/test_policy_yaml.py compares it with libyaml, of which the
 * reader in kubectl is a translation.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "base/json.h"

/*
 * Reads the first document of *text that has something in it, which must be a mapping, and moves
 * *text and *len behind it; *line (1 at first) goes on with it. 1, 0 if there is none left, or
 * -errno. `what` names the input in errors ("pod.yaml:12: …") and is kept by reference, as by
 * json_parse. The limits are those of JSON (base/json.h); that of the size is the caller's.
 */
int yaml_parse(const char **text, size_t *len, unsigned *line, const char *what,
	struct json_ref *ret_root, struct err *err);
