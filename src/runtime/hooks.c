#include "runtime/hooks.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "oci/state.h"
#include "runtime/command.h"

/*
 * Hooks that prepare an image's root for the driver libraries that CDI mounts into it. The view's
 * root is the host's, where the driver's own package has done the same; done again, they would hide
 * the host's later ld.so.cache from everybody in the group.
 */
static const struct {
	const char *program; /* last component of the path */
	const char *word;    /* any of its arguments */
} skipped[] = {
	{"nvidia-ctk", "update-ldcache"},
	{"nvidia-ctk", "create-symlinks"},
	{"nvidia-cdi-hook", "update-ldcache"},
	{"nvidia-cdi-hook", "create-symlinks"},
};

static bool is_skipped(const struct oci_hook *h)
{
	const char *slash = strrchr(h->path, '/');
	const char *program = slash ? slash + 1 : h->path;

	for (size_t i = 0; i < ARRAY_LEN(skipped); i++) {
		if (!str_eq(program, skipped[i].program))
			continue;
		for (size_t j = 1; h->args && h->args[0] && h->args[j]; j++) {
			if (str_eq(h->args[j], skipped[i].word))
				return true;
		}
	}
	return false;
}

/* The last of what a hook wrote. */
struct tail {
	char text[512];
	size_t len;
};

static void tail_add(struct tail *t, const char *data, size_t n)
{
	size_t room = sizeof(t->text) - 1;

	if (n > room) {
		data += n - room;
		n = room;
	}
	if (t->len + n > room) {
		size_t drop = t->len + n - room;

		memmove(t->text, t->text + drop, t->len - drop);
		t->len -= drop;
	}
	memcpy(t->text + t->len, data, n);
	t->len += n;
	t->text[t->len] = '\0';
}

/* As one line, without blanks at its ends. */
static const char *tail_text(struct tail *t)
{
	char *p = t->text;

	while (t->len > 0 && isspace((unsigned char)t->text[t->len - 1]))
		t->text[--t->len] = '\0';
	for (char *c = p; *c; c++)
		*c = isspace((unsigned char)*c) ? ' ' : *c;
	return p + strspn(p, " ");
}

/* What is there; false at the end of file. */
static bool tail_read(struct tail *t, int fd)
{
	char chunk[4096];

	for (;;) {
		ssize_t n = RETRY_EINTR(read(fd, chunk, sizeof(chunk)));

		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		tail_add(t, chunk, (size_t)n);
	}
}

/* One hook while it runs. */
struct running {
	struct proc proc;
	int output;
	struct tail tail;
};

static void running_done(struct running *run)
{
	fd_close(&run->output);
	proc_done(&run->proc);
}

