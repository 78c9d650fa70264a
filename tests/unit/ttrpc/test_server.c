/* containerd's rules for a ttrpc server, one test a rule, then late answers, limits and ends. */
#include "ttrpc/server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "proto/task.pb-c.h"
#include "unit/ttrpc/rig.h"

TestSuite(ttrpc_server, .timeout = 60);

static void call_service(int fd, uint32_t stream, const char *service, const char *method)
{
	uint8_t frame[2048];

	rig_send(fd, frame, rig_request(frame, sizeof(frame), stream, service, method, "x", 0));
}

static void answer(struct rig *rig, size_t i, const char *id)
{
	Task__StateResponse response = TASK__STATE_RESPONSE__INIT;

	response.id = (char *)id;
	ttrpc_call_reply(rig->parked[i], &response.base);
	rig->parked[i] = NULL;
}

Test(ttrpc_server, answers_a_call_on_its_stream)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Echo", "hello");
	rig_expect_echo(&rig, fd, 1, "hello");
	rig_call(fd, 3, "Echo", "again");
	rig_expect_echo(&rig, fd, 3, "again");
	rig_call(fd, 4001, "Echo", "gaps are fine");
	rig_expect_echo(&rig, fd, 4001, "gaps are fine");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_an_empty_message_with_an_empty_frame)
{
	struct reply r;
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Echo", "");
	r = rig_receive(&rig, fd);
	cr_assert_eq(r.code, 0);
	cr_assert_eq(r.data_len, 0);
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, serves_one_table_under_two_names)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	call_service(fd, 1, RIG_SERVICE, "Name");
	rig_expect_status(&rig, fd, 1, 2, "test.v2.Rig Name ever");
	call_service(fd, 3, RIG_SERVICE_V3, "Name");
	rig_expect_status(&rig, fd, 3, 2, "test.v3.Rig Name ever");
	rig_call_until(fd, 5, "Name", "", 1000);
	rig_expect_status(&rig, fd, 5, 2, "test.v2.Rig Name until");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_12_to_an_unknown_service_and_an_unknown_method)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	call_service(fd, 1, "test.v2.Nothing", "Echo");
	rig_expect_status(&rig, fd, 1, 12, "service test.v2.Nothing");
	call_service(fd, 3, RIG_SERVICE, "echo");
	rig_expect_status(&rig, fd, 3, 12, "method echo");
	call_service(fd, 5, "", "");
	rig_expect_status(&rig, fd, 5, 12, "service ");
	call_service(fd, 7, "latin \xe9", "Echo");
	rig_expect_status(&rig, fd, 7, 12, "service latin ?");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_3_to_an_even_stream_and_keeps_the_connection)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 2, "Echo", "x");
	rig_expect_status(&rig, fd, 2, 3, "StreamID must be odd for client initiated streams");
	rig_call(fd, 0, "Echo", "x");
	rig_expect_status(&rig, fd, 0, 3, NULL);
	rig_call(fd, 1, "Echo", "y");
	rig_expect_echo(&rig, fd, 1, "y");
	cr_assert_eq(rig.n_handled, 1);
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_3_to_a_stream_that_is_not_new)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 5, "Echo", "x");
	rig_expect_echo(&rig, fd, 5, "x");
	rig_call(fd, 5, "Echo", "x");
	rig_expect_status(&rig, fd, 5, 3, "StreamID cannot be re-used and must increment");
	rig_call(fd, 3, "Echo", "x");
	rig_expect_status(&rig, fd, 3, 3, NULL);
	rig_call(fd, 7, "Echo", "y");
	rig_expect_echo(&rig, fd, 7, "y");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_3_to_an_undecodable_request_and_keeps_the_connection)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_send_frame(fd, 1, TTRPC_REQUEST, 0, "\xff\xff\xff", 3);
	rig_expect_status(&rig, fd, 1, 3, "unmarshal request error: no ttrpc.Request");
	cr_assert_eq(rig.warning.kind, ERR_INVALID);
	rig_call(fd, 3, "Echo", "y");
	rig_expect_echo(&rig, fd, 3, "y");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, takes_an_empty_request_for_one_without_a_service)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_send_frame(fd, 1, TTRPC_REQUEST, 0, NULL, 0);
	rig_expect_status(&rig, fd, 1, 12, "service ");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_13_to_an_undecodable_payload)
{
	/* service, method Echo, payload: a string field that is cut */
	static const char request[] = "\x0a\x0btest.v2.Rig\x12\x04"
				      "Echo\x1a\x03\x0a\x09x";
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_send_frame(fd, 1, TTRPC_REQUEST, 0, request, sizeof(request) - 1);
	rig_expect_status(&rig, fd, 1, 13, "method Echo: the payload is no task.StateRequest");
	cr_assert_eq(rig.n_handled, 0);
	rig_call(fd, 3, "Echo", "y");
	rig_expect_echo(&rig, fd, 3, "y");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, reads_over_a_frame_above_4_mib_and_answers_8)
{
	const uint32_t len = TTRPC_DATA_MAX + 1;
	struct rig rig;
	uint32_t at = 0;
	uint8_t *junk = calloc(1, len);
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_send_frame(fd, 1, TTRPC_REQUEST, 0, NULL, len);
	while (at < len) {
		ssize_t n = send(fd, junk, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		cr_assert(n > 0 || errno == EAGAIN);
		at += n > 0 ? (uint32_t)n : 0;
		rig_pump(&rig);
	}
	rig_expect_status(&rig, fd, 1, 8,
		"message length 4194305 exceeds the maximum message size of 4194304");
	cr_assert_eq(rig.warning.kind, ERR_EXHAUSTED);
	rig_call(fd, 3, "Echo", "y");
	rig_expect_echo(&rig, fd, 3, "y");
	free(junk);
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_3_to_data_on_an_unknown_stream)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_send_frame(fd, 1, TTRPC_DATA, 0, "x", 1);
	rig_expect_status(&rig, fd, 1, 3, "StreamID is no longer active");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, ends_a_parked_call_that_data_is_sent_to)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Park", "");
	rig_call(fd, 3, "Park", "");
	rig_send_frame(fd, 1, TTRPC_DATA, 0, "x", 1);
	rig_expect_status(&rig, fd, 1, 3, "data on a stream that is not streaming");
	cr_assert_eq(rig.n_cancelled, 1);
	cr_assert_eq(ttrpc_server_calls(rig.server), 1);
	answer(&rig, 1, "late");
	rig_expect_echo(&rig, fd, 3, "late");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, ignores_unknown_types)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_send_frame(fd, 1, 0, 0, "x", 1);
	rig_send_frame(fd, 3, 4, 0, NULL, 0);
	rig_send_frame(fd, 5, TTRPC_RESPONSE, 0, NULL, 0);
	rig_send_frame(fd, 7, 255, 255, "abc", 3);
	cr_assert(rig_silent(&rig, fd));
	rig_call(fd, 1, "Echo", "y");
	rig_expect_echo(&rig, fd, 1, "y");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_12_to_the_start_of_a_stream)
{
	uint8_t flags, frame[2048];
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	for (flags = 1; flags <= 3; flags++) {
		uint32_t stream = 2U * flags + 1;
		size_t len = rig_request(frame, sizeof(frame), stream, RIG_SERVICE, "Echo", "x", 0);

		frame[9] = flags;
		rig_send(fd, frame, len);
		rig_expect_status(&rig, fd, stream, 12, "method Echo does not stream");
	}
	cr_assert_eq(rig.n_handled, 0);
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, tells_the_code_the_text_and_the_kind_of_an_error)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	(void)err_setf(&rig.failure, ERR_NOT_FOUND, ENOENT, "container c1");
	rig_call(fd, 1, "Fail", "");
	rig_expect_status(&rig, fd, 1, 5, "container c1: not found");
	(void)err_setf(&rig.failure, ERR_NOT_FOUND, ENOENT, "c1: not found");
	rig_call(fd, 3, "Fail", "");
	rig_expect_status(&rig, fd, 3, 5, "c1: not found");
	(void)err_setf(&rig.failure, ERR_UNKNOWN, EIO, "odd");
	rig_call(fd, 5, "Fail", "");
	rig_expect_status(&rig, fd, 5, 2, "odd");
	rig.failure.kind = ERR_NONE;
	rig_call(fd, 7, "Fail", "");
	rig_expect_status(&rig, fd, 7, 2, "odd");
	rig.failure.kind = 4711;
	rig_call(fd, 9, "Fail", "");
	rig_expect_status(&rig, fd, 9, 2, "odd");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, sends_the_longest_error_text_as_valid_utf8)
{
	struct reply r;
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig.failure.kind = ERR_PRECONDITION;
	memset(rig.failure.text, 0xe2, ERR_TEXT_MAX - 1);
	rig_call(fd, 1, "Fail", "");
	r = rig_receive(&rig, fd);
	cr_assert_eq(r.code, 9);
	/* within 1 KiB, the suffix whole */
	cr_assert_eq(strlen(r.message), ERR_TEXT_MAX - 1);
	cr_assert_eq(strspn(r.message, "?"), ERR_TEXT_MAX - 1 - strlen(": failed precondition"));
	cr_assert(str_has_suffix(r.message, ": failed precondition"));
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, replaces_a_response_above_4_mib_by_code_8)
{
	struct reply r;
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	/* tag and length of the string, tag and length of the payload: 2 x 5 bytes */
	rig.big = TTRPC_DATA_MAX - 10;
	rig_call(fd, 1, "Big", "");
	r = rig_receive(&rig, fd);
	cr_assert_eq(r.code, 0);
	cr_assert_eq(r.data_len, TTRPC_DATA_MAX);
	rig.big++;
	rig_call(fd, 3, "Big", "");
	rig_expect_status(&rig, fd, 3, 8, "response exceeds the maximum message size of 4 MiB");
	rig.big = TTRPC_DATA_MAX + 1;
	rig_call(fd, 5, "Big", "");
	rig_expect_status(&rig, fd, 5, 8, NULL);
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, does_not_care_how_the_bytes_are_cut)
{
	uint8_t frames[4096];
	size_t len, i;
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	/* one byte at a time */
	len = rig_request(frames, sizeof(frames), 1, RIG_SERVICE, "Echo", "drip", 0);
	for (i = 0; i < len; i++) {
		cr_assert(rig_silent(&rig, fd));
		rig_send(fd, frames + i, 1);
	}
	rig_expect_echo(&rig, fd, 1, "drip");
	/* many at once */
	for (len = 0, i = 0; i < 40; i++)
		len += rig_request(frames + len, sizeof(frames) - len, 3 + 2 * (uint32_t)i,
			RIG_SERVICE, "Echo", "many", 0);
	rig_send(fd, frames, len);
	for (i = 0; i < 40; i++)
		rig_expect_echo(&rig, fd, 3 + 2 * (uint32_t)i, "many");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_64_parked_calls_in_any_order)
{
	enum { CALLS = 64 };
	struct rig rig;
	size_t i;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	for (i = 0; i < CALLS; i++)
		rig_call(fd, 2 * (uint32_t)i + 1, "Park", "");
	cr_assert(rig_silent(&rig, fd));
	cr_assert_eq(ttrpc_server_calls(rig.server), CALLS);
	rig_call(fd, 1001, "Echo", "meanwhile");
	rig_expect_echo(&rig, fd, 1001, "meanwhile");
	for (i = 0; i < CALLS; i++) {
		size_t k = i * 37 % CALLS;

		answer(&rig, k, "done");
		rig_expect_echo(&rig, fd, 2 * (uint32_t)k + 1, "done");
	}
	cr_assert_eq(ttrpc_server_calls(rig.server), 0);
	cr_assert_eq(rig.n_cancelled, 0);
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, lets_a_handler_park_and_answer_at_once)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call_until(fd, 1, "ParkAndAnswer", "now", 3600000000000);
	rig_expect_echo(&rig, fd, 1, "now");
	cr_assert_eq(ttrpc_server_calls(rig.server), 0);
	cr_assert(list_empty(&rig.loop.timers));
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, answers_4_to_a_parked_call_when_its_deadline_passes)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Park", "");
	rig_call_until(fd, 3, "Park", "", 3600000000000);
	rig_call_until(fd, 5, "Park", "", 2000000);
	rig_expect_status(&rig, fd, 5, 4, "context deadline exceeded");
	cr_assert_eq(rig.n_cancelled, 1);
	cr_assert_eq(ttrpc_server_calls(rig.server), 2);
	/* one that passed on the way */
	rig_call_until(fd, 7, "Park", "", -5);
	rig_expect_status(&rig, fd, 7, 4, NULL);
	answer(&rig, 0, "no deadline");
	rig_expect_echo(&rig, fd, 1, "no deadline");
	answer(&rig, 1, "in time");
	rig_expect_echo(&rig, fd, 3, "in time");
	cr_assert(list_empty(&rig.loop.timers), "an answer takes the deadline back");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, ignores_the_deadline_of_a_call_that_is_answered_at_once)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call_until(fd, 1, "Echo", "x", -1);
	rig_expect_echo(&rig, fd, 1, "x");
	rig_call_until(fd, 3, "Echo", "y", INT64_MAX);
	rig_expect_echo(&rig, fd, 3, "y");
	rig_call_until(fd, 5, "Park", "z", INT64_MAX);
	rig_pump(&rig);
	answer(&rig, 0, "z");
	rig_expect_echo(&rig, fd, 5, "z");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, cancels_the_waiters_of_a_closed_connection_and_no_others)
{
	struct rig rig;
	int a, b;

	rig_init(&rig);
	a = rig_connect(&rig);
	b = rig_connect(&rig);
	rig_call(a, 1, "Park", "");
	rig_call_until(a, 3, "Park", "", 3600000000000);
	rig_pump(&rig);
	rig_call(b, 1, "Park", "");
	rig_pump(&rig);
	cr_assert_eq(rig.connections, 2);
	close(a);
	rig_pump(&rig);
	cr_assert_eq(rig.n_cancelled, 2);
	cr_assert_eq(rig.connections, 1);
	cr_assert_eq(rig.n_told, 3);
	cr_assert_eq(ttrpc_server_calls(rig.server), 1);
	cr_assert_eq(rig.n_warnings, 0, "an end is nothing to warn of");
	answer(&rig, 2, "still here");
	rig_expect_echo(&rig, b, 1, "still here");
	close(b);
	rig_done(&rig);
}

