#include "stream/stdio.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"

static struct event_loop loop;
static char dir[] = "/tmp/reaper-stdio-XXXXXX";
static char in_path[64], out_path[64], err_path[64];
static int drained;

static void on_drained(struct stdio *io, void *ctx)
{
	(void)io;
	(void)ctx;
	drained++;
}

static const struct stdio_ops ops = {NULL, on_drained};

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(in_path, sizeof(in_path), "%s/in", dir);
	(void)snprintf(out_path, sizeof(out_path), "%s/out", dir);
	(void)snprintf(err_path, sizeof(err_path), "%s/err", dir);
	cr_assert_eq(mkfifo(in_path, 0700), 0);
	cr_assert_eq(mkfifo(out_path, 0700), 0);
	cr_assert_eq(mkfifo(err_path, 0700), 0);
	cr_assert_eq(event_loop_init(&loop), 0);
}

static void tear_down(void)
{
	event_loop_done(&loop);
	(void)unlink(in_path);
	(void)unlink(out_path);
	(void)unlink(err_path);
	(void)rmdir(dir);
}

static void turn(void)
{
	while (event_loop_once(&loop, false) > 0) {
		/* until it is quiet */
	}
}

static size_t read_some(int fd, char *buf, size_t size)
{
	ssize_t n = read(fd, buf, size);

	return n > 0 ? (size_t)n : 0;
}

Test(stream_stdio, delivers_output_and_closes_when_the_process_has, .init = set_up,
	.fini = tear_down)
{
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = "", .out = out_path, .err = err_path};
	int child[3], out, err;
	char buf[64];

	out = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	err = open(err_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(stdio_open(&io, &loop, &paths, child, &ops, NULL, NULL), 0);
	cr_assert_lt(child[0], 0);
	cr_assert_eq(file_write_all(child[1], "hello", 5), 0);
	cr_assert_eq(file_write_all(child[2], "oops", 4), 0);
	turn();
	cr_assert_eq(read_some(out, buf, sizeof(buf)), 5);
	cr_assert_eq(read_some(err, buf, sizeof(buf)), 4);
	cr_assert(!stdio_drained(&io));
	fd_close(&child[1]);
	fd_close(&child[2]);
	turn();
	cr_assert_eq(drained, 1);
	cr_assert(stdio_drained(&io));
	cr_assert_eq(read(out, buf, sizeof(buf)), 0, "end of file reaches the client");
	stdio_done(&io);
	(void)close(out);
	(void)close(err);
}

Test(stream_stdio, keeps_the_output_of_a_quick_process_for_a_client_that_opens_late, .init = set_up,
	.fini = tear_down)
{
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = "", .out = out_path, .err = ""};
	int child[3], out;
	char buf[64];

	cr_assert_eq(stdio_open(&io, &loop, &paths, child, &ops, NULL, NULL), 0);
	cr_assert_eq(file_write_all(child[1], "tail", 4), 0);
	fd_close(&child[1]);
	turn();
	cr_assert_eq(drained, 0, "nobody has opened it yet");
	out = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	turn();
	cr_assert_eq(drained, 1);
	cr_assert_eq(read_some(out, buf, sizeof(buf)), 4);
	cr_assert_eq(read(out, buf, sizeof(buf)), 0);
	stdio_done(&io);
	(void)close(out);
}

Test(stream_stdio, makes_the_process_wait_for_a_slow_client_and_loses_nothing, .init = set_up,
	.fini = tear_down)
{
	enum { TOTAL = 1 << 20 };
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = "", .out = out_path, .err = ""};
	int child[3], out;
	size_t written = 0, seen = 0;
	static char chunk[4096];
	unsigned char next = 0, want = 0;
	bool waited = false;

	out = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(stdio_open(&io, &loop, &paths, child, &ops, NULL, NULL), 0);
	cr_assert_eq(fd_set_nonblock(child[1]), 0);
	while (seen < TOTAL) {
		ssize_t n;

		while (written < TOTAL) {
			unsigned char byte = next;

			n = write(child[1], &byte, 1);
			if (n < 0)
				break;
			next = (unsigned char)(next * 5 + 1);
			written++;
		}
		waited = waited || written < TOTAL;
		if (written == TOTAL)
			fd_close(&child[1]);
		turn();
		n = read(out, chunk, sizeof(chunk));
		for (ssize_t i = 0; i < n; i++) {
			cr_assert_eq((unsigned char)chunk[i], want);
			want = (unsigned char)(want * 5 + 1);
		}
		seen += n > 0 ? (size_t)n : 0;
	}
	turn();
	cr_assert(waited);
	cr_assert_eq(drained, 1);
	stdio_done(&io);
	(void)close(out);
}

