/*
 * The whole shim under test: shim_serve() in a child, its runtime replaced by double_runtime.c, a
 * ttrpc client of our own on its socket, and a containerd that takes its events.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "proto/task.pb-c.h"

enum { FLOW_EVENTS_MAX = 8192, FLOW_REPLIES_MAX = 2048 };

struct flow_event {
	char topic[32], container[80], exec[80]; /* exec: "" is the first process */
	uint32_t pid, status;
};

struct flow_reply {
	uint32_t stream;
	int32_t code;
	char message[512];
	uint8_t *payload;
	size_t len;
};

struct flow {
	char dir[64], socket[96], ns[32];
	pid_t shim;
	int client;
	uint32_t stream;
	struct flow_reply replies[FLOW_REPLIES_MAX];
	size_t n_replies;
	int events_listener, events_conn;
	bool deaf; /* takes events and does not answer them */
	struct flow_event events[FLOW_EVENTS_MAX];
	size_t n_events;
};

/* Starts the shim with a reservation for "c1"; ends the test (skipped) where it is not root's. */
void flow_init(struct flow *f);

/* Shuts the shim down and sees that it ends by itself with status 0 and leaves no socket. */
void flow_done(struct flow *f);

/* A bundle for `id` whose process does `what`. `more`: further members of "linux", or "". */
void flow_bundle(struct flow *f, const char *id, const char *what, const char *more);

void flow_remove_tree(const char *dir);

int flow_connect(struct flow *f);

/* Sends a request, returns its stream. */
uint32_t flow_send(struct flow *f, const char *method, const ProtobufCMessage *request);

/* The answer of a stream; waits for it (10 s and the test fails). Events are taken meanwhile. */
struct flow_reply *flow_reply(struct flow *f, uint32_t stream);
bool flow_answered(struct flow *f, uint32_t stream);

/* Takes what comes for so long; 0: what is there now. */
void flow_turn(struct flow *f, int ms);

/* Whole calls; each returns the code. */
int32_t flow_create(struct flow *f, const char *id, const char *out, uint32_t *ret_pid);
int32_t flow_start(struct flow *f, const char *id, const char *exec);
int32_t flow_exec(struct flow *f, const char *id, const char *exec, const char *what,
	const char *out, bool terminal);
int32_t flow_kill(struct flow *f, const char *id, const char *exec, uint32_t sig, bool all);
int32_t flow_delete(struct flow *f, const char *id, const char *exec, uint32_t *ret_status);
int32_t flow_wait(struct flow *f, const char *id, const char *exec, uint32_t *ret_status);
uint32_t flow_send_create(struct flow *f, const char *id, const char *out);
uint32_t flow_send_start(struct flow *f, const char *id, const char *exec);
uint32_t flow_send_wait(struct flow *f, const char *id, const char *exec);
uint32_t flow_send_delete(struct flow *f, const char *id, const char *exec);
int32_t flow_code(struct flow *f, uint32_t stream);

/* create + start; the test fails if either does. */
uint32_t flow_run(struct flow *f, const char *id, const char *what, const char *out);

/* Index of the event, or -1. */
int flow_event(const struct flow *f, const char *topic, const char *container, const char *exec);

/* Open descriptors of the shim. */
size_t flow_fds(const struct flow *f);