Test(ttrpc_server, lets_a_cancellation_answer_another_call_of_the_dying_connection)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Park", "");
	rig_call(fd, 3, "Park", "");
	rig_call(fd, 5, "Park", "");
	rig_pump(&rig);
	rig.also = rig.parked[1];
	close(fd);
	rig_pump(&rig);
	cr_assert_eq(rig.n_cancelled, 2);
	cr_assert_eq(ttrpc_server_calls(rig.server), 0);
	rig_done(&rig);
}

Test(ttrpc_server, answers_what_came_before_a_half_close_and_then_closes)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Park", "");
	rig_call(fd, 3, "Echo", "last words");
	rig_send(fd, "\0\0\0", 3);
	shutdown(fd, SHUT_WR);
	rig_expect_echo(&rig, fd, 3, "last words");
	cr_assert(rig_receive(&rig, fd).eof);
	rig_pump(&rig);
	cr_assert_eq(rig.n_cancelled, 1);
	cr_assert_eq(ttrpc_server_connections(rig.server), 0);
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, survives_a_client_that_is_gone_when_it_is_answered)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Park", "");
	rig_pump(&rig);
	close(fd);
	answer(&rig, 0, "nobody hears"); /* EPIPE before the loop has seen the end */
	rig_pump(&rig);
	cr_assert_eq(rig.n_cancelled, 0);
	cr_assert_eq(ttrpc_server_connections(rig.server), 0);
	rig_done(&rig);
}

