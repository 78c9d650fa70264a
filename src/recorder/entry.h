/*
 * One record as a list of named values, and its two forms: a line of JSON, and a datagram of
 * journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). Names and strings are borrowed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define ENTRY_JOURNAL "/run/systemd/journal/socket"

enum { ENTRY_FIELDS_MAX = 40, ENTRY_TEXT_MAX = 64 << 10 };

enum entry_kind { ENTRY_STR, ENTRY_STRV, ENTRY_I64, ENTRY_BOOL };

struct entry_field {
	const char *name; /* "pod_uid"; REAPER_POD_UID in the journal */
	enum entry_kind kind;
	const char *s;
	char *const *v;
	int64_t n;
};

struct entry {
	struct entry_field fields[ENTRY_FIELDS_MAX];
	size_t n;
};

/* A string or vector that is NULL is left out. */
void entry_str(struct entry *e, const char *name, const char *s);
void entry_strv(struct entry *e, const char *name, char *const *v);
void entry_i64(struct entry *e, const char *name, int64_t n);
void entry_bool(struct entry *e, const char *name, bool v);

/* The line with its newline. Bytes that are no UTF-8 become '?'. -ENOMEM, -EMSGSIZE. */
int entry_json(const struct entry *e, char **ret_line, size_t *ret_len);

/* The datagram; `message` is what `journalctl` shows. -ENOMEM, -EMSGSIZE. */
int entry_datagram(const struct entry *e, const char *message, bool failure, struct buf *out);

/* Sends it to the socket at `path`. Never waits; 0 also when nobody is there or has room. -errno */
int entry_send(const char *path, const struct buf *datagram);
