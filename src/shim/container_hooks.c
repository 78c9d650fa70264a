#include "shim/container_hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "oci/init_contract.h"
#include "shim/answers.h"
#include "shim/runtime_client.h"
#include "shim/waiters.h"
#include "store/record.h"

int container_hooks_init(struct container *c, const struct oci_spec *spec, struct err *err)
{
	static const enum oci_hook_point inside[] = {
		OCI_HOOK_CREATE_CONTAINER, OCI_HOOK_START_CONTAINER};

	for (size_t i = 0; c->type == OCI_TYPE_SANDBOX && i < ARRAY_LEN(inside); i++) {
		if (spec->hooks[inside[i]].n > 0)
			return err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP,
				"config.json: hooks.%s: %.200s: a pod's sandbox has an empty root, "
				"in which no program can run",
				oci_hook_name(inside[i]), spec->hooks[inside[i]].v[0].path);
	}
	c->hook_stages = hooks_of_spec(spec);
	return 0;
}

bool container_hooks_wanted(const struct container *c)
{
	return c->type == OCI_TYPE_SANDBOX && (c->hook_stages & HOOKS_CREATE);
}

static void on_created(struct container *c, const struct err *failure)
{
	if (failure)
		process_fail(&c->init, failure);
	else if (c->type == OCI_TYPE_SANDBOX)
		process_ready(&c->init);
	else
		process_go_on(&c->init);
}

void container_process_prepared(struct container *c, struct process *p)
{
	struct err err = ERR_INIT;

	if (hooks_begin(&c->hooks, c, HOOK_STAGE_CREATE, (pid_t)p->pid, on_created, &err) < 0)
		process_fail(p, &err);
}

static void on_poststart(struct container *c, const struct err *failure)
{
	struct err err;

	if (!failure) {
		c->audience->started(&c->init);
		return;
	}
	err = *failure;
	log_error("container %s: %s", c->id, err.text);
	(void)proc_signal(&c->init.proc, SIGKILL); /* ended by itself: as good */
	waiters_fail(&c->init.starters, &err);
}

bool container_poststart(struct container *c)
{
	struct err err = ERR_INIT;

	if (!(c->hook_stages & HOOKS_POSTSTART))
		return false;
	if (hooks_begin(
		    &c->hooks, c, HOOK_STAGE_POSTSTART, (pid_t)c->init.pid, on_poststart, &err) < 0)
		on_poststart(c, &err);
	return true;
}

static void after_poststop(struct container *c)
{
	void (*then)(struct container * c) = c->after_poststop;

	c->after_poststop = NULL;
	then(c);
}

static void on_poststop(struct container *c, const struct err *failure)
{
	if (failure)
		log_warn("container %s: %s, continuing", c->id, failure->text);
	after_poststop(c);
}

static bool claim(const struct container *c)
{
	_cleanup_close_ int bundle = open(c->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return bundle >= 0 && store_claim_poststop(bundle) == 1;
}

void container_poststop(struct container *c, void (*then)(struct container *c))
{
	struct err err = ERR_INIT;

	c->after_poststop = then;
	if (!(c->hook_stages & HOOKS_POSTSTOP) || !claim(c))
		after_poststop(c);
	else if (hooks_begin(&c->hooks, c, HOOK_STAGE_POSTSTOP, 0, on_poststop, &err) < 0)
		on_poststop(c, &err);
}
