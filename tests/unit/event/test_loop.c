#include "event/loop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A pipe whose read end is a source that counts. */
struct probe {
	struct event_source source;
	struct event_post post;
	int fds[2], calls;
	uint32_t events;
	enum event_verb answer;
	struct probe *victim; /* removed by the callback */
	struct event_loop *again;
};

static enum event_verb probed(struct event_source *s, uint32_t events)
{
	struct probe *p = container_of(s, struct probe, source);

	p->calls++;
	p->events = events;
	if (p->victim)
		event_remove(&p->victim->source);
	return p->answer;
}

static void probe_open(struct probe *p, struct event_loop *loop)
{
	*p = (struct probe) {.source = EVENT_SOURCE_INIT};
	cr_assert_eq(pipe2(p->fds, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(event_add(loop, &p->source, p->fds[0], EPOLLIN, probed), 0);
}

static void probe_close(struct probe *p)
{
	event_remove(&p->source);
	close(p->fds[0]);
	close(p->fds[1]);
}

static void poke(struct probe *p)
{
	cr_assert_eq(write(p->fds[1], "x", 1), 1);
}

Test(event_loop, calls_a_source_while_it_is_ready_and_not_otherwise)
{
	struct event_loop loop;
	struct probe p;
	char c;

	cr_assert_eq(event_loop_init(&loop), 0);
	probe_open(&p, &loop);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	poke(&p);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_eq(event_loop_once(&loop, true), 1, "level-triggered");
	cr_assert_eq(p.calls, 2);
	cr_assert_eq(p.events, EPOLLIN);
	cr_assert_eq(read(p.fds[0], &c, 1), 1);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	probe_close(&p);
	event_loop_done(&loop);
	event_loop_done(&loop);
	event_loop_done(NULL);
}

Test(event_loop, obeys_the_verbs)
{
	struct event_loop loop;
	struct probe p;

	cr_assert_eq(event_loop_init(&loop), 0);
	probe_open(&p, &loop);
	poke(&p);
	p.answer = EVENT_REMOVE;
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_null(p.source.loop);
	cr_assert_eq(event_loop_once(&loop, false), 0);

	p.answer = EVENT_EXIT;
	cr_assert_eq(event_add(&loop, &p.source, p.fds[0], EPOLLIN, probed), 0);
	cr_assert_eq(event_loop_run(&loop), 0);
	cr_assert_eq(p.calls, 2);

	event_loop_exit(&loop, 7);
	cr_assert_eq(event_loop_run(&loop), 7, "an exit before the run counts");
	probe_close(&p);
	event_loop_done(&loop);
}

Test(event_loop, does_not_call_what_another_callback_of_the_same_iteration_removed)
{
	struct event_loop loop;
	struct probe a, b;

	cr_assert_eq(event_loop_init(&loop), 0);
	probe_open(&a, &loop);
	probe_open(&b, &loop);
	a.victim = &b;
	b.victim = &a;
	poke(&a);
	poke(&b);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_eq(a.calls + b.calls, 1);
	probe_close(&a);
	probe_close(&b);
	event_loop_done(&loop);
}

static enum event_verb removes_itself(struct event_source *s, uint32_t events)
{
	struct probe *p = container_of(s, struct probe, source);

	(void)events;
	event_remove(s);
	close(p->fds[0]);
	close(p->fds[1]);
	free(p);
	return EVENT_REMOVE;
}

Test(event_loop, lets_a_callback_free_its_own_source)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct event_loop loop;

	cr_assert_eq(event_loop_init(&loop), 0);
	probe_open(p, &loop);
	event_remove(&p->source);
	cr_assert_eq(event_add(&loop, &p->source, p->fds[0], EPOLLIN, removes_itself), 0);
	poke(p);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	event_loop_done(&loop);
}

Test(event_loop, refuses_a_source_twice_and_descriptors_that_cannot_be_watched)
{
	struct event_source plain = EVENT_SOURCE_INIT;
	struct event_loop loop;
	struct probe p;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(event_loop_init(&loop), 0);
	probe_open(&p, &loop);
	cr_assert_eq(event_add(&loop, &p.source, p.fds[0], EPOLLIN, probed), -EBUSY);
	cr_assert_eq(event_add(&loop, &plain, fd, EPOLLIN, probed), -EPERM);
	cr_assert_null(plain.loop);
	cr_assert_eq(event_set_mask(&plain, EPOLLIN), -ENOENT);
	event_remove(&plain);
	event_remove(NULL);
	probe_close(&p);
	close(fd);
	event_loop_done(&loop);
}

Test(event_loop, keeps_a_source_with_an_empty_mask_quiet_even_when_its_peer_hangs_up)
{
	struct event_loop loop;
	struct probe p;

	cr_assert_eq(event_loop_init(&loop), 0);
	probe_open(&p, &loop);
	cr_assert_eq(event_set_mask(&p.source, 0), 0);
	close(p.fds[1]);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	cr_assert_eq(event_set_mask(&p.source, EPOLLIN), 0);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert(p.events & EPOLLHUP);
	p.fds[1] = -1;
	probe_close(&p);
	event_loop_done(&loop);
}

static enum event_verb mutes_the_victim(struct event_source *s, uint32_t events)
{
	struct probe *p = container_of(s, struct probe, source);

	(void)events;
	p->calls++;
	cr_assert_eq(event_set_mask(&p->victim->source, EPOLLPRI), 0);
	return EVENT_CONTINUE;
}

Test(event_loop, does_not_deliver_events_that_the_mask_no_longer_has)
{
	struct event_loop loop;
	struct probe a, b;

	cr_assert_eq(event_loop_init(&loop), 0);
	probe_open(&a, &loop);
	probe_open(&b, &loop);
	a.victim = &b;
	b.victim = &a;
	a.source.on_ready = b.source.on_ready = mutes_the_victim;
	poke(&a);
	poke(&b);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	cr_assert_eq(a.calls + b.calls, 1);
	probe_close(&a);
	probe_close(&b);
	event_loop_done(&loop);
}

static void posted(struct event_post *post)
{
	struct probe *p = container_of(post, struct probe, post);

	p->calls++;
	if (p->victim)
		event_post_cancel(&p->victim->post);
	if (p->again && p->calls < 3)
		event_post(p->again, post, posted);
}

Test(event_loop, runs_a_post_once_at_the_end_of_the_iteration)
{
	struct event_loop loop;
	struct probe p = {.calls = 0};

	cr_assert_eq(event_loop_init(&loop), 0);
	event_post(&loop, &p.post, posted);
	event_post(&loop, &p.post, posted);
	cr_assert_eq(event_loop_once(&loop, true), 0, "a post keeps the loop from sleeping");
	cr_assert_eq(p.calls, 1);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	cr_assert_eq(p.calls, 1);
	event_loop_done(&loop);
}

Test(event_loop, gives_a_post_of_a_post_its_turn_in_the_next_iteration)
{
	struct event_loop loop;
	struct probe p = {.calls = 0};

	cr_assert_eq(event_loop_init(&loop), 0);
	p.again = &loop;
	event_post(&loop, &p.post, posted);
	(void)event_loop_once(&loop, true);
	cr_assert_eq(p.calls, 1);
	(void)event_loop_once(&loop, true);
	(void)event_loop_once(&loop, true);
	cr_assert_eq(p.calls, 3);
	cr_assert_null(p.post.loop);
	event_loop_done(&loop);
}

Test(event_loop, takes_a_queued_post_back_even_from_a_post_of_the_same_batch)
{
	struct event_loop loop;
	struct probe a = {.calls = 0}, b = {.calls = 0};

	cr_assert_eq(event_loop_init(&loop), 0);
	event_post(&loop, &a.post, posted);
	event_post_cancel(&a.post);
	event_post_cancel(&a.post);
	event_post_cancel(NULL);
	(void)event_loop_once(&loop, false);
	cr_assert_eq(a.calls, 0);

	a.victim = &b;
	event_post(&loop, &a.post, posted);
	event_post(&loop, &b.post, posted);
	(void)event_loop_once(&loop, false);
	cr_assert_eq(a.calls, 1);
	cr_assert_eq(b.calls, 0);
	event_loop_done(&loop);
}

Test(event_loop, serves_more_sources_than_one_batch_holds)
{
	struct probe p[3 * EVENT_BATCH];
	struct event_loop loop;
	int i, rounds, seen;

	cr_assert_eq(event_loop_init(&loop), 0);
	for (i = 0; i < 3 * EVENT_BATCH; i++) {
		probe_open(&p[i], &loop);
		p[i].answer = EVENT_REMOVE;
		poke(&p[i]);
	}
	for (rounds = 0; rounds < 3; rounds++)
		(void)event_loop_once(&loop, true);
	for (seen = 0, i = 0; i < 3 * EVENT_BATCH; i++)
		seen += p[i].calls;
	cr_assert_eq(seen, 3 * EVENT_BATCH);
	for (i = 0; i < 3 * EVENT_BATCH; i++)
		probe_close(&p[i]);
	event_loop_done(&loop);
}
