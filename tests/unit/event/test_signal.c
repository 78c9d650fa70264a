#include "event/signal.h"

#include <criterion/criterion.h>
#include <unistd.h>

struct heard {
	struct event_signal signal;
	uint32_t last;
	int calls;
	enum event_verb answer;
};

static enum event_verb hear(struct event_signal *s, const struct signalfd_siginfo *info)
{
	struct heard *h = container_of(s, struct heard, signal);

	h->calls++;
	h->last = info->ssi_signo;
	if (info->ssi_signo == SIGUSR2)
		event_signal_done(s);
	return h->answer;
}

Test(event_signal, delivers_blocked_signals_one_by_one)
{
	struct heard h = {.signal = EVENT_SIGNAL_INIT};
	struct event_loop loop;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGUSR1);
	cr_assert_eq(event_loop_init(&loop), 0);
	cr_assert_eq(event_signal_init(&h.signal, &loop, &mask, hear), 0);
	cr_assert_eq(kill(getpid(), SIGUSR1), 0);
	cr_assert_eq(kill(getpid(), SIGTERM), 0);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	cr_assert_eq(h.calls, 2);
	h.answer = EVENT_EXIT;
	cr_assert_eq(kill(getpid(), SIGTERM), 0);
	cr_assert_eq(event_loop_run(&loop), 0);
	cr_assert_eq(h.last, SIGTERM);
	event_signal_done(&h.signal);
	event_signal_done(&h.signal);
	event_signal_done(NULL);
	event_loop_done(&loop);
}

Test(event_signal, can_be_ended_by_its_own_callback)
{
	struct heard h = {.signal = EVENT_SIGNAL_INIT};
	struct event_loop loop;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	cr_assert_eq(event_loop_init(&loop), 0);
	cr_assert_eq(event_signal_init(&h.signal, &loop, &mask, hear), 0);
	cr_assert_eq(kill(getpid(), SIGUSR2), 0);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_lt(h.signal.source.fd, 0);
	event_loop_done(&loop);
}
