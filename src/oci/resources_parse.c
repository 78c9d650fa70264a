#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/macro.h"
#include "base/str.h"
#include "oci/fields.h"
#include "oci/spec.h"

#define FIELD(name, kind, member, ...)                                        \
	{                                                                     \
		.key = (name), .type = OCI_FIELD_##kind,                      \
		.offset = offsetof(struct oci_resources, member), __VA_ARGS__ \
	}

enum { DEVICE_MAJOR_MAX = 4095, DEVICE_MINOR_MAX = (1 << 20) - 1 };

/* The type of a rule: "a", "b", "c"; "" and nothing are "a". */
static int parse_rule_type(const struct json_ref *e, char *ret_type, struct err *err)
{
	char *type = NULL;
	int r = json_get_str(e, "type", &type, err);

	if (r < 0)
		return r;
	*ret_type = type && *type ? *type : 'a';
	if ((type && *type && type[1]) || !strchr("abc", *ret_type))
		r = oci_field_errorf(e, "type", err, "\"%.20s\": must be a, b or c", type);
	free(type);
	return r;
}

static int parse_rule_access(
	const struct json_ref *e, struct oci_device_rule *rule, struct err *err)
{
	char *access = NULL;
	size_t n = 0;
	int r = json_get_str(e, "access", &access, err);

	if (r < 0)
		return r;
	for (const char *c = "rwm"; *c; c++) {
		if (!str_empty(access) && strchr(access, *c))
			rule->access[n++] = *c;
	}
	if (!str_empty(access) && strspn(access, "rwm") != strlen(access)) {
		r = oci_field_errorf(
			e, "access", err, "\"%.20s\": must be some of r, w, m", access);
	} else if (n == 0 && rule->allow) {
		r = oci_field_errorf(e, "access", err, "missing: must be some of r, w, m");
	} else if (n == 0) { /* a rule that denies, denies all it can */
		memcpy(rule->access, "rwm", sizeof(rule->access));
	}
	free(access);
	return r;
}

static int parse_rule(const struct json_ref *e, void *element, struct err *err)
{
	struct oci_device_rule *rule = element;
	int r = json_get_bool(e, "allow", &rule->allow, err);

	rule->major = rule->minor = -1;
	if (r >= 0)
		r = parse_rule_type(e, &rule->type, err);
	if (r >= 0)
		r = json_get_i64(e, "major", -1, DEVICE_MAJOR_MAX, &rule->major, err);
	if (r >= 0)
		r = json_get_i64(e, "minor", -1, DEVICE_MINOR_MAX, &rule->minor, err);
	if (r >= 0)
		r = parse_rule_access(e, rule, err);
	return r;
}

static int parse_memory(const struct json_ref *o, struct oci_resources *res, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("limit", I64, memory_limit, .min = -1),
		FIELD("reservation", I64, memory_reservation, .min = -1),
		FIELD("swap", I64, memory_swap, .min = -1),
		FIELD("kernel", I64, memory_kernel, .min = -1),
		FIELD("kernelTCP", I64, memory_kernel_tcp, .min = -1),
		FIELD("swappiness", U64, memory_swappiness, .max = UINT64_MAX),
		FIELD("disableOOMKiller", BOOL, memory_disable_oom_killer),
	};

	return oci_fields_parse(o, fields, ARRAY_LEN(fields), res, err);
}

/* A list like "0-3,8": it is written to a cgroup file as it is. */
static int check_cpu_list(
	const struct json_ref *o, const char *key, const char *list, struct err *err)
{
	if (!list || list[strspn(list, "0123456789,-")] == '\0')
		return 0;
	return oci_field_errorf(o, key, err, "\"%.40s\": must be numbers, commas and ranges", list);
}

static int parse_cpu(const struct json_ref *o, struct oci_resources *res, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("shares", U64, cpu_shares, .max = UINT64_MAX),
		FIELD("quota", I64, cpu_quota, .min = INT64_MIN),
		FIELD("period", U64, cpu_period, .max = UINT64_MAX),
		FIELD("burst", U64, cpu_burst, .max = UINT64_MAX),
		FIELD("realtimeRuntime", I64, cpu_rt_runtime, .min = -1),
		FIELD("realtimePeriod", U64, cpu_rt_period, .max = UINT64_MAX),
		FIELD("idle", I64, cpu_idle, .min = 0),
		FIELD("cpus", STR, cpu_cpus),
		FIELD("mems", STR, cpu_mems),
	};
	int r = oci_fields_parse(o, fields, ARRAY_LEN(fields), res, err);

	if (r == 0)
		r = check_cpu_list(o, "cpus", res->cpu_cpus, err);
	if (r == 0)
		r = check_cpu_list(o, "mems", res->cpu_mems, err);
	return r;
}

