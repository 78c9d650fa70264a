#include "ttrpc/client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/task.pb-c.h"
#include "unit/ttrpc/rig.h"

TestSuite(ttrpc_client, .timeout = 60);

struct heard {
	struct ttrpc_client *client;
	size_t n_replies, n_closed;
	int closed_error;
	enum err_kind kind;
	char text[ERR_TEXT_MAX];
	size_t len;
	bool free_in_reply, free_in_closed, call_again;
};

static int call(struct heard *h, const char *method, uint64_t timeout_usec);

static void replied(
	struct ttrpc_client *c, const struct err *err, const uint8_t *data, size_t len, void *ctx)
{
	struct heard *h = ctx;
	Task__StateResponse *state;

	h->n_replies++;
	h->kind = err ? (enum err_kind)err->kind : ERR_NONE;
	h->len = len;
	if (err) {
		(void)snprintf(h->text, sizeof(h->text), "%s", err->text);
	} else {
		state = task__state_response__unpack(NULL, len, data);
		cr_assert_not_null(state);
		(void)snprintf(h->text, sizeof(h->text), "%s", state->id);
		task__state_response__free_unpacked(state, NULL);
	}
	cr_assert_not(ttrpc_client_busy(c));
	if (h->call_again && h->n_replies < 3)
		cr_assert_eq(call(h, "Echo", 0), 0);
	if (h->free_in_reply)
		h->client = ttrpc_client_free(h->client);
}

static void closed(struct ttrpc_client *c, int error, void *ctx)
{
	struct heard *h = ctx;

	cr_assert_eq(c, h->client);
	h->n_closed++;
	h->closed_error = error;
	cr_assert_eq(call(h, "Echo", 0), -ENOTCONN);
	if (h->free_in_closed)
		h->client = ttrpc_client_free(h->client);
}

static int call(struct heard *h, const char *method, uint64_t timeout_usec)
{
	Task__StateRequest request = TASK__STATE_REQUEST__INIT;

	request.id = (char *)"hello";
	return ttrpc_client_call(
		h->client, RIG_SERVICE, method, &request.base, timeout_usec, replied, h);
}

static void connect_to(struct rig *rig, struct heard *h)
{
	char address[128];
	struct err err = ERR_INIT;

	*h = (struct heard) {.client = NULL};
	(void)snprintf(address, sizeof(address), "unix://%s", rig->path);
	cr_assert_eq(ttrpc_client_connect(&rig->loop, address, closed, h, &h->client, &err), 0,
		"%s", err.text);
}

Test(ttrpc_client, calls_and_hears_the_answer)
{
	struct heard h;
	struct rig rig;

	rig_init(&rig);
	connect_to(&rig, &h);
	cr_assert_eq(call(&h, "Echo", 0), 0);
	cr_assert(ttrpc_client_busy(h.client));
	cr_assert_eq(call(&h, "Echo", 0), -EBUSY);
	rig_pump(&rig);
	cr_assert_eq(h.n_replies, 1);
	cr_assert_eq(h.kind, ERR_NONE);
	cr_assert_str_eq(h.text, "hello");
	h.call_again = true;
	cr_assert_eq(call(&h, "Echo", 0), 0);
	rig_pump(&rig);
	cr_assert_eq(h.n_replies, 3, "a reply may start the next call");
	h.client = ttrpc_client_free(h.client);
	cr_assert_null(ttrpc_client_free(NULL));
	rig_done(&rig);
}

Test(ttrpc_client, hears_what_the_server_refuses)
{
	struct heard h;
	struct rig rig;

	rig_init(&rig);
	connect_to(&rig, &h);
	(void)err_setf(&rig.failure, ERR_EXISTS, EEXIST, "c1");
	cr_assert_eq(call(&h, "Fail", 0), 0);
	rig_pump(&rig);
	cr_assert_eq(h.kind, ERR_EXISTS);
	cr_assert_str_eq(h.text, "c1: already exists");
	cr_assert_eq(call(&h, "Nothing", 0), 0);
	rig_pump(&rig);
	cr_assert_eq(h.kind, ERR_UNIMPLEMENTED);
	h.client = ttrpc_client_free(h.client);
	rig_done(&rig);
}

