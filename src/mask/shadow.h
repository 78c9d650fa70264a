/* shadow(5) and gshadow(5) without their secrets. Pure. */
#pragma once

#include <stddef.h>
#include "base/buf.h"

/*
 * Appends the file to `out` with every password locked ("!"), empty ones too; "!", "!!" and "*" are
 * kept, for nobody can log in with them. So useradd, passwd and package scripts find the accounts
 * that are there. Lines that are no entry (nothing before or no ':') are left out, but NIS's
 * "+…" and "-…", whose password is dropped. -ENOMEM, -EMSGSIZE.
 */
int mask_lock_shadow(const char *text, size_t len, struct buf *out);
