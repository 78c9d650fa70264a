#include "stream/relay.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"

static struct event_loop loop;
static int source[2], sink[2]; /* pipes: the test writes source[1] and reads sink[0] */
static struct relay relay = RELAY_INIT;
static int ended, flowing;

static void on_end(struct relay *r)
{
	(void)r;
	ended++;
}

static void on_flowing(struct relay *r)
{
	(void)r;
	flowing++;
}

static void set_up(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(event_loop_init(&loop), 0);
	cr_assert_eq(pipe2(source, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(pipe2(sink, O_CLOEXEC | O_NONBLOCK), 0);
}

static void begin(int from, int to)
{
	cr_assert_eq(relay_start(&relay, &loop, from, to, 0, on_end, NULL), 0);
	relay.on_flowing = on_flowing;
}

static void tear_down(void)
{
	relay_stop(&relay);
	relay_stop(&relay);
	event_loop_done(&loop);
	fd_close(&source[1]);
	fd_close(&sink[0]);
}

static void turn(void)
{
	while (event_loop_once(&loop, false) > 0) {
		/* until it is quiet */
	}
}

/* Bytes of a pattern that shows what is lost, doubled or out of order. */
static unsigned char pattern(size_t at)
{
	return (unsigned char)(at ^ (at >> 8) * 7 ^ (at >> 16) * 13);
}

static size_t put(size_t from, size_t len)
{
	static unsigned char chunk[1 << 16];
	size_t n = 0;

	cr_assert_leq(len, sizeof(chunk));
	for (size_t i = 0; i < len; i++)
		chunk[i] = pattern(from + i);
	while (n < len) {
		ssize_t w = write(source[1], chunk + n, len - n);

		if (w < 0)
			break;
		n += (size_t)w;
	}
	return n;
}

static size_t take(size_t from, size_t max)
{
	static unsigned char chunk[1 << 16];
	ssize_t n = read(sink[0], chunk, max < sizeof(chunk) ? max : sizeof(chunk));

	for (ssize_t i = 0; i < n; i++)
		cr_assert_eq(chunk[i], pattern(from + (size_t)i), "byte %zu", from + (size_t)i);
	return n > 0 ? (size_t)n : 0;
}

TestSuite(stream_relay, .init = set_up, .fini = tear_down, .timeout = 60);

Test(stream_relay, moves_everything_in_pieces_of_any_size)
{
	static const size_t pieces[] = {1, 4095, 4096, 4097, 8192, 65536, 7, 40000, 4096, 4096, 1};
	size_t written = 0, seen = 0, at = 0, n;

	begin(source[0], sink[1]);
	while (written < 4 << 20) {
		written += put(written, pieces[at++ % 11]);
		turn();
		if (at % 3 == 0)
			seen += take(seen, pieces[at % 11]);
	}
	fd_close(&source[1]);
	do {
		turn();
		n = take(seen, 1 << 16);
		seen += n;
	} while (n > 0);
	cr_assert_eq(seen, written);
	cr_assert_eq(ended, 1);
	cr_assert(!relay_active(&relay));
}

Test(stream_relay, small_pieces_share_the_readers_pages)
{
	size_t written = 0, seen = 0, n;

	begin(source[0], sink[1]);
	/* 16 places of a pipe would be full after 16 moved pieces */
	for (int i = 0; i < 1000; i++) {
		written += put(written, 30);
		turn();
	}
	cr_assert(!relay.full);
	while ((n = take(seen, 1 << 16)) > 0)
		seen += n;
	cr_assert_eq(seen, written);
	cr_assert_eq(seen, 30000);
}

Test(stream_relay, waits_for_a_reader_and_says_when_it_flows_again)
{
	size_t written = 0, seen = 0, n;

	begin(source[0], sink[1]);
	do {
		n = put(written, 1 << 16);
		written += n;
		turn();
	} while (n > 0);
	cr_assert(relay.full);
	cr_assert_eq(event_loop_once(&loop, false), 0, "nothing spins");
	relay_flush(&relay);
	cr_assert(relay.full);
	cr_assert_eq(flowing, 0);
	fd_close(&source[1]);
	turn();
	cr_assert_eq(ended, 0);
	while (seen < written) {
		seen += take(seen, 1 << 16);
		turn();
	}
	cr_assert_eq(ended, 1);
}

Test(stream_relay, flows_again_while_its_writer_goes_on)
{
	size_t written = 0, seen = 0, n;

	begin(source[0], sink[1]);
	do {
		n = put(written, 1 << 16);
		written += n;
		turn();
	} while (n > 0);
	while (seen < written) {
		seen += take(seen, 1 << 16);
		turn();
	}
	cr_assert_eq(flowing, 1);
	cr_assert(!relay.full);
	written += put(written, 10);
	turn();
	seen += take(seen, 1 << 16);
	cr_assert_eq(seen, written);
}

Test(stream_relay, goes_on_reading_when_its_reader_is_gone)
{
	begin(source[0], sink[1]);
	fd_close(&sink[0]);
	for (int i = 0; i < 40; i++) {
		cr_assert_eq(put(0, 1 << 16), 1 << 16, "round %d: the writer waits", i);
		turn();
	}
	fd_close(&source[1]);
	turn();
	cr_assert_eq(ended, 1);
}

Test(stream_relay, a_reader_that_goes_while_it_is_full_frees_the_writer)
{
	size_t written = 0, n;

	begin(source[0], sink[1]);
	do {
		n = put(written, 1 << 16);
		written += n;
		turn();
	} while (n > 0);
	fd_close(&sink[0]);
	turn();
	cr_assert_eq(put(0, 1 << 16), 1 << 16);
}

/* Of a process's input: whoever reads there must not wait for what will not come. Of its output:
 * the client may lose it, the process goes on. */
Test(stream_relay, a_sink_that_takes_nothing_is_closed_if_it_is_the_relays_own)
{
	int broken = open("/dev/null", O_RDONLY | O_CLOEXEC), kept = fd_copy(broken);

	fd_close(&sink[1]);
	begin(source[0], broken);
	cr_assert_eq(put(0, 5), 5);
	turn();
	cr_assert_eq(ended, 1);
	cr_assert_eq(fcntl(broken, F_GETFD), -1);

	fd_close(&source[1]);
	cr_assert_eq(pipe2(source, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(relay_start(&relay, &loop, source[0], kept, RELAY_KEEP_TO, on_end, NULL), 0);
	cr_assert_eq(put(0, 5), 5);
	turn();
	cr_assert_eq(ended, 1);
	cr_assert(relay_active(&relay));
	fd_close(&kept);
}

Test(stream_relay, discards_without_a_sink)
{
	fd_close(&sink[1]);
	begin(source[0], -EBADF);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(put(0, 1 << 16), 1 << 16);
		turn();
	}
	fd_close(&source[1]);
	turn();
	cr_assert_eq(ended, 1);
}

Test(stream_relay, copies_where_it_cannot_move)
{
	char name[] = "/tmp/reaper-relay-XXXXXX";
	int file = mkostemp(name, O_CLOEXEC | O_APPEND);
	size_t written = 0;
	char *data = NULL;
	size_t len = 0;

	cr_assert_geq(file, 0);
	fd_close(&sink[1]);
	begin(source[0], file);
	for (int i = 0; i < 20; i++) {
		written += put(written, 50000);
		turn();
	}
	fd_close(&source[1]);
	turn();
	cr_assert_eq(ended, 1);
	cr_assert_eq(file_read_at(AT_FDCWD, name, 2 << 20, &data, &len, NULL), 0);
	cr_assert_eq(len, written);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq((unsigned char)data[i], pattern(i));
	free(data);
	(void)unlink(name);
}

Test(stream_relay, copies_from_a_socket)
{
	int pair[2];
	char buf[16];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	fd_close(&source[0]);
	begin(pair[0], sink[1]);
	cr_assert_eq(file_write_all(pair[1], "hello", 5), 0);
	turn();
	cr_assert_eq(read(sink[0], buf, sizeof(buf)), 5);
	(void)close(pair[1]);
	turn();
	cr_assert_eq(ended, 1);
}
