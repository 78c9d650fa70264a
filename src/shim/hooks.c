#include "shim/hooks.h"

#include <errno.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "oci/init_contract.h"
#include "shim/container.h"
#include "shim/runtime_client.h"
#include "shim/shim.h"

unsigned hooks_of_spec(const struct oci_spec *spec)
{
	static const unsigned stage_of[_OCI_HOOK_MAX] = {
		[OCI_HOOK_PRESTART] = HOOKS_CREATE,
		[OCI_HOOK_CREATE_RUNTIME] = HOOKS_CREATE,
		[OCI_HOOK_POSTSTART] = HOOKS_POSTSTART,
		[OCI_HOOK_POSTSTOP] = HOOKS_POSTSTOP,
	};
	unsigned stages = 0;

	for (size_t i = 0; i < _OCI_HOOK_MAX; i++)
		stages |= spec->hooks[i].n > 0 ? stage_of[i] : 0U;
	return stages;
}

bool hooks_running(const struct hooks *h)
{
	return h->control >= 0;
}

void hooks_cancel(struct hooks *h)
{
	event_remove(&h->source);
	fd_close(&h->control);
	proc_done(&h->runner); /* the shim reaps whoever ends */
}

/* The runner has said everything. */
static void finish(struct hooks *h)
{
	struct err failure = h->failure;
	bool failed = h->failed;

	if (!h->answered) {
		failed = true;
		(void)err_setf(&failure, ERR_INTERNAL, EIO,
			"the runner of the hooks ended and said nothing");
	}
	hooks_cancel(h);
	h->on_done(h->container, failed ? &failure : NULL);
}

static enum event_verb on_control(struct event_source *s, UNUSED uint32_t events)
{
	struct hooks *h = container_of(s, struct hooks, source);

	for (;;) {
		struct init_message msg;
		int fd = -EBADF;
		ssize_t n = fd_recv(h->control, &msg, sizeof(msg), &fd);

		fd_close(&fd);
		if (n == -EAGAIN)
			return EVENT_CONTINUE;
		if (n != (ssize_t)sizeof(msg) || msg.version != INIT_CONTRACT_VERSION) {
			finish(h);
			return EVENT_CONTINUE;
		}
		msg.err.text[sizeof(msg.err.text) - 1] = '\0';
		if (msg.type == INIT_NOTE) {
			log_warn("container %s: %s", h->container->id, msg.err.text);
			continue;
		}
		h->answered = true;
		h->failed = msg.type != INIT_READY;
		h->failure = msg.err;
		if (h->failed && (msg.err.kind == ERR_NONE || msg.err.kind >= _ERR_KIND_MAX))
			h->failure.kind = ERR_UNKNOWN;
	}
}

int hooks_begin(struct hooks *h, struct container *c, const char *stage, pid_t pid,
	void (*on_done)(struct container *c, const struct err *failure), struct err *err)
{
	struct shim *shim = c->shim;
	const struct runtime_hooks hooks = {.runtime_fd = shim->runtime_fd,
		.bundle = c->bundle,
		.id = c->id,
		.ns = shim->ns,
		.stage = stage,
		.pid = pid};
	int r;

	hooks_cancel(h);
	if (shim->runtime_fd < 0) {
		if (err)
			*err = shim->runtime_error;
		return -ENOENT;
	}
	*h = (struct hooks)HOOKS_INIT;
	h->container = c;
	h->on_done = on_done;
	r = runtime_spawn_hooks(&hooks, &h->runner, &h->control, err);
	if (r < 0)
		return r;
	r = event_add(&shim->loop, &h->source, h->control, EPOLLIN, on_control);
	if (r < 0) {
		hooks_cancel(h);
		return err_sysf(err, -r, "watching the hooks");
	}
	return 0;
}