static int parse_pids(const struct json_ref *o, struct oci_resources *res, struct err *err)
{
	static const struct oci_field fields[] = {FIELD("limit", I64, pids_limit, .min = -1)};

	return oci_fields_parse(o, fields, ARRAY_LEN(fields), res, err);
}

static int parse_hugepage(const struct json_ref *e, void *element, struct err *err)
{
	struct oci_hugepage_limit *h = element;
	const char *unit;
	int r = json_get_str(e, "pageSize", &h->page_size, err);

	if (r < 0)
		return r;
	/* becomes part of a file name, hugetlb.2MB.max */
	unit = h->page_size ? h->page_size + strspn(h->page_size, "0123456789") : "";
	if (unit == h->page_size ||
		!(str_eq(unit, "KB") || str_eq(unit, "MB") || str_eq(unit, "GB")))
		return oci_field_errorf(e, "pageSize", err,
			"\"%.20s\": must be a number with KB, MB or GB",
			h->page_size ? h->page_size : "");
	return json_get_u64(e, "limit", 0, UINT64_MAX, &h->limit, err);
}

static int parse_block_device(
	const struct json_ref *e, struct oci_block_device *d, const char *key, struct err *err)
{
	uint64_t major = 0, minor = 0;
	int r = json_get_u64(e, "major", 0, DEVICE_MAJOR_MAX, &major, err);

	if (r >= 0)
		r = json_get_u64(e, "minor", 0, DEVICE_MINOR_MAX, &minor, err);
	if (r >= 0)
		r = json_get_u64(e, key, 0, UINT64_MAX, &d->value, err);
	d->major = (uint32_t)major;
	d->minor = (uint32_t)minor;
	return r;
}

static int parse_block_weight(const struct json_ref *e, void *element, struct err *err)
{
	return parse_block_device(e, element, "weight", err);
}

static int parse_block_rate(const struct json_ref *e, void *element, struct err *err)
{
	return parse_block_device(e, element, "rate", err);
}

static int parse_block_io(const struct json_ref *o, struct oci_resources *res, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("weight", U64, blkio_weight, .max = UINT16_MAX),
		FIELD("leafWeight", U64, blkio_leaf_weight, .max = UINT16_MAX),
	};
	const struct {
		const char *key;
		struct oci_block_devices *list;
		int (*parse)(const struct json_ref *e, void *element, struct err *err);
	} lists[] = {
		{"weightDevice", &res->blkio_weight_device, parse_block_weight},
		{"throttleReadBpsDevice", &res->blkio_read_bps, parse_block_rate},
		{"throttleWriteBpsDevice", &res->blkio_write_bps, parse_block_rate},
		{"throttleReadIOPSDevice", &res->blkio_read_iops, parse_block_rate},
		{"throttleWriteIOPSDevice", &res->blkio_write_iops, parse_block_rate},
	};
	int r = oci_fields_parse(o, fields, ARRAY_LEN(fields), res, err);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++)
		r = oci_array_parse(o, lists[i].key, OCI_LIST_MAX, sizeof(*lists[i].list->v),
			lists[i].parse, (void **)&lists[i].list->v, &lists[i].list->n, err);
	return r;
}

