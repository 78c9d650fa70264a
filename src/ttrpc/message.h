/* Protobuf messages from and to bytes, with a limit on what bytes from outside may cost. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* What one decoded message may occupy: a frame of empty list elements would need 50 times its size.
 */
enum { TTRPC_MESSAGE_MEMORY_MAX = 16 * 1024 * 1024 };

/* Decodes; NULL when the bytes are no such message or need more than TTRPC_MESSAGE_MEMORY_MAX.
 * Free it with protobuf_c_message_free_unpacked(m, NULL). */
ProtobufCMessage *ttrpc_message_decode(
	const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len);

/* Encodes into new memory that the caller frees; *ret_data is never NULL. -EMSGSIZE when it would
 * be more than `max` bytes, -ENOMEM. */
int ttrpc_message_encode(
	const ProtobufCMessage *m, size_t max, uint8_t **ret_data, size_t *ret_len);
