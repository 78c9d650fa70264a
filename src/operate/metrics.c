#include "operate/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/settings.h"
#include "groups/containers.h"
#include "operate/counters.h"
#include "store/group.h"
#include "view/follow.h"

enum { TEXT_MAX = 16 << 20, ROLLUP_MAX = 64 << 10 };

static int gauge(struct buf *out, const char *name, const char *help)
{
	return buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

/* ---- pods and shims ---- */

static int print_containers(const struct containers *c, struct buf *out)
{
	static const char *const names[_CONTAINER_STATUS_MAX] = {
		"created", "running", "paused", "stopped"};
	size_t pods = 0, by_status[_CONTAINER_STATUS_MAX] = {0};
	int r;

	for (size_t i = 0; i < c->n; i++) {
		if (!c->v[i].record.sandbox)
			by_status[c->v[i].status]++;
		else if (c->v[i].status != CONTAINER_STOPPED)
			pods++;
	}
	r = gauge(out, "reaper_pods", "Pods whose sandbox is at work.");
	if (r == 0)
		r = buf_printf(out, "reaper_pods %zu\n", pods);
	if (r == 0)
		r = gauge(out, "reaper_containers", "Containers on this node, by status.");
	for (size_t i = 0; r == 0 && i < _CONTAINER_STATUS_MAX; i++)
		r = buf_printf(
			out, "reaper_containers{status=\"%s\"} %zu\n", names[i], by_status[i]);
	return r;
}

/* Its part of what it shares with others is in it once. 0 for one that has just ended. */
static uint64_t memory_of(pid_t pid)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	uint64_t kib = 0;
	char *p;

	if (str_printf(&path, "/proc/%d/smaps_rollup", (int)pid) < 0 ||
		file_read_at(AT_FDCWD, path, ROLLUP_MAX, &text, NULL, NULL) < 0)
		return 0;
	p = strstr(text, "\nPss:");
	if (!p)
		return 0;
	p += strlen("\nPss:");
	p += strspn(p, " \t");
	p[strspn(p, "0123456789")] = '\0';
	return num_parse_u64(p, UINT32_MAX, &kib) < 0 ? 0 : kib * 1024;
}

static int print_shims(const struct containers *c, struct buf *out)
{
	uint64_t bytes = 0;
	int r;

	for (size_t i = 0; i < c->n_shims; i++)
		bytes += memory_of(c->shims[i]);
	r = gauge(out, "reaper_shim_processes", "Processes of the shims, with the sandboxes.");
	if (r == 0)
		r = buf_printf(out, "reaper_shim_processes %zu\n", c->n_shims);
	if (r == 0)
		r = gauge(out, "reaper_shim_memory_bytes",
			"Proportional memory of the shims' processes.");
	return r < 0 ? r : buf_printf(out, "reaper_shim_memory_bytes %" PRIu64 "\n", bytes);
}

/* ---- groups ---- */

struct group_numbers {
	char *key;
	bool mounted;
	uint64_t size, used, files, used_files, followed;
};

/* No lock is taken: nobody who starts a pod waits for this. */
static int measure_group(const struct store_layout *layout, const char *key,
	struct group_numbers *n, struct err *err)
{
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	_cleanup_free_ char *followed = NULL, *above = NULL;
	int r = store_group_load(layout, key, &g, err);
	struct stat st, up;
	struct statfs fs;

