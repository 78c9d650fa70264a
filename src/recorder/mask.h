/* Secrets in command lines: what has a well-known form is not written down. Pure. */
#pragma once

#include <stdbool.h>
#include "base/buf.h"

#define MASK_TEXT "***"

/*
 * Appends one argument of a command to `out` with MASK_TEXT in the place of
 *   the value of NAME=VALUE, --name=VALUE, --name VALUE where the name says that it is a secret
 *   (password, passwd, passphrase, secret, token, api-key, access-key, private-key, credential; not
 *   when it ends in file, path or dir: that is where the secret is),
 *   the password of scheme://user:password@host,
 *   what follows "Authorization:" (a header),
 * also inside an argument that is a script. `*next`: false before the first argument; true between
 * two when the next one is the value. -ENOMEM, -EMSGSIZE.
 */
int mask_argument(const char *arg, bool *next, struct buf *out);
