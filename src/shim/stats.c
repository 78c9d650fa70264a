#include "shim/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "shim/stats_impl.h"

void *stats_new(const ProtobufCMessageDescriptor *descriptor)
{
	void *m = calloc(1, descriptor->sizeof_message);

	if (m)
		protobuf_c_message_init(descriptor, m);
	return m;
}

void *stats_add(void *array, size_t *n, const ProtobufCMessageDescriptor *descriptor)
{
	void **list, *m;

	memcpy(&list, array, sizeof(list)); /* it is a pointer to pointers of another type */
	list = (void **)reallocarray((void *)list, *n + 1, sizeof(*list));
	if (!list)
		return NULL;
	memcpy(array, &list, sizeof(list));
	m = stats_new(descriptor);
	if (m)
		list[(*n)++] = m;
	return m;
}

static uint64_t *member(void *message, size_t offset)
{
	return (uint64_t *)((char *)message + offset);
}

void stats_fill(const char *text, const struct stats_field *fields, size_t n, void *message)
{
	for (size_t i = 0; i < n; i++)
		(void)cgroup_text_value(text, fields[i].key, member(message, fields[i].offset));
}

void stats_fill_line(const char *line, const struct stats_field *fields, size_t n, void *message)
{
	for (size_t i = 0; i < n; i++)
		(void)cgroup_line_value(line, fields[i].key, member(message, fields[i].offset));
}

int stats_each_line(char *text, int (*take)(char *line, void *ctx), void *ctx)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = take(line, ctx);

		if (r < 0)
			return r;
	}
	return 0;
}

static uint32_t rdma_number(const char *line, const char *key)
{
	uint64_t v;

	if (cgroup_line_value(line, key, &v) < 0)
		return 0;
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

int stats_rdma(const char *line, char **ret_device, uint32_t *ret_handles, uint32_t *ret_objects)
{
	char *device = strndup(line, strcspn(line, " "));

	if (!device)
		return -ENOMEM;
	*ret_device = device;
	*ret_handles = rdma_number(line, "hca_handle");
	*ret_objects = rdma_number(line, "hca_object");
	return 0;
}

int stats_collect(
	const struct cgroup *cg, enum cgroup_mode mode, struct stats *ret_stats, struct err *err)
{
	ProtobufCMessage *m = mode == CGROUP_MODE_V2 ? stats_v2(cg) : stats_v1(cg);
	struct stats s = {0};

	if (!m)
		return err_sysf(err, ENOMEM, "stats");
	s.type_url = m->descriptor->name;
	s.len = protobuf_c_message_get_packed_size(m);
	s.data = malloc(s.len + 1);
	if (s.data)
		(void)protobuf_c_message_pack(m, s.data);
	protobuf_c_message_free_unpacked(m, NULL);
	if (!s.data)
		return err_sysf(err, ENOMEM, "stats");
	*ret_stats = s;
	return 0;
}