Test(ttrpc_client, gives_up_after_the_time_out_and_ignores_the_late_answer)
{
	Task__StateResponse late = TASK__STATE_RESPONSE__INIT;
	struct heard h;
	struct rig rig;

	rig_init(&rig);
	connect_to(&rig, &h);
	cr_assert_eq(call(&h, "Park", 0), 0);
	rig_pump(&rig);
	/* another client's deadline would be the server's business: take the timer only */
	h.client = ttrpc_client_free(h.client);
	rig_pump(&rig);
	cr_assert_eq(rig.n_cancelled, 1);

	connect_to(&rig, &h);
	cr_assert_eq(call(&h, "Park", 1000), 0);
	while (h.n_replies == 0)
		(void)event_loop_once(&rig.loop, true);
	cr_assert_eq(h.kind, ERR_DEADLINE);
	if (rig.n_parked > 1 && rig.parked[1])
		ttrpc_call_reply(rig.parked[1], &late.base);
	cr_assert_eq(call(&h, "Echo", 0), 0);
	rig_pump(&rig);
	cr_assert_eq(h.n_replies, 2);
	cr_assert_str_eq(h.text, "hello");
	h.client = ttrpc_client_free(h.client);
	rig_done(&rig);
}

Test(ttrpc_client, fails_the_running_call_when_the_connection_ends)
{
	struct heard h;
	struct rig rig;
	int pair[2];

	rig_init(&rig);
	h = (struct heard) {.client = NULL};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(ttrpc_client_adopt(&rig.loop, pair[0], closed, &h, &h.client), 0);
	cr_assert_eq(call(&h, "Echo", 5000000), 0);
	close(pair[1]);
	cr_assert_eq(h.n_replies, 0);
	rig_pump(&rig);
	cr_assert_eq(h.n_replies, 1);
	cr_assert_eq(h.kind, ERR_UNAVAILABLE);
	cr_assert_eq(h.n_closed, 1);
	cr_assert_eq(call(&h, "Echo", 0), -ENOTCONN);
	cr_assert(list_empty(&rig.loop.timers));
	h.client = ttrpc_client_free(h.client);
	rig_done(&rig);
}

Test(ttrpc_client, answers_from_the_loop_even_when_sending_fails)
{
	struct heard h;
	struct rig rig;
	int pair[2];

	rig_init(&rig);
	h = (struct heard) {.client = NULL, .free_in_closed = true};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(ttrpc_client_adopt(&rig.loop, pair[0], closed, &h, &h.client), 0);
	close(pair[1]);
	cr_assert_eq(call(&h, "Echo", 0), 0);
	cr_assert_eq(h.n_replies, 0);
	rig_pump(&rig);
	cr_assert_eq(h.n_replies, 1);
	cr_assert_eq(h.n_closed, 1);
	cr_assert_null(h.client);
	rig_done(&rig);
}

Test(ttrpc_client, can_be_freed_by_its_callbacks)
{
	struct heard h;
	struct rig rig;
	int pair[2];

	rig_init(&rig);
	connect_to(&rig, &h);
	h.free_in_reply = true;
	cr_assert_eq(call(&h, "Echo", 0), 0);
	rig_pump(&rig);
	cr_assert_null(h.client);

	h = (struct heard) {.free_in_reply = true};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(ttrpc_client_adopt(&rig.loop, pair[0], closed, &h, &h.client), 0);
	cr_assert_eq(call(&h, "Echo", 0), 0);
	close(pair[1]);
	rig_pump(&rig);
	cr_assert_null(h.client);
	cr_assert_eq(h.n_closed, 0, "nothing is called after the free");
	rig_done(&rig);
}

Test(ttrpc_client, is_silent_when_freed_between_the_break_and_the_news_of_it)
{
	struct heard h;
	struct rig rig;
	int pair[2];

	rig_init(&rig);
	h = (struct heard) {.client = NULL};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(ttrpc_client_adopt(&rig.loop, pair[0], closed, &h, &h.client), 0);
	close(pair[1]);
	cr_assert_eq(call(&h, "Echo", 1000000), 0);
	cr_assert_not(list_empty(&rig.loop.posts));
	h.client = ttrpc_client_free(h.client);
	cr_assert(list_empty(&rig.loop.posts));
	rig_pump(&rig);
	cr_assert_eq(h.n_replies + h.n_closed, 0);
	rig_done(&rig);
}