/* An object of objects, by the names of devices. */
static int parse_rdma(const struct json_ref *object, struct oci_resources *res, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	struct json_ref all, one;
	int r = json_get_keys(object, "rdma", OCI_LIST_MAX, &names, err);

	if (r > 0)
		r = json_get_object(object, "rdma", &all, err);
	if (r <= 0)
		return r;
	res->rdma = calloc(strv_len(names) + 1, sizeof(*res->rdma));
	if (!res->rdma)
		return err_sysf(err, ENOMEM, "linux.resources.rdma");
	for (size_t i = 0; names && names[i]; i++) {
		static const struct oci_field fields[] = {
			{.key = "hcaHandles",
				.type = OCI_FIELD_U64,
				.max = UINT32_MAX,
				.offset = offsetof(struct oci_rdma, hca_handles)},
			{.key = "hcaObjects",
				.type = OCI_FIELD_U64,
				.max = UINT32_MAX,
				.offset = offsetof(struct oci_rdma, hca_objects)},
		};
		struct oci_rdma *rdma = &res->rdma[res->n_rdma];

		r = json_get_object(&all, names[i], &one, err);
		if (r <= 0)
			return r < 0 ? r : oci_field_errorf(&all, names[i], err, "null");
		if (str_dup(&rdma->device, names[i]) < 0)
			return err_sysf(err, ENOMEM, "linux.resources.rdma");
		res->n_rdma++;
		r = oci_fields_parse(&one, fields, ARRAY_LEN(fields), rdma, err);
		if (r < 0)
			return r;
	}
	return 1;
}

/* Keys of `unified` are names of files in the cgroup's directory. */
static int parse_unified(const struct json_ref *object, struct oci_resources *res, struct err *err)
{
	int r = json_get_pairs(
		object, "unified", OCI_LIST_MAX, &res->unified, &res->n_unified, err);

	for (size_t i = 0; r > 0 && i < res->n_unified; i++) {
		const char *key = res->unified[i].key;

		if (strchr(key, '/') || !strchr(key, '.') || key[0] == '.')
			return oci_field_errorf(object, "unified", err,
				"\"%.60s\": must be the name of a cgroup file, as memory.high",
				key);
	}
	return r;
}

int oci_resources_fill(const struct json_ref *object, struct oci_resources *res, struct err *err)
{
	static const struct {
		const char *key;
		int (*parse)(const struct json_ref *o, struct oci_resources *res, struct err *err);
	} parts[] = {
		{"memory", parse_memory},
		{"cpu", parse_cpu},
		{"pids", parse_pids},
		{"blockIO", parse_block_io},
	};
	static const struct oci_field fields[] = {
		FIELD("network", HAS, has_network),
	};
	int r = oci_fields_parse(object, fields, ARRAY_LEN(fields), res, err);

	if (r == 0)
		r = oci_array_parse(object, "devices", OCI_ARGS_MAX, sizeof(*res->devices),
			parse_rule, (void **)&res->devices, &res->n_devices, err);
	if (r == 0)
		r = oci_array_parse(object, "hugepageLimits", OCI_LIST_MAX, sizeof(*res->hugepages),
			parse_hugepage, (void **)&res->hugepages, &res->n_hugepages, err);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(parts); i++) {
		struct json_ref part;

		r = json_get_object(object, parts[i].key, &part, err);
		if (r > 0)
			r = parts[i].parse(&part, res, err);
	}
	if (r >= 0)
		r = parse_rdma(object, res, err);
	if (r >= 0)
		r = parse_unified(object, res, err);
	return r < 0 ? r : 0;
}

int oci_resources_parse(
	const char *text, size_t len, struct oci_resources *ret_resources, struct err *err)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	struct oci_resources res = OCI_RESOURCES_INIT;
	int r;

	if (len > OCI_CONFIG_MAX)
		return err_setf(err, ERR_INVALID, EFBIG, "resources: %zu bytes, the limit is %d",
			len, OCI_CONFIG_MAX);
	r = json_parse(text, len, "resources", &root, err);
	if (r == 0)
		r = oci_resources_fill(&root, &res, err);
	if (r < 0) {
		oci_resources_done(&res);
		return r;
	}
	*ret_resources = res;
	return 0;
}

void oci_resources_done(struct oci_resources *resources)
{
	struct oci_resources *r = resources;

	if (!r)
		return;
	free(r->devices);
	free(r->cpu_cpus);
	free(r->cpu_mems);
	for (size_t i = 0; i < r->n_hugepages; i++)
		free(r->hugepages[i].page_size);
	free(r->hugepages);
	free(r->blkio_weight_device.v);
	free(r->blkio_read_bps.v);
	free(r->blkio_write_bps.v);
	free(r->blkio_read_iops.v);
	free(r->blkio_write_iops.v);
	for (size_t i = 0; i < r->n_rdma; i++)
		free(r->rdma[i].device);
	free(r->rdma);
	json_pairs_free(r->unified, r->n_unified);
	*r = (struct oci_resources)OCI_RESOURCES_INIT;
}
