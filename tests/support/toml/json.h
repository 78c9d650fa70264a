/* The reader's result in the tagged JSON of toml-lang's toml-test suite; for tests only. */
#pragma once

#include "base/buf.h"
#include "toml/toml.h"

/* Appends the document to `out`. -ENOMEM or -EMSGSIZE as buf_append. */
int toml_to_json(const struct toml_doc *doc, struct buf *out);