Test(ttrpc_client, ignores_frames_that_answer_nothing_and_refuses_undecodable_ones)
{
	struct heard h;
	struct rig rig;
	int pair[2];

	rig_init(&rig);
	h = (struct heard) {.client = NULL};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(ttrpc_client_adopt(&rig.loop, pair[0], closed, &h, &h.client), 0);
	rig_send_frame(pair[1], 0, TTRPC_RESPONSE, 0, NULL, 0);
	rig_send_frame(pair[1], 1, TTRPC_RESPONSE, 0, NULL, 0);
	rig_pump(&rig);
	cr_assert_eq(call(&h, "Echo", 0), 0);
	rig_send_frame(pair[1], 3, TTRPC_RESPONSE, 0, NULL, 0);
	rig_send_frame(pair[1], 1, TTRPC_REQUEST, 0, NULL, 0);
	rig_send_frame(pair[1], 1, TTRPC_DATA, 0, "x", 1);
	rig_pump(&rig);
	cr_assert_eq(h.n_replies, 0);
	rig_send_frame(pair[1], 1, TTRPC_RESPONSE, 0, "\xff\xff", 2);
	rig_pump(&rig);
	cr_assert_eq(h.kind, ERR_INTERNAL);
	cr_assert_eq(call(&h, "Echo", 0), 0);
	rig_send_frame(pair[1], 3, TTRPC_RESPONSE, 0, NULL, 0);
	rig_pump(&rig);
	cr_assert_eq(h.n_replies, 2);
	cr_assert_eq(h.kind, ERR_NONE);
	cr_assert_eq(h.len, 0);
	h.client = ttrpc_client_free(h.client);
	close(pair[1]);
	rig_done(&rig);
}

Test(ttrpc_client, refuses_a_request_that_does_not_fit)
{
	Task__StateRequest request = TASK__STATE_REQUEST__INIT;
	struct heard h;
	struct rig rig;

	rig_init(&rig);
	connect_to(&rig, &h);
	request.id = malloc(TTRPC_DATA_MAX + 1);
	memset(request.id, 'x', TTRPC_DATA_MAX);
	request.id[TTRPC_DATA_MAX] = '\0';
	cr_assert_eq(
		ttrpc_client_call(h.client, RIG_SERVICE, "Echo", &request.base, 0, replied, &h),
		-EMSGSIZE);
	request.id[TTRPC_DATA_MAX - 10] = '\0'; /* fits without its envelope only */
	cr_assert_eq(
		ttrpc_client_call(h.client, RIG_SERVICE, "Echo", &request.base, 0, replied, &h),
		-EMSGSIZE);
	cr_assert_not(ttrpc_client_busy(h.client));
	free(request.id);
	h.client = ttrpc_client_free(h.client);
	rig_done(&rig);
}

Test(ttrpc_client, says_why_it_cannot_connect)
{
	struct ttrpc_client *c = NULL;
	struct err err = ERR_INIT;
	char address[200];
	struct rig rig;

	rig_init(&rig);
	cr_assert_eq(ttrpc_client_connect(&rig.loop, "", NULL, NULL, &c, &err), -EINVAL);
	cr_assert_eq(err.kind, ERR_INVALID);
	cr_assert_eq(ttrpc_client_connect(&rig.loop, "s.sock", NULL, NULL, &c, &err), -EINVAL);
	cr_assert_str_eq(err.text, "s.sock: not an absolute path");
	memset(address, 'a', sizeof(address));
	address[0] = '/';
	address[108] = '\0';
	cr_assert_eq(ttrpc_client_connect(&rig.loop, address, NULL, NULL, &c, &err), -ENAMETOOLONG);
	(void)snprintf(address, sizeof(address), "%s/none", rig.dir);
	cr_assert_eq(ttrpc_client_connect(&rig.loop, address, NULL, NULL, &c, &err), -ENOENT);
	cr_assert_eq(err.kind, ERR_UNAVAILABLE);
	ttrpc_server_stop_listening(rig.server);
	cr_assert_eq(
		ttrpc_client_connect(&rig.loop, rig.path, NULL, NULL, &c, &err), -ECONNREFUSED);
	cr_assert_eq(err.kind, ERR_UNAVAILABLE);
	cr_assert_null(c);
	rig_done(&rig);
}