/* The answer to the first one breaks the connection; who parks the second one is told of the end.
 */
Test(ttrpc_server, handles_all_that_a_client_has_said_before_it_was_gone)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Echo", "nobody hears");
	rig_call(fd, 3, "Park", "");
	close(fd);
	rig_pump(&rig);
	cr_assert_eq(rig.n_handled, 2);
	cr_assert_eq(rig.n_cancelled, 1);
	cr_assert_eq(ttrpc_server_connections(rig.server), 0);
	rig_done(&rig);
}

Test(ttrpc_server, stops_reading_from_a_client_that_does_not_read_and_goes_on_later)
{
	enum { CALLS = 64 };
	size_t i, handled;
	struct reply r;
	struct rig rig;
	int a, b;

	rig_init(&rig);
	a = rig_connect(&rig);
	b = rig_connect(&rig);
	rig.big = 256 * 1024;
	for (i = 0; i < CALLS; i++)
		rig_call(a, 2 * (uint32_t)i + 1, "Big", "");
	rig_pump(&rig);
	handled = rig.n_handled;
	cr_assert_lt(
		handled, CALLS, "all %zu calls were handled for a client that sleeps", handled);
	cr_assert_gt(ttrpc_server_pending(rig.server), 1024 * 1024);
	cr_assert_lt(ttrpc_server_pending(rig.server), 2 * 1024 * 1024);
	rig_call(b, 1, "Echo", "not stalled");
	rig_expect_echo(&rig, b, 1, "not stalled");
	for (i = 0; i < CALLS; i++) {
		r = rig_receive(&rig, a);
		cr_assert_eq(r.header.stream, 2 * i + 1);
		cr_assert_gt(r.payload_len, rig.big);
	}
	rig_pump(&rig);
	cr_assert_eq(rig.n_handled, CALLS + 1);
	cr_assert_eq(ttrpc_server_pending(rig.server), 0);
	close(a);
	close(b);
	rig_done(&rig);
}

