#include "shim/waiters.h"

#include <errno.h>
#include <stdlib.h>

struct waiter {
	struct list node;
	struct ttrpc_call *call;
};

static void on_cancel(UNUSED struct ttrpc_call *call, void *data)
{
	struct waiter *w = data;

	list_remove(&w->node);
	free(w);
}

int waiters_add(struct list *waiters, struct ttrpc_call *call)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w) {
		ttrpc_call_failf(call, ERR_EXHAUSTED, "out of memory");
		return -ENOMEM;
	}
	w->call = call;
	list_append(waiters, &w->node);
	ttrpc_call_park(call, on_cancel, w);
	return 0;
}

static struct ttrpc_call *take_first(struct list *waiters)
{
	struct waiter *w = list_entry(waiters->next, struct waiter, node);
	struct ttrpc_call *call = w->call;

	list_remove(&w->node);
	free(w);
	return call;
}

void waiters_reply(struct list *waiters, const ProtobufCMessage *response)
{
	while (!list_empty(waiters))
		ttrpc_call_reply(take_first(waiters), response);
}

void waiters_fail(struct list *waiters, const struct err *err)
{
	while (!list_empty(waiters))
		ttrpc_call_fail(take_first(waiters), err);
}