	if (r < 0)
		return r;
	if (str_printf(&followed, "%s/" FOLLOW_COUNT_NAME, g.dir) < 0 ||
		str_printf(&above, "%s/..", g.base_dir) < 0 || str_dup(&n->key, key) < 0)
		return err_sysf(err, ENOMEM, "group %s", key);
	if (stat(followed, &st) == 0)
		n->followed = (uint64_t)st.st_size;
	if (stat(g.base_dir, &st) < 0 || stat(above, &up) < 0 || st.st_dev == up.st_dev ||
		statfs(g.base_dir, &fs) < 0)
		return 0;
	n->mounted = true;
	n->size = fs.f_blocks * (uint64_t)fs.f_bsize;
	n->used = (fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
	n->files = fs.f_files;
	n->used_files = fs.f_files - fs.f_ffree;
	return 0;
}

static const struct {
	const char *name, *type, *help;
	size_t offset;
	bool of_mounted;
} group_families[] = {
	{"reaper_upper_size_bytes", "gauge", "What the group's upper layers may hold.",
		offsetof(struct group_numbers, size), true},
	{"reaper_upper_used_bytes", "gauge", "What the group's workloads have written.",
		offsetof(struct group_numbers, used), true},
	{"reaper_upper_files_max", "gauge", "Files that the group's upper layers may have.",
		offsetof(struct group_numbers, files), true},
	{"reaper_upper_files", "gauge", "Files in the group's upper layers.",
		offsetof(struct group_numbers, used_files), true},
	{"reaper_view_refreshes_total", "counter",
		"Times the group's view was brought to what the host had mounted since.",
		offsetof(struct group_numbers, followed), false},
};

static int print_family(size_t f, const struct group_numbers *v, size_t n, struct buf *out)
{
	int r = buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", group_families[f].name,
		group_families[f].help, group_families[f].name, group_families[f].type);

	/* a key has no character that would have to be escaped (store/layout.h) */
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (v[i].mounted || !group_families[f].of_mounted)
			r = buf_printf(out, "%s{group=\"%s\"} %" PRIu64 "\n",
				group_families[f].name, v[i].key,
				*(const uint64_t *)((const char *)&v[i] +
						    group_families[f].offset));
	}
	return r;
}

static int print_groups(const struct settings *s, struct buf *out, struct err *err)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_strv_ char **keys = NULL;
	struct group_numbers *v = NULL;
	size_t n = 0;
	int r = store_layout_init(&layout, NULL, s->overlay_base, err);

	if (r == 0)
		r = store_groups_list(&layout, &keys, err);
	if (r < 0)
		return r;
	v = calloc(strv_len(keys) + 1, sizeof(*v));
	if (!v)
		return err_sysf(err, ENOMEM, "metrics");
	for (; r == 0 && keys && keys[n]; n++)
		r = measure_group(&layout, keys[n], &v[n], err);
	for (size_t f = 0; r == 0 && f < ARRAY_LEN(group_families); f++) {
		if (print_family(f, v, n, out) < 0)
			r = err_sysf(err, ENOMEM, "metrics");
	}
	for (size_t i = 0; i < n; i++)
		free(v[i].key);
	free(v);
	return r;
}

/* ---- all of it ---- */

static int print_history(const struct settings *s, struct buf *out, struct err *err)
{
	const char *dir = getenv("STATE_DIRECTORY"); /* of systemd, for a unit that has one */
	uint64_t v[_COUNTER_MAX];
	int r;

	if (!s->history_file || s->history == HISTORY_NONE)
		return 0;
	r = counters_update(dir ? dir : METRICS_STATE_DIR, s->history_file, v, err);
	if (r < 0)
		return r;
	return counters_print(v, out) < 0 ? err_sysf(err, ENOMEM, "metrics") : 0;
}

static int collect(struct buf *out, struct err *err)
{
	_cleanup_(containers_done) struct containers containers = CONTAINERS_INIT;
	_cleanup_(settings_done) struct settings settings = SETTINGS_INIT;
	int r = settings_load(NULL, environ, NULL, 0, &settings, err);

	if (r == 0)
		r = containers_find(NULL, &containers, err);
	if (r < 0)
		return r;
	if (gauge(out, "reaper_build_info", "Which version this is.") < 0 ||
		buf_printf(out, "reaper_build_info{version=\"" REAPER_VERSION "\"} 1\n") < 0 ||
		print_containers(&containers, out) < 0 || print_shims(&containers, out) < 0)
		return err_sysf(err, ENOMEM, "metrics");
	r = print_groups(&settings, out, err);
	return r < 0 ? r : print_history(&settings, out, err);
}

int metrics_command(const struct cli_args *args)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(TEXT_MAX);
	struct err err = ERR_INIT;
	int r = collect(&out, &err);

	if (r == 0 && args->output)
		r = file_replace_at(AT_FDCWD, args->output, out.data, out.len, 0644, &err);
	else if (r == 0 && (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0))
		r = err_sysf(&err, errno, "standard output");
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "reaperctl: metrics: %s\n", err.text);
	return 1;
}
