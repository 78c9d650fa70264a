/* Limits that are lists: cpusets, huge pages, block devices, RDMA devices, unified keys. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "cgroup/limits_file.h"
#include "cgroup/tree.h"

enum { VALUE_MAX = CGROUP_VALUE_MAX, UNIFIED_KEY_MAX = 128, RDMA_NAME_MAX = 64 };

/* A file of the same name in both versions. */
static int apply_cpuset(
	const struct limit_writer *w, const char *file, const char *value, struct err *err)
{
	size_t i;
	int r;

	if (str_empty(value))
		return 0;
	if (!cgroup_has(w->cg, CGROUP_CPUSET, &i))
		return cgroup_limit_note(w->notes, file, err);
	r = w->put(w->ctx, &w->cg->dirs[i], file, value);
	return r < 0 ? cgroup_limit_refused(r, w->cg->dirs[i].path, file, value, err) : 0;
}

/* "2MB", "1GB", "64KB": it becomes a part of a file name. */
static bool is_page_size(const char *s)
{
	size_t digits = strspn(s, "0123456789");

	return digits > 0 && digits < 8 && strchr("KMGT", s[digits]) && s[digits] &&
	       str_eq(s + digits + 1, "B");
}

static int apply_hugetlb(
	const struct limit_writer *w, const struct cgroup_hugetlb *h, struct err *err)
{
	char file[64], reserved[64], value[VALUE_MAX];
	const char *suffix;
	size_t i;
	int r;

	if (!is_page_size(h->page_size))
		return err_setf(err, ERR_INVALID, EINVAL, "hugepage limit: \"%s\" is no page size",
			h->page_size);
	(void)snprintf(value, sizeof(value), "%" PRIu64, h->limit);
	(void)snprintf(file, sizeof(file), "hugetlb.%s", h->page_size);
	if (!cgroup_has(w->cg, CGROUP_HUGETLB, &i))
		return cgroup_limit_note(w->notes, file, err);
	suffix = w->cg->dirs[i].v2 ? "max" : "limit_in_bytes";
	(void)snprintf(file, sizeof(file), "hugetlb.%s.%s", h->page_size, suffix);
	(void)snprintf(reserved, sizeof(reserved), "hugetlb.%s.rsvd.%s", h->page_size, suffix);
	r = w->put(w->ctx, &w->cg->dirs[i], file, value);
	if (r == -ENOENT)
		return cgroup_limit_note(w->notes, file, err);
	if (r < 0)
		return cgroup_limit_refused(r, w->cg->dirs[i].path, file, value, err);
	r = w->put(w->ctx, &w->cg->dirs[i], reserved, value); /* not before Linux 5.7 */
	if (r < 0 && r != -ENOENT)
		return cgroup_limit_refused(r, w->cg->dirs[i].path, reserved, value, err);
	return 0;
}

/* A key is a file name of a controller; of the core's files only the two limits. */
static bool is_unified_key(const char *key)
{
	if (!strchr(key, '.') || key[0] == '.' || strchr(key, '/') || strlen(key) > UNIFIED_KEY_MAX)
		return false;
	return !str_has_prefix(key, "cgroup.") || str_eq(key, "cgroup.max.depth") ||
	       str_eq(key, "cgroup.max.descendants");
}

static int apply_unified(
	const struct limit_writer *w, const struct cgroup_unified *u, struct err *err)
{
	const struct cgroup_dir *d = w->cg->n > 0 ? &w->cg->dirs[w->cg->n - 1] : NULL;
	int r;

	if (!is_unified_key(u->key))
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.resources.unified: \"%.*s\" is no limit of cgroup v2",
			UNIFIED_KEY_MAX, u->key);
	for (size_t i = 0; i < w->cg->n; i++)
		if (!w->cg->dirs[i].v2)
			return err_setf(err, ERR_PRECONDITION, EOPNOTSUPP,
				"linux.resources.unified: \"%s\" is a file of cgroup v2, and this "
				"host "
				"has cgroup v1: leave it out, or boot with "
				"systemd.unified_cgroup_hierarchy=1",
				u->key);
	if (!d)
		return cgroup_limit_note(w->notes, u->key, err);
	r = w->put(w->ctx, d, u->key, u->value);
	if (r == -ENOENT)
		return cgroup_limit_note(w->notes, u->key, err);
	return r < 0 ? cgroup_limit_refused(r, d->path, u->key, u->value, err) : 0;
}

