#include "ttrpc/message.h"

#include <errno.h>
#include <stdlib.h>

enum { ALLOCATION_COST = 16 }; /* the allocator's own, about */

static void *budget_alloc(void *data, size_t size)
{
	size_t *left = data;

	if (size > *left || *left - size < ALLOCATION_COST)
		return NULL;
	*left -= size + ALLOCATION_COST;
	return malloc(size);
}

static void budget_free(void *data, void *p)
{
	(void)data;
	free(p);
}

ProtobufCMessage *ttrpc_message_decode(
	const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
	size_t left = TTRPC_MESSAGE_MEMORY_MAX;
	ProtobufCAllocator budget = {budget_alloc, budget_free, &left};

	return protobuf_c_message_unpack(type, &budget, len, data);
}

int ttrpc_message_encode(const ProtobufCMessage *m, size_t max, uint8_t **ret_data, size_t *ret_len)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *data;

	if (len > max)
		return -EMSGSIZE;
	data = malloc(len > 0 ? len : 1);
	if (!data)
		return -ENOMEM;
	*ret_len = protobuf_c_message_pack(m, data);
	*ret_data = data;
	return 0;
}