Test(ttrpc_server, gives_up_a_client_whose_late_answers_pile_up)
{
	enum { CALLS = 8 };
	struct rig rig;
	char *text;
	size_t i;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	for (i = 0; i < CALLS; i++)
		rig_call(fd, 2 * (uint32_t)i + 1, "Park", "");
	rig_pump(&rig);
	text = malloc(4000001);
	memset(text, 'x', 4000000);
	text[4000000] = '\0';
	for (i = 0; i < CALLS - 1; i++)
		answer(&rig, i, text);
	free(text);
	rig_pump(&rig);
	cr_assert_eq(ttrpc_server_connections(rig.server), 0);
	cr_assert_eq(rig.n_cancelled, 1);
	cr_assert_eq(rig.warning.kind, ERR_EXHAUSTED);
	cr_assert_not_null(strstr(rig.warning.text, "does not read its answers"));
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, bounds_the_calls_that_wait_on_one_connection)
{
	struct rig rig;
	int a, b;

	rig_init_limits(&rig, 0, 2);
	a = rig_connect(&rig);
	b = rig_connect(&rig);
	rig_call(a, 1, "Park", "");
	rig_call(a, 3, "Park", "");
	rig_call(a, 5, "Park", "");
	rig_expect_status(
		&rig, a, 5, 8, "2 calls on this connection wait for their answers already");
	rig_call(b, 1, "Echo", "others are not affected");
	rig_expect_echo(&rig, b, 1, "others are not affected");
	answer(&rig, 0, "room");
	rig_expect_echo(&rig, a, 1, "room");
	rig_call(a, 7, "Echo", "again");
	rig_expect_echo(&rig, a, 7, "again");
	close(a);
	close(b);
	rig_done(&rig);
}

