#include "event/timer.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/timerfd.h>

#include "base/clock.h"
#include "event/timer_source.h"

struct alarm {
	struct event_timer timer;
	char name, *order; /* appends its name to the order */
	struct alarm *victim;
	uint64_t again_usec;
	struct event_loop *loop;
};

static void rang(struct event_timer *t)
{
	struct alarm *a = container_of(t, struct alarm, timer);

	a->order[strlen(a->order)] = a->name;
	cr_assert_leq(t->deadline_usec, clock_boot_usec());
	if (a->victim)
		event_timer_clear(&a->victim->timer);
	if (a->again_usec) {
		event_timer_set(a->loop, t, a->again_usec, rang);
		a->again_usec = 0;
	}
}

/* As the loop leaves it when it waits. */
static bool armed(struct event_loop *loop)
{
	struct itimerspec now;

	event_timer_source_arm(loop);
	cr_assert_eq(timerfd_gettime(loop->timer_source.fd, &now), 0);
	return now.it_value.tv_sec || now.it_value.tv_nsec;
}

Test(event_timer, calls_in_order_of_the_deadlines_whatever_the_order_of_setting)
{
	char order[8] = "";
	struct alarm a = {.name = 'a', .order = order}, b = {.name = 'b', .order = order},
		     c = {.name = 'c', .order = order};
	struct event_loop loop;
	uint64_t now;

	cr_assert_eq(event_loop_init(&loop), 0);
	cr_assert_not(armed(&loop), "nothing waits, nothing is armed");
	now = clock_boot_usec();
	event_timer_set(&loop, &b.timer, now + 2000, rang);
	event_timer_set(&loop, &c.timer, now + 3000, rang);
	event_timer_set(&loop, &a.timer, now + 1000, rang);
	cr_assert(armed(&loop));
	while (strlen(order) < 3)
		(void)event_loop_once(&loop, true);
	cr_assert_str_eq(order, "abc");
	cr_assert_not(armed(&loop));
	event_loop_done(&loop);
}

Test(event_timer, is_due_at_once_when_the_deadline_has_passed)
{
	char order[8] = "";
	struct alarm a = {.name = 'a', .order = order}, z = {.name = 'z', .order = order};
	struct event_loop loop;

	cr_assert_eq(event_loop_init(&loop), 0);
	event_timer_set(&loop, &a.timer, 1, rang);
	event_timer_set(&loop, &z.timer, 0, rang);
	(void)event_loop_once(&loop, true);
	cr_assert_str_eq(order, "za");
	event_loop_done(&loop);
}

Test(event_timer, disarms_the_descriptor_with_the_last_timer)
{
	char order[8] = "";
	struct alarm a = {.name = 'a', .order = order}, b = {.name = 'b', .order = order};
	struct event_loop loop;

	cr_assert_eq(event_loop_init(&loop), 0);
	event_timer_set_in(&loop, &a.timer, 3600 * USEC_PER_SEC, rang);
	event_timer_set_in(&loop, &b.timer, UINT64_MAX, rang);
	cr_assert(armed(&loop));
	event_timer_clear(&a.timer);
	event_timer_clear(&a.timer);
	event_timer_clear(NULL);
	cr_assert(armed(&loop));
	event_timer_clear(&b.timer);
	cr_assert_not(armed(&loop));
	event_loop_done(&loop);
}

Test(event_timer, can_be_moved_while_it_waits)
{
	char order[8] = "";
	struct alarm a = {.name = 'a', .order = order};
	struct event_loop loop;

	cr_assert_eq(event_loop_init(&loop), 0);
	event_timer_set_in(&loop, &a.timer, 3600 * USEC_PER_SEC, rang);
	event_timer_set_in(&loop, &a.timer, 0, rang);
	(void)event_loop_once(&loop, true);
	cr_assert_str_eq(order, "a");
	event_loop_done(&loop);
}

Test(event_timer, can_be_set_again_and_can_clear_another_that_is_due_too)
{
	char order[8] = "";
	struct event_loop loop;
	struct alarm a = {.name = 'a', .order = order, .again_usec = 2, .loop = &loop},
		     b = {.name = 'b', .order = order};

	cr_assert_eq(event_loop_init(&loop), 0);
	a.victim = &b;
	event_timer_set(&loop, &a.timer, 1, rang);
	event_timer_set(&loop, &b.timer, 1, rang);
	(void)event_loop_once(&loop, true);
	cr_assert_str_eq(order, "a", "its second turn is not in the same iteration");
	(void)event_loop_once(&loop, true);
	cr_assert_str_eq(order, "aa");
	cr_assert_null(b.timer.loop);
	event_loop_done(&loop);
}
