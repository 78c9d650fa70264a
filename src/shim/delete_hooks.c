#include "shim/delete_hooks.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "oci/init_contract.h"
#include "shim/hooks.h"
#include "shim/runtime_client.h"
#include "store/record.h"

/* Whether there are any; a spec that cannot be read any more has none. */
static bool has_poststop(const char *bundle)
{
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;

	return oci_spec_load(bundle, &spec, NULL) == 0 && (hooks_of_spec(&spec) & HOOKS_POSTSTOP);
}

/* The runner's messages until its last one: 0, or the reason that it gave. */
static int await_runner(int control, uint64_t deadline_usec, struct err *err)
{
	for (;;) {
		struct pollfd p = {.fd = control, .events = POLLIN};
		uint64_t now = clock_boot_usec();
		struct init_message msg;
		int fd = -EBADF;
		ssize_t n;

		if (now >= deadline_usec ||
			poll(&p, 1, (int)((deadline_usec - now) / 1000U) + 1) == 0)
			return err_setf(err, ERR_DEADLINE, ETIMEDOUT,
				"hooks.poststop: not within the time that `delete` has, killed");
		n = fd_recv(control, &msg, sizeof(msg), &fd);
		fd_close(&fd);
		if (n == -EAGAIN)
			continue;
		if (n != (ssize_t)sizeof(msg) || msg.version != INIT_CONTRACT_VERSION)
			return err_setf(err, ERR_INTERNAL, EIO,
				"the runner of the hooks ended and said nothing");
		msg.err.text[sizeof(msg.err.text) - 1] = '\0';
		if (msg.type == INIT_READY)
			return 0;
		if (msg.type == INIT_NOTE) {
			(void)fprintf(stderr, "containerd-shim-reaper-v2: %s\n", msg.err.text);
			continue;
		}
		*err = msg.err;
		return -EIO;
	}
}

static int run(const struct shim_options *opts, const char *bundle, uint64_t deadline_usec,
	struct err *err)
{
	_cleanup_close_ int runtime_fd = -EBADF, control = -EBADF;
	struct runtime_hooks hooks = {
		.bundle = bundle, .id = opts->id, .ns = opts->ns, .stage = HOOK_STAGE_POSTSTOP};
	struct proc runner = PROC_INIT;
	uint32_t status;
	int r = runtime_hold(&runtime_fd, err);

	if (r < 0)
		return r;
	hooks.runtime_fd = runtime_fd;
	r = runtime_spawn_hooks(&hooks, &runner, &control, err);
	if (r < 0)
		return r;
	r = await_runner(control, deadline_usec, err);
	fd_close(&control); /* it kills what is still running, and ends */
	(void)proc_wait(&runner, &status);
	proc_done(&runner);
	return r;
}

int delete_run_poststop(
	const struct shim_options *opts, int bundle_fd, uint64_t deadline_usec, struct err *err)
{
	_cleanup_free_ char *bundle = NULL;
	int r;

	/* containerd gives a path or starts us in it; hooks want to know where it is */
	if (opts->bundle && opts->bundle[0] == '/')
		r = str_dup(&bundle, opts->bundle);
	else
		r = (bundle = getcwd(NULL, 0)) ? 0 : -errno;
	if (r < 0)
		return err_sysf(err, -r, "bundle");
	if (!has_poststop(bundle) || store_claim_poststop(bundle_fd) != 1)
		return 0;
	return run(opts, bundle, deadline_usec, err);
}
