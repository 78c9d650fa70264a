/*
 * The ttrpc server: a listener, its connections, and calls that are answered at once or much later.
 *
 * Unary methods only. The rules for every kind of bad input are those of containerd's Go server
 * (containerd/ttrpc server.go, v1.1 to v1.2); where its versions differ, the later one's.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "event/loop.h"

struct ttrpc_server;
struct ttrpc_call;

struct ttrpc_method {
	const char *name; /* "Create" */
	const ProtobufCMessageDescriptor *request;
	/*
	 * Must reply, fail or park before it returns. `request` lives until then only; strings in
	 * it are never NULL, messages in it can be.
	 */
	void (*handle)(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx);
};

/* A service under one of its names; services may share a method table. */
struct ttrpc_service {
	const char *name; /* "containerd.task.v2.Task" */
	const struct ttrpc_method *methods;
	size_t n_methods;
	void *ctx; /* given to every handler */
};

/* All pointers are kept until ttrpc_server_free(). */
struct ttrpc_server_config {
	const struct ttrpc_service *services;
	size_t n_services;
	size_t max_connections; /* 0: 256. The next one is closed at once */
	size_t max_calls; /* parked on one connection; 0: 1024. Further requests there get code 8 */
	/* A connection came or went; `n` are open now. May be NULL. */
	void (*on_connections)(size_t n, void *ctx);
	/* Something worth a line in the log: a peer of another user, a connection or a frame that
	 * was refused. May be NULL. */
	void (*on_warning)(const struct err *err, void *ctx);
	void *ctx;
};

/*
 * Serves `listener_take` (a listening stream socket, made non-blocking; owned on success only).
 * Only peers with this process's effective uid and gid are accepted, as containerd's own ttrpc
 * peers do (SO_PEERCRED). ERR_* and -errno.
 */
int ttrpc_server_new(struct event_loop *loop, int listener_take,
	const struct ttrpc_server_config *config, struct ttrpc_server **ret_server,
	struct err *err);

/* Cancels all parked calls, closes everything. Not allowed inside a handler or callback of this
 * server. Accepts NULL; returns NULL. */
struct ttrpc_server *ttrpc_server_free(struct ttrpc_server *s);

/* Open connections. */
size_t ttrpc_server_connections(const struct ttrpc_server *s);

/* Calls that are parked. */
size_t ttrpc_server_calls(const struct ttrpc_server *s);

/* Bytes of answers that peers have not taken yet: 0 means that everything said is out. */
size_t ttrpc_server_pending(const struct ttrpc_server *s);

/*
 * Takes in what waits in the listener's backlog and closes the listener. For the end of the shim:
 * unlink the socket, call this, look at ttrpc_server_connections() once more.
 */
void ttrpc_server_stop_listening(struct ttrpc_server *s);

/* Serves a connected stream socket as if it had been accepted, peer check included. Owned on
 * success only. -errno. */
int ttrpc_server_adopt(struct ttrpc_server *s, int fd_take, struct err *err);

/* Answers with `response` and ends the call. One that encodes to more than a frame can hold is
 * answered with code 8 instead. */
void ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *response);

/* Answers with the code of err->kind and its text, to which ": " and the kind's name are put, and
 * ends the call. */
void ttrpc_call_fail(struct ttrpc_call *call, const struct err *err);

/* The same from a kind and a text. */
void ttrpc_call_failf(struct ttrpc_call *call, enum err_kind kind, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/*
 * Leaves the call open: ttrpc_call_reply() or ttrpc_call_fail() will end it, in any order with
 * others and from any callback of the loop. When its connection closes, or its deadline
 * (timeout_nano of the request) passes and code 4 has been sent, `on_cancel` (not NULL) is called
 * instead: forget `call` then, and neither reply nor fail; work that was begun goes on.
 */
void ttrpc_call_park(struct ttrpc_call *call,
	void (*on_cancel)(struct ttrpc_call *call, void *data), void *data);

/* What was called, for the log: "containerd.task.v3.Task", "Wait". Valid as long as the call. */
const char *ttrpc_call_service(const struct ttrpc_call *call);
const char *ttrpc_call_method(const struct ttrpc_call *call);

/* When the caller stops waiting, on clock_boot_usec(); 0: never. */
uint64_t ttrpc_call_deadline_usec(const struct ttrpc_call *call);
