#include "runtime/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "mount/target.h"
#include "mount/tree.h"

static int open_pair(struct terminal *t, int *ret_number, struct err *err)
{
	int unlock = 0;

	t->master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->master < 0)
		return err_sysf(err, errno, "terminal: /dev/pts/ptmx");
	if (ioctl(t->master, TIOCSPTLCK, &unlock) < 0 || ioctl(t->master, TIOCGPTN, ret_number) < 0)
		return err_sysf(err, errno, "terminal");
	/* from the master itself: /dev/pts/N could be another one by now */
	t->slave = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->slave < 0)
		return err_sysf(err, errno, "terminal");
	return 0;
}

/* Programs that log to the console expect it there. */
static int mount_console(int number, int proc_fd, struct err *err)
{
	static const struct mount_options plain = MOUNT_OPTIONS_INIT;
	char path[32];
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int tree = -EBADF;
	_cleanup_close_ int target = -EBADF;

	if (root < 0)
		return err_sysf(err, errno, "root of the view");
	(void)snprintf(path, sizeof(path), "/dev/pts/%d", number);
	tree = tree_open(AT_FDCWD, path, false, err);
	if (tree < 0)
		return tree;
	target = mount_target_open(root, "/dev/console", MOUNT_TARGET_FILE, NULL, NULL, err);
	if (target < 0)
		return target;
	return tree_attach(tree, target, &plain, proc_fd, "/dev/console", err);
}

int terminal_open(uid_t uid, uint16_t width, uint16_t height, bool console, int proc_fd,
	struct terminal *ret_terminal, struct err *err)
{
	_cleanup_(terminal_done) struct terminal t = TERMINAL_INIT;
	struct winsize size = {.ws_row = height, .ws_col = width};
	int number = 0, r;

	r = open_pair(&t, &number, err);
	if (r < 0)
		return r;
	if (width > 0 && height > 0 && ioctl(t.master, TIOCSWINSZ, &size) < 0)
		return err_sysf(err, errno, "terminal size");
	/* the group stays what the gid= option of devpts says */
	if (fchown(t.slave, uid, (gid_t)-1) < 0)
		return err_sysf(err, errno, "terminal's owner");
	if (console) {
		r = mount_console(number, proc_fd, err);
		if (r < 0)
			return r;
	}
	*ret_terminal = t;
	t = (struct terminal)TERMINAL_INIT;
	return 0;
}

int terminal_take(const struct terminal *t, struct err *err)
{
	if (ioctl(t->slave, TIOCSCTTY, 0) < 0)
		return err_sysf(err, errno, "controlling terminal");
	for (int fd = 0; fd < 3; fd++) {
		if (dup2(t->slave, fd) < 0)
			return err_sysf(err, errno, "terminal as descriptor %d", fd);
	}
	return 0;
}

void terminal_done(struct terminal *t)
{
	if (!t)
		return;
	fd_close(&t->master);
	fd_close(&t->slave);
}
