/* The queue of events against a containerd that is away, or slow. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "proto/events.pb-c.h"
#include "proto/forward.pb-c.h"
#include "proto/google/protobuf/empty.pb-c.h"
#include "shim/events.h"
#include "ttrpc/server.h"

enum { QUEUE = 2048, TOLD_MAX = 2 * QUEUE };

static struct event_loop loop;
static struct events *events;
static struct ttrpc_server *server;
static struct ttrpc_call *parked;
static bool park_next, idle;
static char path[64];
static uint32_t told[TOLD_MAX];
static size_t n_told;

static void on_idle(void *ctx)
{
	(void)ctx;
	idle = true;
}

static void on_cancel(struct ttrpc_call *call, void *data)
{
	(void)call;
	(void)data;
	parked = NULL;
}

static void answer(struct ttrpc_call *call)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	ttrpc_call_reply(call, &empty.base);
}

static void on_forward(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Forward__Envelope *e = ((const Forward__ForwardRequest *)message)->envelope;
	Containerd__Events__TaskStart *start = containerd__events__task_start__unpack(
		NULL, e->event->value.len, e->event->value.data);

	(void)ctx;
	cr_assert(start && n_told < TOLD_MAX);
	cr_assert_str_eq(e->topic, "/tasks/start");
	cr_assert_str_eq(e->namespace_, "ns");
	cr_assert_str_eq(e->event->type_url, "containerd.events.TaskStart");
	told[n_told++] = start->pid;
	containerd__events__task_start__free_unpacked(start, NULL);
	if (park_next) {
		park_next = false;
		parked = call;
		ttrpc_call_park(call, on_cancel, NULL);
		return;
	}
	answer(call);
}

static void listen_now(void)
{
	static const struct ttrpc_method methods[] = {
		{"Forward", &forward__forward_request__descriptor, on_forward}};
	static const struct ttrpc_service services[] = {
		{"containerd.services.events.ttrpc.v1.Events", methods, 1, NULL}};
	const struct ttrpc_server_config config = {.services = services, .n_services = 1};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct err err = ERR_INIT;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 16), 0);
	cr_assert_eq(ttrpc_server_new(&loop, fd, &config, &server, &err), 0, "%s", err.text);
}

static void set_up(void)
{
	n_told = 0;
	(void)snprintf(path, sizeof(path), "/tmp/reaper-events-%d", (int)getpid());
	(void)unlink(path);
	cr_assert_eq(event_loop_init(&loop), 0);
	cr_assert_eq(events_new(&loop, path, "ns", on_idle, NULL, &events), 0);
}

static void tear_down(void)
{
	events = events_free(events);
	server = ttrpc_server_free(server);
	event_loop_done(&loop);
	(void)unlink(path);
}

static void publish(uint32_t from, uint32_t to)
{
	Containerd__Events__TaskStart start = CONTAINERD__EVENTS__TASK_START__INIT;

	start.container_id = (char *)"c";
	for (start.pid = from; start.pid < to; start.pid++)
		events_publish(events, "/tasks/start", &start.base);
}

static void run_until_idle(void)
{
	idle = false;
	while (!idle)
		cr_assert_geq(event_loop_once(&loop, true), 0);
	cr_assert(events_idle(events));
}

#define EVENTS .init = set_up, .fini = tear_down, .timeout = 60

Test(shim_events, keep_the_newest_in_order_while_containerd_is_away, EVENTS)
{
	publish(0, QUEUE + 10);
	listen_now();
	run_until_idle();
	cr_assert_eq(n_told, QUEUE);
	for (size_t i = 0; i < n_told; i++)
		cr_assert_eq(told[i], i + 10, "the oldest go first, the others keep their order");
	publish(7, 8);
	run_until_idle();
	cr_assert_eq(told[n_told - 1], 7);
}

Test(shim_events, tell_the_one_under_way_once_when_the_queue_is_full, EVENTS)
{
	listen_now();
	park_next = true;
	publish(0, 1);
	while (!parked)
		cr_assert_geq(event_loop_once(&loop, true), 0);
	publish(1, QUEUE + 5);
	answer(parked);
	parked = NULL;
	run_until_idle();
	cr_assert_eq(n_told, QUEUE);
	cr_assert_eq(told[0], 0);
	for (size_t i = 1; i < n_told; i++)
		cr_assert_eq(told[i], i + 5, "nothing twice, nothing overtakes");
}

static struct event_receipt receipt;
static size_t n_receipts, told_before; /* events that containerd had at the last of them */

