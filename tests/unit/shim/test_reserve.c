/* A `start` that finds a shim on its way out (shim/socket.h has the rules). */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "shim/flow.h"
#include "shim/reserve.h"
#include "shim/socket.h"

enum { GRANTED = 10, BOUND = 11, FAILED = 12 };

static struct flow f;
static int silent = -EBADF;

/* `start` of c2 in a process of its own; ends with one of the above. */
static pid_t claim(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct socket_claim claim = SOCKET_CLAIM_INIT;
		int r;

		fd_close(&silent);
		r = socket_claim(f.socket, f.ns, "c2", &claim, NULL);
		if (r == 0 && claim.peer >= 0)
			reserve_keep(claim.peer, "c2");
		else if (r == 0)
			r = socket_bind(f.socket);
		_exit(r < 0 ? FAILED : claim.peer >= 0 ? GRANTED : BOUND);
	}
	cr_assert_gt(pid, 0);
	return pid;
}

static int result(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0)
		flow_turn(&f, 10);
	return WEXITSTATUS(status);
}

static int shim_status(void)
{
	int status = -1;

	for (int i = 0; i < 1000 && waitpid(f.shim, &status, WNOHANG) == 0; i++)
		flow_turn(&f, 10);
	return status;
}

static void clean_up(void)
{
	fd_close(&f.client);
	fd_close(&f.events_listener);
	fd_close(&f.events_conn);
	flow_remove_tree(f.dir);
	while (f.n_replies > 0)
		free(f.replies[--f.n_replies].payload);
}

static uint32_t send_shutdown(void)
{
	Task__ShutdownRequest request = TASK__SHUTDOWN_REQUEST__INIT;

	return flow_send(&f, "Shutdown", &request.base);
}

Test(shim_reserve, either_stays_for_a_start_or_lets_it_bind, .timeout = 120)
{
	srand(2);
	for (int i = 0; i < 40; i++) {
		int r, late = rand() % 3;
		pid_t start;

		flow_init(&f);
		/* a Create that fails uses up the reservation of its own `start` */
		cr_assert_neq(flow_create(&f, "c1", NULL, NULL), 0);
		if (late == 0)
			(void)send_shutdown();
		start = claim();
		if (late == 1)
			(void)send_shutdown();
		if (late == 2) {
			(void)usleep((useconds_t)(rand() % 3000));
			(void)send_shutdown();
		}
		r = result(start);
		cr_assert(r == GRANTED || r == BOUND, "round %d: %d", i, r);
		if (r == GRANTED) { /* it stays, whatever Shutdown said, and serves c2 */
			int status;

			flow_turn(&f, 20);
			cr_assert_eq(waitpid(f.shim, &status, WNOHANG), 0, "it left all the same");
			cr_assert_neq(flow_create(&f, "c2", NULL, NULL), 0);
			cr_assert_eq(flow_code(&f, send_shutdown()), 0);
		}
		cr_assert_eq(shim_status(), 0);
		cr_assert_eq(access(f.socket, F_OK) == 0, r == BOUND);
		clean_up();
	}
}

Test(shim_reserve, answers_no_reservation_once_it_leaves, .timeout = 60)
{
	struct err err = ERR_INIT;
	struct socket_claim claim = SOCKET_CLAIM_INIT;
	int early, listener;
	pid_t start;

	flow_init(&f);
	f.deaf = true; /* its events keep it for a while */
	(void)flow_run(&f, "c1", "exit 0", NULL);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
	early = flow_connect(&f);
	cr_assert_eq(flow_code(&f, send_shutdown()), 0);
	for (int i = 0; i < 1000 && access(f.socket, F_OK) == 0; i++)
		flow_turn(&f, 1);
	/* one that had connected before, and one that comes now */
	start = fork();
	if (start == 0)
		_exit(reserve_ask(early, f.ns, "c2", &err));
	cr_assert_eq(socket_claim(f.socket, f.ns, "c3", &claim, &err), 0);
	listener = socket_bind(f.socket);
	cr_assert_geq(listener, 0);
	socket_claim_done(&claim);
	fd_close(&early);
	cr_assert_eq(result(start), RESERVE_LEAVING);
	cr_assert_eq(shim_status(), 0);
	cr_assert_eq(access(f.socket, F_OK), 0, "it took the next one's socket with it");
	fd_close(&listener);
	clean_up();
}

Test(shim_reserve, holds_up_no_other_pod_while_a_shim_does_not_answer, .timeout = 60)
{
	struct socket_claim first = SOCKET_CLAIM_INIT;
	char dir[] = "/tmp/reaper-reserve-XXXXXX";
	int conn, lock, status;
	char request[64];
	pid_t start;

	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(f.socket, sizeof(f.socket), "%s/s", dir);
	cr_assert_eq(socket_claim(f.socket, "n", "c1", &first, NULL), 0);
	silent = socket_bind(f.socket);
	socket_claim_done(&first);
	start = claim();
	(void)fcntl(silent, F_SETFL, 0);
	conn = accept4(silent, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_gt(recv(conn, request, sizeof(request), 0), 0);
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(flock(lock, LOCK_EX | LOCK_NB), 0, "the lock of all pods is held");
	cr_assert_eq(flock(lock, LOCK_UN), 0);
	/* it dies: the `start` takes its place */
	fd_close(&silent);
	fd_close(&conn);
	cr_assert_eq(waitpid(start, &status, 0), start);
	cr_assert_eq(WEXITSTATUS(status), BOUND);
	fd_close(&lock);
	(void)unlink(f.socket);
	(void)rmdir(dir);
}
