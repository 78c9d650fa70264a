#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "conf/settings.h"
#include "groups/groups.h"
#include "uppers/overlay.h"
#include "store/layout.h"
#include "view/follow.h"

/* The groups, and who is told of each. */
struct refresher {
	struct settings settings;
	struct store_layout layout;
	overlay_stale_fn fn;
	void *arg;
	int proc_fd;
};

static void refresher_done(struct refresher *r)
{
	settings_done(&r->settings);
	store_layout_done(&r->layout);
	if (r->proc_fd >= 0)
		(void)close(r->proc_fd);
}

static int refresh_group(struct refresher *r, const char *key, struct err *err)
{
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	_cleanup_(stale_files_done) struct stale_files stale = STALE_FILES_INIT;
	struct mount_group_spec spec;
	int status = store_group_load(&r->layout, key, &g, err);

	if (status < 0)
		return status;
	spec = groups_mount_spec(&r->layout, &g);
	spec.submounts = r->settings.submounts;
	spec.mask = groups_mask(&r->settings);
	status = mount_group_follow(&spec, r->proc_fd, true, &stale, err);
	if (status < 0)
		return err_wrapf(err, "%s", key);
	status = r->fn(r->arg, key, &stale);
	return status < 0 ? err_sysf(err, -status, "%s", key) : 0;
}

int overlay_refresh_all(overlay_stale_fn fn, void *arg, struct err *err)
{
	_cleanup_(refresher_done) struct refresher r = {.settings = SETTINGS_INIT,
		.layout = STORE_LAYOUT_INIT,
		.fn = fn,
		.arg = arg,
		.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	_cleanup_strv_ char **keys = NULL;
	int status = settings_load(NULL, environ, NULL, 0, &r.settings, err);

	if (status == 0)
		status = store_layout_init(&r.layout, NULL, r.settings.overlay_base, err);
	if (status == 0)
		status = store_groups_list(&r.layout, &keys, err);
	if (status == 0 && r.proc_fd < 0)
		status = err_sysf(err, errno, "/proc");
	for (char **key = keys; status == 0 && key && *key; key++)
		status = refresh_group(&r, *key, err);
	return status;
}

static int print_stale(void *arg, const char *key, const struct stale_files *stale)
{
	(void)arg;
	if (stale->n == 0)
		(void)printf("%s: up to date\n", key);
	for (size_t i = 0; i < stale->n; i++)
		(void)printf("%s: %s was %s on the host; process %d still has the old one open\n",
			key, stale->v[i].path, stale->v[i].deleted ? "deleted" : "replaced",
			(int)stale->v[i].holder);
	return 0;
}

static int put_stale(void *arg, const char *key, const struct stale_files *stale)
{
	_cleanup_(json_object_freep) struct json_object *files = json_new_object();

	for (size_t i = 0; i < stale->n; i++) {
		struct json_object *file = json_new_object();

		if (json_put_str(file, "state", stale->v[i].deleted ? "deleted" : "replaced") < 0 ||
			json_put_u64(file, "process", (uint64_t)stale->v[i].holder) < 0) {
			json_object_freep(&file);
			return -ENOMEM;
		}
		if (json_put_consume(files, stale->v[i].path, file) < 0)
			return -ENOMEM;
	}
	return json_put_consume(arg, key, TAKE_PTR(files));
}

int overlay_refresh_command(const struct cli_args *args)
{
	_cleanup_(json_object_freep) struct json_object *out = json_new_object();
	struct err err = ERR_INIT;

	if (overlay_refresh_all(args->json ? put_stale : print_stale, out, &err) < 0) {
		(void)fprintf(stderr, "reaperctl: overlay refresh: %s\n", err.text);
		return 1;
	}
	return args->json ? cli_print_json(out) : 0;
}
