/* What every change of containerd's configuration asks about its surroundings. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"
#include "cli/child.h"
#include "merge/engine.h"
#include "node/root.h"
#include "view/inside.h"

/* The PATH of systemd's units, which containerd searches, in its order. */
static const char *const dirs[] = {
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};
enum { OF_ADMINISTRATORS = 2, ENVIRON_MAX = 1 << 20 }; /* so many of them belong to no package */

static char *find_shim(const char *root, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		_cleanup_free_ char *name = NULL;
		char *path = NULL;

		if (str_printf(&name, "%s/containerd-shim-reaper-v2", dirs[i]) < 0 ||
			root_program(root, name, &path) < 0 || path)
			return path;
	}
	return NULL;
}

/* PATH of the running daemon's environment, which a unit may have set; NULL: it does not run. */
static char *daemon_path(const struct daemon *d)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;

	if (*d->root || d->main_pid <= 0)
		return NULL;
	(void)snprintf(path, sizeof(path), "/proc/%d/environ", d->main_pid);
	if (file_read_at(AT_FDCWD, path, ENVIRON_MAX, &text, &len, NULL) < 0)
		return NULL;
	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		if (str_has_prefix(text + at, "PATH="))
			return strdup(text + at + strlen("PATH="));
	}
	return NULL;
}

static char *find_on(const char *path)
{
	_cleanup_strv_ char **names = NULL;

	if (strv_split(&names, path, ":") < 0)
		return NULL;
	for (char **n = names; n && *n; n++) {
		char *found = NULL;

		if (str_printf(&found, "%s/containerd-shim-reaper-v2", *n) < 0)
			return NULL;
		if (access(found, X_OK) == 0)
			return found;
		free(found);
	}
	return NULL;
}

int containerd_check_shim(const struct daemon *d, struct err *err)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_free_ char *path = daemon_path(d);
	_cleanup_free_ char *shim = path ? find_on(path) : find_shim(d->root, 0, ARRAY_LEN(dirs));
	char *argv[] = {(char *)"containerd-shim-reaper-v2", (char *)"-v", NULL};
	struct child_spec spec = {.path = shim, .argv = argv, .timeout_s = 10};
	int r;

	if (!shim)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"containerd-shim-reaper-v2 is not installed%s%s%s%s",
			*d->root ? " below " : "", d->root, path ? " in containerd's PATH, " : "",
			path ? path : "");
	if (*d->root) /* it may be another architecture's */
		return 0;
	r = child_must(&spec, &res, err);
	if (r < 0)
		(void)err_wrapf(err, "containerd-shim-reaper-v2 does not run");
	return r;
}

char *containerd_shadowing_shim(const char *root)
{
	_cleanup_free_ char *packaged = find_shim(root, OF_ADMINISTRATORS, ARRAY_LEN(dirs));

	return packaged ? find_shim(root, 0, OF_ADMINISTRATORS) : NULL;
}

bool containerd_is_there(const struct cli_args *args)
{
	_cleanup_(daemon_done) struct daemon d = DAEMON_INIT;
	struct err err = ERR_INIT;

	return daemon_resolve(args, &d, &err) < 0 || d.program;
}

bool containerd_inside_view(const struct cli_args *args, struct report *rep)
{
	if (args->root || !mount_inside_view())
		return false;
	(void)report_set(rep, REASON_IN_VIEW,
		"this is the view of a Reaper pod: containerd's configuration is left as it is");
	return true;
}