Test(stream_stdio, ends_input_only_after_close_io_and_the_clients_close, .init = set_up,
	.fini = tear_down)
{
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = in_path, .out = "", .err = ""};
	int child[3], in;
	char buf[64];

	cr_assert_eq(stdio_open(&io, &loop, &paths, child, &ops, NULL, NULL), 0);
	cr_assert_eq(fd_set_nonblock(child[0]), 0);
	in = open(in_path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(file_write_all(in, "line", 4), 0);
	turn();
	cr_assert_eq(read_some(child[0], buf, sizeof(buf)), 4);
	(void)close(in); /* a containerd that restarts */
	turn();
	cr_assert_eq(read(child[0], buf, sizeof(buf)), -1);
	cr_assert_eq(errno, EAGAIN);
	stdio_close_stdin(&io);
	stdio_close_stdin(&io);
	turn();
	cr_assert_eq(read(child[0], buf, sizeof(buf)), 0);
	stdio_done(&io);
	(void)close(child[0]);
}

Test(stream_stdio, refuses_a_scheme_it_does_not_have_by_name, .init = set_up, .fini = tear_down)
{
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = "", .out = "http:///usr/bin/logger", .err = ""};
	struct err err = ERR_INIT;
	int child[3];

	cr_assert_lt(stdio_open(&io, &loop, &paths, child, &ops, NULL, &err), 0);
	cr_assert_eq(err.kind, ERR_INVALID);
	cr_assert(strstr(err.text, "http://"), "%s", err.text);
}

/* Every run of the loop that the shim has could take the tail along by chance: none is made here.
 */
Test(stream_stdio, delivers_what_a_terminal_still_holds_when_its_process_is_deleted, .init = set_up,
	.fini = tear_down)
{
	enum { LINES = 200 };
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = "", .out = out_path, .err = "", .terminal = true};
	int child[3], master, slave, out;
	char buf[8192];
	size_t seen = 0, n;

	out = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(stdio_open(&io, &loop, &paths, child, &ops, NULL, NULL), 0);
	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_assert_eq(stdio_attach_console(&io, master), 0);
	for (int i = 0; i < LINES; i++)
		cr_assert_eq(file_write_all(slave, "line\n", 5), 0);
	fd_close(&slave);
	stdio_process_ended(&io);
	(void)stdio_finish(&io);
	stdio_done(&io);
	while ((n = read_some(out, buf, sizeof(buf))) > 0)
		seen += n;
	cr_assert_eq(seen, LINES * strlen("line\r\n"));
	(void)close(out);
}

Test(stream_stdio, delivers_what_a_pipe_still_holds_when_its_process_is_deleted, .init = set_up,
	.fini = tear_down)
{
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = "", .out = out_path, .err = ""};
	int child[3], out;
	char buf[64];

	out = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(stdio_open(&io, &loop, &paths, child, &ops, NULL, NULL), 0);
	cr_assert_eq(file_write_all(child[1], "tail", 4), 0);
	stdio_process_ended(&io);
	cr_assert(stdio_finish(&io), "held open by somebody silent");
	cr_assert_eq(drained, 0, "the answer was the return value");
	cr_assert_eq(read_some(out, buf, sizeof(buf)), 4);
	cr_assert_eq(read(out, buf, sizeof(buf)), 0);
	stdio_done(&io);
	fd_close(&child[1]);
	(void)close(out);
}

Test(stream_stdio, closes_what_is_held_open_in_silence_two_seconds_after_the_end, .init = set_up,
	.fini = tear_down)
{
	struct stdio io = STDIO_INIT;
	struct stdio_paths paths = {.in = "", .out = out_path, .err = err_path};
	int child[3], out, err;
	char buf[64];

	out = open(out_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	err = open(err_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_eq(stdio_open(&io, &loop, &paths, child, &ops, NULL, NULL), 0);
	fd_close(&child[2]);
	stdio_process_ended(&io);
	turn();
	cr_assert_eq(drained, 0);
	stdio_settle(&io);
	while (drained == 0)
		cr_assert_geq(event_loop_once(&loop, true), 0);
	cr_assert(stdio_drained(&io));
	cr_assert_eq(read(out, buf, sizeof(buf)), 0);
	cr_assert_eq(read(err, buf, sizeof(buf)), 0);
	stdio_done(&io);
	fd_close(&child[1]);
	(void)close(out);
	(void)close(err);
}
