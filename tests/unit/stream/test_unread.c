#include "stream/unread.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"

static struct event_loop loop;
static char dir[] = "/tmp/reaper-unread-XXXXXX";
static char fifo[64], file[64];
static struct unread unread = UNREAD_INIT;
static int called;
static int both = -EBADF;

static void on_read(struct unread *u)
{
	cr_assert_eq(u, &unread);
	called++;
}

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	(void)snprintf(file, sizeof(file), "%s/file", dir);
	cr_assert_eq(mkfifo(fifo, 0700), 0);
	both = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(both, 0);
	cr_assert_eq(event_loop_init(&loop), 0);
}

static void tear_down(void)
{
	unread_done(&unread);
	unread_done(&unread);
	event_loop_done(&loop);
	fd_close(&both);
	(void)unlink(fifo);
	(void)unlink(file);
	(void)rmdir(dir);
}

static bool begin(const char *out, const char *err)
{
	const char *const paths[UNREAD_PATHS] = {out, err};

	return unread_wait(&unread, &loop, paths, on_read);
}

static void put(const char *text)
{
	cr_assert_eq(write(both, text, strlen(text)), (ssize_t)strlen(text));
}

static void take(size_t n)
{
	char buf[64];

	cr_assert_eq(read(both, buf, n), (ssize_t)n);
}

TestSuite(stream_unread, .init = set_up, .fini = tear_down, .timeout = 60);

Test(stream_unread, waits_until_the_last_byte_is_read)
{
	put("hello");
	cr_assert(begin(NULL, fifo));
	cr_assert(unread_waits(&unread));
	cr_assert_eq(event_loop_once(&loop, false), 0);
	take(4);
	cr_assert_eq(event_loop_once(&loop, false), 1);
	cr_assert_eq(called, 0, "one byte is left");
	take(1);
	cr_assert_eq(event_loop_once(&loop, false), 1);
	cr_assert_eq(called, 1);
	cr_assert(!unread_waits(&unread));
	cr_assert_eq(event_loop_once(&loop, false), 0, "the time that it had is taken back");
}

Test(stream_unread, gives_a_client_that_does_not_read_its_time_and_no_more)
{
	put("hello");
	cr_assert(begin(fifo, NULL));
	cr_assert_gt(event_loop_once(&loop, true), 0);
	cr_assert_eq(called, 1);
	cr_assert(!unread_waits(&unread));
	take(5);
}

Test(stream_unread, there_is_nothing_to_wait_for_without_bytes_in_a_fifo)
{
	FILE *f = fopen(file, "w");

	cr_assert_not_null(f);
	cr_assert_geq(fputs("a file has no client\n", f), 0);
	cr_assert_eq(fclose(f), 0);
	cr_assert(!begin(fifo, fifo), "it is empty");
	cr_assert(!begin(file, NULL));
	cr_assert(!begin("/no/such/fifo", ""));
	cr_assert(!begin(NULL, NULL));
	cr_assert_eq(event_loop_once(&loop, false), 0);
	cr_assert_eq(called, 0);
}