static void on_receipt(struct event_receipt *r)
{
	cr_assert_eq(r, &receipt);
	cr_assert_not(event_receipt_waits(r));
	n_receipts++;
	told_before = n_told;
}

static void publish_and_tell(uint32_t pid)
{
	Containerd__Events__TaskStart start = CONTAINERD__EVENTS__TASK_START__INIT;

	start.container_id = (char *)"c";
	start.pid = pid;
	events_publish_and_tell(events, "/tasks/start", &start.base, &receipt, on_receipt);
	cr_assert(event_receipt_waits(&receipt), "never from within");
}

static void turn(void)
{
	cr_assert_geq(event_loop_once(&loop, false), 0);
}

Test(shim_events, a_receipt_comes_with_the_answer_and_not_before, EVENTS)
{
	listen_now();
	park_next = true;
	publish_and_tell(1);
	publish(2, 3);
	while (!parked)
		cr_assert_geq(event_loop_once(&loop, true), 0);
	for (int i = 0; i < 10; i++)
		turn();
	cr_assert_eq(n_receipts, 0, "taken, not answered");
	answer(parked);
	parked = NULL;
	run_until_idle();
	cr_assert_eq(n_receipts, 1);
	cr_assert(told_before >= 1);
}

Test(shim_events, a_receipt_is_for_the_last_event_it_was_given, EVENTS)
{
	listen_now();
	publish_and_tell(1);
	publish_and_tell(2);
	run_until_idle();
	turn();
	cr_assert_eq(n_receipts, 1);
	cr_assert_eq(told_before, 2);
}

Test(shim_events, a_receipt_that_was_given_back_never_comes, EVENTS)
{
	listen_now();
	publish_and_tell(1);
	event_receipt_cancel(&receipt);
	cr_assert_not(event_receipt_waits(&receipt));
	event_receipt_cancel(&receipt);
	run_until_idle();
	turn();
	cr_assert_eq(n_receipts, 0);
	cr_assert_eq(n_told, 1, "the event is told all the same");
}

Test(shim_events, a_receipt_does_not_wait_for_a_containerd_that_is_away, EVENTS)
{
	publish_and_tell(1);
	turn();
	cr_assert_eq(n_receipts, 1);
	publish_and_tell(2);
	turn();
	cr_assert_eq(n_receipts, 2, "known to be away");
	listen_now();
	run_until_idle();
	cr_assert_eq(n_told, 2);
	cr_assert_eq(n_receipts, 2);
}

Test(shim_events, a_receipt_does_not_wait_for_a_connection_that_ends, EVENTS)
{
	listen_now();
	park_next = true;
	publish(0, 1);
	while (!parked)
		cr_assert_geq(event_loop_once(&loop, true), 0);
	publish_and_tell(1);
	server = ttrpc_server_free(server);
	while (n_receipts == 0)
		cr_assert_geq(event_loop_once(&loop, true), 0);
	(void)unlink(path);
	listen_now();
	run_until_idle();
	cr_assert_eq(n_receipts, 1);
}

Test(shim_events, a_receipt_comes_at_once_when_there_is_nobody_to_tell, .init = set_up,
	.fini = tear_down)
{
	events = events_free(events);
	cr_assert_eq(events_new(&loop, NULL, "ns", NULL, NULL, &events), 0);
	publish_and_tell(1);
	turn();
	cr_assert_eq(n_receipts, 1);
}

Test(shim_events, without_an_address_go_nowhere, .init = set_up, .fini = tear_down)
{
	events = events_free(events);
	cr_assert_eq(events_new(&loop, "", "ns", NULL, NULL, &events), 0);
	publish(0, QUEUE * 2);
	cr_assert(events_idle(events));
}
