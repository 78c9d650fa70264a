/* Building the two Metrics messages: for stats*.c only. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include "cgroup/read.h"

/* Where a number of a text goes: its key there, and the uint64_t member of the message. */
struct stats_field {
	const char *key;
	size_t offset;
};

/* An empty message on the heap, to be freed with the one that it becomes a part of. NULL: no
 * memory. */
void *stats_new(const ProtobufCMessageDescriptor *descriptor);

/*
 * Appends an empty message to a repeated field (`array` is the address of its pointer, `n` of its
 * count). NULL: no memory.
 */
void *stats_add(void *array, size_t *n, const ProtobufCMessageDescriptor *descriptor);

/* Fills members from lines of "key number" (or, `line`, from one line of key=number). What the
 * text does not have stays as it is. */
void stats_fill(const char *text, const struct stats_field *fields, size_t n, void *message);
void stats_fill_line(const char *line, const struct stats_field *fields, size_t n, void *message);

/* "mlx5_0 hca_handle=2 hca_object=2000": a line of rdma.current and rdma.max. -ENOMEM. */
int stats_rdma(const char *line, char **ret_device, uint32_t *ret_handles, uint32_t *ret_objects);

/* Calls `take` with each line of `text` (NUL-terminated, without its newline) until one answers
 * -errno, which is returned. The text is cut up. */
int stats_each_line(char *text, int (*take)(char *line, void *ctx), void *ctx);

/* The complete message of what can be read; NULL: no memory. protobuf_c_message_free_unpacked. */
ProtobufCMessage *stats_v1(const struct cgroup *cg);
ProtobufCMessage *stats_v2(const struct cgroup *cg);
