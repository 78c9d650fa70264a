#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "runtime/hooks.h"

/* The spec with the view as its root. */
static int rewrite(
	const char *config, size_t len, char **ret_text, size_t *ret_len, struct err *err)
{
	_cleanup_json_ struct json_ref spec = {0};
	struct json_object *root;
	struct json_ref old;
	bool readonly = false;
	int r = json_parse(config, len, "config.json", &spec, err);

	if (r == 0)
		r = json_get_object(&spec, "root", &old, err);
	if (r > 0)
		r = json_get_bool(&old, "readonly", &readonly, err);
	if (r < 0)
		return r;
	root = json_new_object();
	r = json_put_str(root, "path", "/");
	r |= json_put_bool(root, "readonly", readonly);
	if (json_put_consume(spec.value, "root", root) < 0 || r < 0 ||
		json_write(spec.value, JSON_COMPACT, ret_text, ret_len) < 0)
		return err_sysf(err, ENOMEM, "config.json");
	return 0;
}

/* A tmpfs that is mounted nowhere and ends with its last descriptor. */
static int detached_tmpfs(void)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? -errno : fd;
}

int hooks_bundle(const char *config, size_t len, struct err *err)
{
	_cleanup_close_ int dir = -EBADF, file = -EBADF;
	_cleanup_free_ char *text = NULL;
	size_t text_len;
	int r = rewrite(config, len, &text, &text_len, err);

	if (r < 0)
		return r;
	dir = detached_tmpfs();
	if (dir < 0)
		return err_sysf(err, -dir, "bundle for hooks");
	/* for a hook that runs as the workload's user, who knows what is in it */
	file = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file < 0)
		return err_sysf(err, errno, "bundle for hooks");
	r = file_write_all(file, text, text_len);
	return r < 0 ? err_sysf(err, -r, "bundle for hooks") : TAKE_FD(dir);
}