/* One kind of per-device limit: v1 has a file each, v2 one file with a word each. */
static const struct block_row {
	const char *name, *v1, *v1_bfq, *v2, *v2_bfq, *v2_word;
} block_rows[_CGROUP_BLOCK_MAX] = {
	[CGROUP_BLOCK_WEIGHT] = {"blockIO.weightDevice", "blkio.weight_device",
		"blkio.bfq.weight_device", "io.weight", "io.bfq.weight", NULL},
	[CGROUP_BLOCK_READ_BPS] = {"blockIO.throttleReadBpsDevice",
		"blkio.throttle.read_bps_device", NULL, "io.max", NULL, "rbps"},
	[CGROUP_BLOCK_WRITE_BPS] = {"blockIO.throttleWriteBpsDevice",
		"blkio.throttle.write_bps_device", NULL, "io.max", NULL, "wbps"},
	[CGROUP_BLOCK_READ_IOPS] = {"blockIO.throttleReadIOPSDevice",
		"blkio.throttle.read_iops_device", NULL, "io.max", NULL, "riops"},
	[CGROUP_BLOCK_WRITE_IOPS] = {"blockIO.throttleWriteIOPSDevice",
		"blkio.throttle.write_iops_device", NULL, "io.max", NULL, "wiops"},
};

static void format_block(const struct block_row *row, const struct cgroup_block_value *b, bool v2,
	bool bfq, char out[VALUE_MAX])
{
	char number[32];
	uint64_t value = b->value;

	if (v2 && !row->v2_word && !bfq)
		value = cgroup_io_weight(value);
	(void)snprintf(number, sizeof(number), "%" PRIu64, value);
	if (v2 && row->v2_word)
		(void)snprintf(out, VALUE_MAX, "%" PRIu32 ":%" PRIu32 " %s=%s", b->major, b->minor,
			row->v2_word, value == 0 ? "max" : number);
	else
		(void)snprintf(
			out, VALUE_MAX, "%" PRIu32 ":%" PRIu32 " %s", b->major, b->minor, number);
}

static int apply_block(const struct limit_writer *w, const struct block_row *row,
	const struct cgroup_block_value *b, struct err *err)
{
	const struct cgroup_dir *d = cgroup_limit_dir(w->cg, CGROUP_BLKIO, false);
	const char *file = row->v1, *bfq = row->v1_bfq;
	char value[VALUE_MAX];
	int r = -ENOENT;

	if (!d) {
		d = cgroup_limit_dir(w->cg, CGROUP_IO, true);
		file = row->v2;
		bfq = row->v2_bfq;
	}
	if (!d)
		return cgroup_limit_note(w->notes, row->name, err);
	if (bfq) {
		format_block(row, b, d->v2, true, value);
		r = w->put(w->ctx, d, bfq, value);
	}
	if (r == -ENOENT) {
		format_block(row, b, d->v2, false, value);
		r = w->put(w->ctx, d, file, value);
	}
	if (r == -ENOENT)
		return cgroup_limit_note(w->notes, row->name, err);
	return r < 0 ? cgroup_limit_refused(r, d->path, file, value, err) : 0;
}

/* The name becomes the first word of a line. */
static bool is_rdma_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > RDMA_NAME_MAX)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static void format_count(char out[32], int64_t n)
{
	if (n < 0)
		(void)snprintf(out, 32, "max");
	else
		(void)snprintf(out, 32, "%" PRId64, n);
}

/* The same file in both versions. */
static int apply_rdma(const struct limit_writer *w, const struct cgroup_rdma *rdma, struct err *err)
{
	char value[VALUE_MAX + RDMA_NAME_MAX], handles[32], objects[32];
	size_t i;
	int r;

	if (!is_rdma_name(rdma->device))
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.resources.rdma: \"%.*s\" is no name of a device", RDMA_NAME_MAX,
			rdma->device);
	if (!cgroup_has(w->cg, CGROUP_RDMA, &i))
		return cgroup_limit_note(w->notes, "rdma", err);
	format_count(handles, rdma->handles);
	format_count(objects, rdma->objects);
	(void)snprintf(value, sizeof(value), "%s hca_handle=%s hca_object=%s", rdma->device,
		handles, objects);
	r = w->put(w->ctx, &w->cg->dirs[i], "rdma.max", value);
	if (r == -ENOENT)
		return cgroup_limit_note(w->notes, "rdma", err);
	return r < 0 ? cgroup_limit_refused(r, w->cg->dirs[i].path, "rdma.max", value, err) : 0;
}

int cgroup_limits_apply_lists(
	const struct limit_writer *w, const struct cgroup_limits *limits, struct err *err)
{
	int r = apply_cpuset(w, "cpuset.cpus", limits->cpus, err);

	if (r == 0)
		r = apply_cpuset(w, "cpuset.mems", limits->mems, err);
	for (size_t i = 0; r == 0 && i < limits->n_hugetlb; i++)
		r = apply_hugetlb(w, &limits->hugetlb[i], err);
	for (size_t k = 0; k < _CGROUP_BLOCK_MAX; k++)
		for (size_t i = 0; r == 0 && i < limits->block[k].n; i++)
			r = apply_block(w, &block_rows[k], &limits->block[k].v[i], err);
	for (size_t i = 0; r == 0 && i < limits->n_rdma; i++)
		r = apply_rdma(w, &limits->rdma[i], err);
	for (size_t i = 0; r == 0 && i < limits->n_unified; i++)
		r = apply_unified(w, &limits->unified[i], err);
	return r;
}
