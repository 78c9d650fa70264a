/* Probes of head-room: what is written for each start needs some, and so do the workloads. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "conf/settings.h"
#include "groups/groups.h"
#include "doctor/check.h"
#include "store/group.h"
#include "store/layout.h"

enum {
	RUN_BYTES = 8 << 20, /* records, sockets and what the groups need beside their uppers */
	RUN_FILES = 512,
	DISK_BYTES = 64 << 20, /* the history, journals, the bytes that an undo gives back */
	DISK_FILES = 128,
	UPPER_PERCENT = 90,
};

static unsigned long long mebibytes(uint64_t bytes)
{
	return (unsigned long long)(bytes >> 20);
}

/* A file system that counts no files (btrfs) has any number of them. */
static enum check_result has_room(const char *dir, uint64_t bytes, uint64_t files, struct err *why)
{
	struct statvfs fs;

	if (statvfs(dir, &fs) < 0)
		return CHECK_SKIPPED;
	if ((uint64_t)fs.f_bavail * fs.f_frsize < bytes)
		(void)err_setf(why, ERR_EXHAUSTED, ENOSPC, "%s has %llu MiB left, less than %llu",
			dir, mebibytes((uint64_t)fs.f_bavail * fs.f_frsize), mebibytes(bytes));
	else if (fs.f_files > 0 && fs.f_favail < files)
		(void)err_setf(why, ERR_EXHAUSTED, ENOSPC,
			"%s has room for %llu files, less than %llu", dir,
			(unsigned long long)fs.f_favail, (unsigned long long)files);
	return why->kind == ERR_NONE ? CHECK_PASSED : CHECK_FAILED;
}

enum check_result check_run_room(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	(void)c;
	return ctx->args->root ? CHECK_SKIPPED : has_room("/run", RUN_BYTES, RUN_FILES, why);
}

/* Where the history is written, and where an undo's bytes lie. The nearest directory that is there.
 */
enum check_result check_disk_room(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	char *places[] = {
		NULL, (char *)(uintptr_t) "/var/lib/reaper", (char *)(uintptr_t) "/var/lib"};
	_cleanup_free_ char *file = NULL;
	enum check_result result = CHECK_SKIPPED;

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	if (settings_load(NULL, environ, NULL, 0, &s, NULL) == 0 && s.history_file &&
		str_dup(&file, s.history_file) == 0)
		places[0] = dirname(file);
	for (size_t i = 0; i < ARRAY_LEN(places) && result != CHECK_FAILED; i++) {
		if (places[i] && access(places[i], F_OK) == 0)
			result = has_room(places[i], DISK_BYTES, DISK_FILES, why);
	}
	return result;
}

static bool is_full(uint64_t used, uint64_t of)
{
	return of > 0 && used / UPPER_PERCENT >= of / 100;
}

/* Fills `why` if the group's uppers are nearly full. */
static void look_at(const struct store_layout *layout, const char *key, struct err *why)
{
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	struct mount_group_spec spec;
	struct mount_group_info info;

	if (store_group_load(layout, key, &g, NULL) < 0)
		return;
	spec = groups_mount_spec(layout, &g);
	if (mount_group_inspect(&spec, &info, NULL) < 0)
		return;
	if (is_full(info.used_bytes, info.size_bytes))
		(void)err_setf(why, ERR_EXHAUSTED, ENOSPC, "group %s has written %llu of %llu MiB",
			key, mebibytes(info.used_bytes), mebibytes(info.size_bytes));
	else if (is_full(info.used_inodes, info.inodes))
		(void)err_setf(why, ERR_EXHAUSTED, ENOSPC,
			"group %s has made %" PRIu64 " of %" PRIu64 " files", key, info.used_inodes,
			info.inodes);
}

enum check_result check_upper_room(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	_cleanup_strv_ char **keys = NULL;

	(void)c;
	if (ctx->args->root || settings_load(NULL, environ, NULL, 0, &s, NULL) < 0 ||
		store_layout_init(&layout, NULL, s.overlay_base, NULL) < 0 ||
		store_groups_list(&layout, &keys, NULL) < 0)
		return CHECK_SKIPPED;
	for (char **key = keys; key && *key && why->kind == ERR_NONE; key++)
		look_at(&layout, *key, why);
	return why->kind == ERR_NONE ? CHECK_PASSED : CHECK_FAILED;
}