static int dial(struct rig *rig)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

Test(ttrpc_server, accepts_connections_and_closes_the_one_too_many)
{
	int fds[3], i;
	struct rig rig;

	rig_init_limits(&rig, 2, 0);
	for (i = 0; i < 3; i++)
		fds[i] = dial(&rig);
	rig_pump(&rig);
	cr_assert_eq(rig.connections, 2);
	cr_assert_eq(rig.n_warnings, 1);
	cr_assert_eq(rig.warning.kind, ERR_EXHAUSTED);
	cr_assert(rig_receive(&rig, fds[2]).eof);
	rig_call(fds[1], 1, "Echo", "x");
	rig_expect_echo(&rig, fds[1], 1, "x");
	close(fds[0]);
	close(fds[2]);
	rig_pump(&rig);
	fds[0] = dial(&rig);
	rig_call(fds[0], 1, "Echo", "room again");
	rig_expect_echo(&rig, fds[0], 1, "room again");
	close(fds[0]);
	close(fds[1]);
	rig_done(&rig);
}

Test(ttrpc_server, refuses_peers_of_another_user)
{
	struct rig rig;
	pid_t child;
	int status;
	char c;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	rig_init(&rig);
	cr_assert_eq(chmod(rig.dir, 0755), 0);
	cr_assert_eq(chmod(rig.path, 0777), 0);
	child = fork();
	if (child == 0) {
		int fd;

		/* the right user in the wrong group: both count */
		if (setregid(65534, 65534) < 0)
			_exit(2);
		fd = dial(&rig);
		_exit(read(fd, &c, 1) == 0 ? 0 : 1);
	}
	cr_assert_geq(event_loop_once(&rig.loop, true), 0);
	rig_pump(&rig);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(rig.connections, 0);
	cr_assert_eq(rig.warning.kind, ERR_PERMISSION);
	cr_assert_not_null(strstr(rig.warning.text, "gid 65534"), "%s", rig.warning.text);
	rig_done(&rig);
}

