#include "shim/reservations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/str.h"
#include "shim/answers.h"

enum {
	/* how long a place is kept for a container that `start` has announced: containerd's own
	   dial limit, and some */
	RESERVATION_SEC = 120,
	RESERVATIONS_MAX = 1024,
};

struct reservation {
	struct list node;
	struct shim *shim;
	struct event_timer expiry;
	struct event_source starter; /* the `start` that made this shim */
	struct ttrpc_call *hold;     /* of a `start` that found it; NULL: none, or it is done */
	char id[80];
};

static void let_go_of_starter(struct reservation *r)
{
	event_remove(&r->starter);
	fd_close(&r->starter.fd);
	if (r->hold)
		answer_empty(r->hold);
	r->hold = NULL;
}

static void forget(struct reservation *r)
{
	let_go_of_starter(r);
	event_timer_clear(&r->expiry);
	list_remove(&r->node);
	free(r);
}

/* Nobody will come: the shim leaves if that was all it waited for. */
static void give_up(struct reservation *r, const char *why)
{
	struct shim *shim = r->shim;

	log_warn("container %s was announced and never created%s", r->id, why);
	forget(r);
	shim_reconsider(shim, true);
}

static void on_expiry(struct event_timer *t)
{
	give_up(container_of(t, struct reservation, expiry), "");
}

static struct reservation *find(const struct shim *shim, const char *id)
{
	struct list *pos;

	list_for_each (pos, &shim->reservations) {
		struct reservation *r = list_entry(pos, struct reservation, node);

		if (str_eq(r->id, id))
			return r;
	}
	return NULL;
}

bool shim_reserve(struct shim *shim, const char *id)
{
	struct reservation *r;

	if (shim->leaving)
		return false;
	/* asked for again: its first `start` was killed, and the end of that one is no end of it */
	r = find(shim, id);
	if (r) {
		let_go_of_starter(r);
		event_timer_set_in(
			&shim->loop, &r->expiry, RESERVATION_SEC * USEC_PER_SEC, on_expiry);
		return true;
	}
	if (list_length(&shim->reservations) >= RESERVATIONS_MAX)
		return false;
	r = calloc(1, sizeof(*r));
	if (!r)
		return false;
	r->shim = shim;
	r->starter = (struct event_source)EVENT_SOURCE_INIT;
	(void)snprintf(r->id, sizeof(r->id), "%s", id);
	list_append(&shim->reservations, &r->node);
	event_timer_set_in(&shim->loop, &r->expiry, RESERVATION_SEC * USEC_PER_SEC, on_expiry);
	shim_reconsider(shim, false);
	return true;
}

void shim_unreserve(struct shim *shim, const char *id)
{
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &shim->reservations) {
		struct reservation *r = list_entry(pos, struct reservation, node);

		if (str_eq(r->id, id))
			forget(r);
	}
}

static enum event_verb on_starter(struct event_source *s, UNUSED uint32_t events)
{
	struct reservation *r = container_of(s, struct reservation, starter);
	char byte;
	ssize_t n = recv(s->fd, &byte, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return EVENT_CONTINUE;
	if (n > 0)
		let_go_of_starter(r);
	else
		give_up(r, ": its start was ended");
	return EVENT_CONTINUE;
}

void reservations_watch(struct shim *shim, const char *id, int fd_take)
{
	struct reservation *r = find(shim, id);

	if (r && event_add(&shim->loop, &r->starter, fd_take, EPOLLIN, on_starter) == 0)
		return;
	fd_close(&fd_take); /* the place is kept for its time */
}

static void on_hold_closed(UNUSED struct ttrpc_call *call, void *data)
{
	struct reservation *r = data;

	if (!r)
		return;
	r->hold = NULL;
	give_up(r, ": its start was ended");
}

void reservations_hold(struct shim *shim, const char *id, struct ttrpc_call *call)
{
	struct reservation *r = find(shim, id);

	/* no reservation: the shim is on its way out, and the end of the connection says so */
	if (r && r->hold)
		r = NULL;
	if (r)
		r->hold = call;
	ttrpc_call_park(call, on_hold_closed, r);
}

void reservations_keep(struct shim *shim, const char *id)
{
	struct reservation *r = find(shim, id);

	if (r)
		let_go_of_starter(r);
}

void reservations_clear(struct shim *shim)
{
	while (!list_empty(&shim->reservations))
		forget(list_entry(shim->reservations.next, struct reservation, node));
}
