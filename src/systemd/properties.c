#include "systemd/properties.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "base/str.h"

enum { CPUS_MAX = 8192 };

/* One file of a cgroup and the property that systemd writes it from; systemd.resource-control(5).
 */
static const struct property_row {
	const char *file, *property;
} rows[] = {
	{"cpu.shares", "CPUShares"},
	{"memory.limit_in_bytes", "MemoryLimit"},
	{"blkio.weight", "BlockIOWeight"},
	{"cpu.weight", "CPUWeight"},
	{"memory.max", "MemoryMax"},
	{"memory.high", "MemoryHigh"},
	{"memory.low", "MemoryLow"},
	{"memory.min", "MemoryMin"},
	{"memory.swap.max", "MemorySwapMax"},
	{"io.weight", "IOWeight"},
	{"pids.max", "TasksMax"},
};

struct visit {
	struct dbus_writer *w;
	int n;
	uint64_t quota, period; /* of v1, which has a file each; 0: not seen */
};

static void put(struct visit *v, const char *property, const char *signature)
{
	dbus_begin_struct(v->w);
	dbus_put_string(v->w, property);
	dbus_put_signature(v->w, signature);
	v->n++;
}

static void put_number(struct visit *v, const char *property, uint64_t value)
{
	put(v, property, "t");
	dbus_put_u64(v->w, value);
}

/* "max" and -1 are systemd's infinity. */
static bool read_number(const char *text, uint64_t *ret)
{
	*ret = UINT64_MAX;
	return str_eq(text, "max") || str_eq(text, "-1") ||
	       num_parse_u64(text, UINT64_MAX, ret) == 0;
}

static void put_quota(struct visit *v, uint64_t quota, uint64_t period)
{
	uint64_t per_second = UINT64_MAX;

	if (period == 0 || period > 1000000)
		return; /* nothing that the kernel takes */
	/* rounded up: systemd computes the quota back from it and cuts */
	if (quota < UINT64_MAX / 1000000)
		per_second = (quota * 1000000 + period - 1) / period;
	put_number(v, "CPUQuotaPerSecUSec", per_second);
	put_number(v, "CPUQuotaPeriodUSec", period);
}

static void put_cpu_max(struct visit *v, const char *value)
{
	char quota_text[24];
	size_t n = strcspn(value, " ");
	uint64_t quota, period = 100000;

	if (n >= sizeof(quota_text))
		return;
	memcpy(quota_text, value, n);
	quota_text[n] = '\0';
	if (read_number(quota_text, &quota) &&
		(value[n] == '\0' || num_parse_u64(value + n + 1, 1000000, &period) == 0))
		put_quota(v, quota, period);
}

/* "0-2,5" as a bit mask, the lowest number first. */
static void put_cpus(struct visit *v, const char *property, const char *list)
{
	uint8_t mask[CPUS_MAX / 8] = {0};
	size_t len = 0;

	while (*list) {
		char *end;
		unsigned long from = strtoul(list, &end, 10), to = from;

		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		if (end == list || to >= CPUS_MAX || from > to || (*end && *end != ','))
			return; /* the kernel refuses it, or nobody has so many */
		for (unsigned long i = from; i <= to; i++)
			mask[i / 8] |= (uint8_t)(1U << (i % 8));
		len = to / 8 + 1 > len ? to / 8 + 1 : len;
		list = end + (*end == ',');
	}
	put(v, property, "ay");
	dbus_put_bytes(v->w, mask, len);
}

static int visit_file(void *ctx, bool v2, const char *file, const char *value)
{
	struct visit *v = ctx;
	uint64_t number;

	if (v2 && str_eq(file, "cpu.max"))
		put_cpu_max(v, value);
	else if (v2 && str_eq(file, "cpuset.cpus"))
		put_cpus(v, "AllowedCPUs", value);
	else if (v2 && str_eq(file, "cpuset.mems"))
		put_cpus(v, "AllowedMemoryNodes", value);
	else if (str_eq(file, "cpu.cfs_quota_us"))
		(void)read_number(value, &v->quota);
	else if (str_eq(file, "cpu.cfs_period_us"))
		(void)read_number(value, &v->period);
	else if (strstr(file, ".bfq."))
		return -ENOENT; /* systemd knows the other one */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (str_eq(rows[i].file, file) && read_number(value, &number))
			put_number(v, rows[i].property, number);
	return 0;
}

int systemd_put_limits(struct dbus_writer *w, const struct cgroup *cg,
	const struct cgroup_limits *limits, struct err *err)
{
	struct visit v = {.w = w};
	int r = cgroup_limits_visit(cg, limits, visit_file, &v, err);

	if (r < 0)
		return r;
	if (v.quota > 0)
		put_quota(&v, v.quota, v.period > 0 ? v.period : 100000);
	return v.n;
}