Test(ttrpc_server, takes_in_the_backlog_when_it_stops_listening)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = dial(&rig);
	cr_assert_eq(unlink(rig.path), 0);
	cr_assert_eq(ttrpc_server_connections(rig.server), 0);
	ttrpc_server_stop_listening(rig.server);
	ttrpc_server_stop_listening(rig.server);
	cr_assert_eq(ttrpc_server_connections(rig.server), 1);
	rig_call(fd, 1, "Echo", "in time");
	rig_expect_echo(&rig, fd, 1, "in time");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, cancels_everything_when_it_is_freed)
{
	struct rig rig;
	int fd;

	rig_init(&rig);
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Park", "");
	rig_call_until(fd, 3, "Park", "", 3600000000000);
	rig_pump(&rig);
	rig_done(&rig);
	cr_assert_eq(rig.n_cancelled, 2);
	close(fd);
	cr_assert_null(ttrpc_server_free(NULL));
}

Test(ttrpc_server, rests_when_descriptors_run_out_and_then_goes_on)
{
	const struct rlimit few = {64, 64};
	int fds[64], n = 0, fd;
	struct pollfd p;
	struct rig rig;

	rig_init(&rig);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	fd = dial(&rig);
	while ((fds[n] = fcntl(fd, F_DUPFD_CLOEXEC, 3)) >= 0)
		n++;
	rig_pump(&rig);
	cr_assert_eq(rig.connections, 0);
	cr_assert_eq(rig.n_warnings, 1, "told once, not in a loop");
	while (n > 0)
		close(fds[--n]);
	p = (struct pollfd) {.fd = fd, .events = POLLIN};
	cr_assert_eq(poll(&p, 1, 0), 0);
	while (rig.connections == 0)
		(void)event_loop_once(&rig.loop, true);
	rig_call(fd, 1, "Echo", "served after all");
	rig_expect_echo(&rig, fd, 1, "served after all");
	close(fd);
	rig_done(&rig);
}

Test(ttrpc_server, survives_noise)
{
	uint32_t seed = 1;
	struct rig rig;
	int round, fd;

	rig_init(&rig);
	for (round = 0; round < 200; round++) {
		uint8_t noise[512];
		size_t i;

		fd = rig_connect(&rig);
		for (i = 0; i < sizeof(noise); i++) {
			seed = seed * 1664525 + 1013904223;
			noise[i] = (uint8_t)(seed >> 24);
		}
		/* every other time something that looks like frames */
		for (i = 0; round % 2 && i + 10 < sizeof(noise); i += 10 + noise[i + 3]) {
			noise[i] = noise[i + 1] = noise[i + 2] = 0;
			noise[i + 3] &= 0x3f;
			noise[i + 8] = TTRPC_REQUEST;
		}
		rig_send(fd, noise, sizeof(noise));
		rig_pump(&rig);
		close(fd);
		rig_pump(&rig);
		cr_assert_eq(ttrpc_server_connections(rig.server), 0);
	}
	fd = rig_connect(&rig);
	rig_call(fd, 1, "Echo", "alive");
	rig_expect_echo(&rig, fd, 1, "alive");
	close(fd);
	rig_done(&rig);
}