/* The state in a file that nobody else sees: a hook that does not read it holds nobody up. */
static int state_fd(const struct hooks_context *c, struct err *err)
{
	const struct oci_state state = {
		.id = c->id,
		.status = c->status,
		.pid = c->pid,
		.bundle = c->bundle,
		.root = c->root,
		.annotations = &c->spec->annotations,
	};
	_cleanup_(json_object_freep) struct json_object *o = oci_state_object(&state);
	_cleanup_close_ int fd = memfd_create("state", MFD_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (fd < 0)
		return err_sysf(err, errno, "memfd");
	if (!o || json_write(o, JSON_COMPACT, &text, &len) < 0)
		return err_sysf(err, ENOMEM, "state");
	r = file_write_all(fd, text, len);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sysf(err, r < 0 ? -r : errno, "memfd");
	return TAKE_FD(fd);
}

static int spawn(const struct hooks_context *c, const struct oci_hook *h, struct running *run,
	struct err *err)
{
	_cleanup_close_ int state = state_fd(c, err), theirs = -EBADF;
	char *const path_only[] = {h->path, NULL};
	static char *const nothing[] = {NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int pair[2], r;

	if (state < 0)
		return state;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sysf(err, errno, "pipe2");
	run->output = pair[0];
	theirs = pair[1];
	r = fd_set_nonblock(run->output);
	if (r < 0)
		return err_sysf(err, -r, "pipe");
	spec.exec_path = h->path;
	spec.argv = h->args ? h->args : path_only;
	spec.env = h->env ? h->env : nothing;
	spec.fds[0] = state;
	spec.fds[1] = spec.fds[2] = theirs;
	spec.fds[HOOK_FD_BUNDLE] = c->bundle_fd;
	spec.n_fds = c->bundle_fd >= 0 ? HOOK_FD_BUNDLE + 1 : HOOK_FD_BUNDLE;
	spec.new_session = true;
	spec.cwd = c->cwd;
	r = proc_spawn(&spec, &run->proc, err);
	return r < 0 ? command_exec_error(-r, h->path, err) : 0;
}

/* 1: it has ended, 0: its time is over, -ECANCELED: nobody wants it any more. */
static int await(struct running *run, int watch_fd, uint64_t deadline)
{
	struct pollfd p[] = {
		{.fd = run->proc.pidfd, .events = POLLIN},
		{.fd = run->output, .events = POLLIN},
		{.fd = watch_fd, .events = POLLIN},
	};

	for (;;) {
		uint64_t now = clock_boot_usec();
		int n;

		if (now >= deadline)
			return 0;
		n = poll(p, ARRAY_LEN(p), (int)((deadline - now + 999) / 1000));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		if (p[1].revents && !tail_read(&run->tail, run->output))
			p[1].fd = -1;
		if (p[0].revents)
			return 1;
		if (p[2].revents)
			return -ECANCELED;
	}
}

/* Everybody in its session's first process group: what it has started and not moved away. */
static void end_group(struct running *run)
{
	uint32_t status;

	(void)kill(-run->proc.pid, SIGKILL);
	(void)proc_signal(&run->proc, SIGKILL);
	(void)proc_wait(&run->proc, &status);
}

static int judge(struct running *run, const struct oci_hook *h, struct err *err)
{
	uint32_t status;
	const char *said;
	int r;

	(void)tail_read(&run->tail, run->output);
	/* before it is reaped: until then its number is its group's and nobody else's */
	r = proc_wait(&run->proc, &status);
	if (r < 0)
		return err_sysf(err, -r, "%s", h->path);
	if (status == 0)
		return 0;
	said = tail_text(&run->tail);
	return err_setf(err, ERR_PRECONDITION, ECANCELED, "%s: %s %u%s%s", h->path,
		status > 128 ? "killed by signal" : "exit status",
		status > 128 ? status - 128 : status, *said ? ": " : "", said);
}

static int run_one(const struct hooks_context *c, const struct oci_hook *h, struct err *err)
{
	_cleanup_(running_done) struct running run = {.proc = PROC_INIT, .output = -EBADF};
	unsigned limit = h->timeout_s > 0 ? h->timeout_s : HOOK_TIMEOUT_DEFAULT_S;
	const char *said;
	int r = spawn(c, h, &run, err);

	if (r < 0)
		return r;
	r = await(&run, c->watch_fd, clock_boot_usec() + limit * USEC_PER_SEC);
	if (r == 1)
		return judge(&run, h, err);
	end_group(&run);
	if (r == -ECANCELED)
		return err_setf(
			err, ERR_CANCELED, ECANCELED, "%s: nobody waits for it any more", h->path);
	if (r < 0)
		return err_sysf(err, -r, "%s", h->path);
	said = tail_text(&run.tail);
	return err_setf(err, ERR_DEADLINE, ETIMEDOUT, "%s: did not end within %u s, killed%s%s",
		h->path, limit, *said ? ": " : "", said);
}

static void note(const struct hooks_context *c, const char *text)
{
	if (c->note)
		c->note(c->note_arg, text);
}

int hooks_run(const struct hooks_context *c, enum oci_hook_point point, struct err *err)
{
	const struct oci_hooks *hooks = &c->spec->hooks[point];

	for (size_t i = 0; i < hooks->n; i++) {
		const struct oci_hook *h = &hooks->v[i];
		struct err reason = ERR_INIT;
		int r;

		if (is_skipped(h)) {
			(void)err_setf(&reason, ERR_NONE, EIO,
				"hooks.%s[%zu]: %s %s: skipped, the view's root is the host's own",
				oci_hook_name(point), i, h->path, h->args[1]);
			note(c, reason.text);
			continue;
		}
		r = run_one(c, h, &reason);
		if (r == 0)
			continue;
		(void)err_wrapf(&reason, "hooks.%s[%zu]", oci_hook_name(point), i);
		if (!c->go_on || reason.kind == ERR_CANCELED) {
			if (err)
				*err = reason;
			return r;
		}
		note(c, reason.text);
	}
	return 0;
}
