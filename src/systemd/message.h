/*
 * D-Bus messages (D-Bus specification, "Message Protocol"), as far as systemd's manager needs them:
 * written into and read from buffers of the caller's, in this machine's byte order. No allocation.
 * For the files of this room and its tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- writing; a buffer that is too small only sets `full` ---- */

struct dbus_writer {
	uint8_t *data;
	size_t size, len;
	bool full;
};

/* An array that is being written. */
struct dbus_array {
	size_t length_at, start;
};

void dbus_put_u32(struct dbus_writer *w, uint32_t v);
void dbus_put_u64(struct dbus_writer *w, uint64_t v);
void dbus_put_bool(struct dbus_writer *w, bool v);
void dbus_put_string(struct dbus_writer *w, const char *s);
void dbus_put_signature(struct dbus_writer *w, const char *s);
void dbus_put_bytes(struct dbus_writer *w, const void *data, size_t len); /* type ay */

/* `align` of the elements: 8 for structs, 4 for u32 and strings. */
struct dbus_array dbus_begin_array(struct dbus_writer *w, size_t align);
void dbus_end_array(struct dbus_writer *w, struct dbus_array a);
void dbus_begin_struct(struct dbus_writer *w);

/*
 * A whole method call to org.freedesktop.systemd1's manager. `body` has the given signature.
 * Returns the length of the message in `out`, 0 if it does not fit.
 */
size_t dbus_format_call(uint8_t *out, size_t size, uint32_t serial, const char *member,
	const char *signature, const uint8_t *body, size_t body_len);

/* A whole call that means nothing and is not answered. The same of the length. */
size_t dbus_format_ping(uint8_t *out, size_t size);

/* ---- reading ---- */

enum dbus_type { DBUS_CALL = 1, DBUS_RETURN = 2, DBUS_ERROR = 3, DBUS_SIGNAL = 4 };

enum {
	DBUS_HEADER = 16,          /* what dbus_message_size needs to see */
	DBUS_SIZE_MAX = 128 << 20, /* of a message, by the specification */
};

/* The strings point into the message and end in NUL; NULL: not there. */
struct dbus_message {
	uint8_t type;
	uint32_t reply_serial;
	const char *member, *error_name, *signature;
	const uint8_t *body;
	size_t body_len;
};

/* The length of the message that begins at `data` (DBUS_HEADER bytes); 0: this is none. */
size_t dbus_message_size(const uint8_t *data);

/* Reads a whole message; false: it is none. */
bool dbus_parse(const uint8_t *data, size_t len, struct dbus_message *ret);

/* Reads a body from the front. After the first thing that is not there `bad` stays set. */
struct dbus_reader {
	const uint8_t *data;
	size_t len, at;
	bool bad;
};

uint32_t dbus_get_u32(struct dbus_reader *r);
const char *dbus_get_string(struct dbus_reader *r); /* "" when bad */
