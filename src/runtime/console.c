#include "runtime/console.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"

int console_open(struct console *c, int master_take, struct err *err)
{
	struct termios raw;
	int r;

	fd_close(&c->master);
	c->master = master_take;
	c->input = true;
	r = fd_set_nonblock(c->master);
	if (r < 0)
		return err_sysf(err, -r, "the workload's terminal");
	if (c->raw || !isatty(STDIN_FILENO))
		return 0;
	if (tcgetattr(STDIN_FILENO, &c->saved) < 0)
		return err_sysf(err, errno, "settings of the terminal");
	raw = c->saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return err_sysf(err, errno, "raw mode of the terminal");
	c->raw = true;
	console_resize(c);
	return 0;
}

void console_resize(const struct console *c)
{
	struct winsize size;

	if (c->master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(c->master, TIOCSWINSZ, &size);
}

void console_polls(const struct console *c, struct pollfd *ret_polls)
{
	bool reads = c->master >= 0 && c->input && c->n_typed == 0;

	ret_polls[0] = (struct pollfd) {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN};
	ret_polls[1] = (struct pollfd) {
		.fd = c->master, .events = (short)(POLLIN | (c->n_typed > 0 ? POLLOUT : 0))};
}

/* The end of the caller's input is what ^D is on a terminal. */
static void read_input(struct console *c)
{
	ssize_t n = read(STDIN_FILENO, c->typed, sizeof(c->typed));
	struct termios t;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		c->n_typed = (size_t)n;
		return;
	}
	c->input = false;
	if (tcgetattr(c->master, &t) == 0 && t.c_cc[VEOF] != _POSIX_VDISABLE) {
		c->typed[0] = (char)t.c_cc[VEOF];
		c->n_typed = 1;
	}
}

static void write_input(struct console *c)
{
	ssize_t n = write(c->master, c->typed, c->n_typed);

	if (n <= 0)
		return;
	c->n_typed -= (size_t)n;
	memmove(c->typed, c->typed + n, c->n_typed);
}

/* false: there is no more. */
static bool read_output(struct console *c)
{
	char buf[CONSOLE_BUFFER];
	ssize_t n = read(c->master, buf, sizeof(buf));

	if (n > 0)
		return file_write_all(STDOUT_FILENO, buf, (size_t)n) == 0;
	return n < 0 && errno == EINTR;
}

void console_move(struct console *c, const struct pollfd *polls)
{
	if (c->master < 0)
		return;
	if (polls[0].revents)
		read_input(c);
	if (polls[1].revents & POLLOUT)
		write_input(c);
	/* POLLHUP: nobody has it open at this moment, and EIO is what reading says. Its end is the
	 * workload's, not the terminal's: until then there is nothing to wait for here. */
	if ((polls[1].revents & (POLLIN | POLLHUP | POLLERR)) && !read_output(c) && errno != EAGAIN)
		fd_close(&c->master);
}

void console_finish(struct console *c)
{
	while (c->master >= 0 && read_output(c))
		;
	console_done(c);
}

void console_done(struct console *c)
{
	if (c->raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
	c->raw = false;
	fd_close(&c->master);
}
