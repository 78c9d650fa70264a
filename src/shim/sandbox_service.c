#include "shim/sandbox_service.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "proto/cri.pb-c.h"
#include "proto/sandbox.pb-c.h"
#include "sandbox/pod.h"
#include "shim/answers.h"
#include "shim/container.h"
#include "shim/shim.h"
#include "shim/snapshots.h"
#include "stats/stats.h"
#include "shim/waiters.h"
#include "ttrpc/message.h"

/* The sandbox of this id, or the call is answered and NULL returned. */
static struct container *find(struct shim *shim, struct ttrpc_call *call, const char *id)
{
	struct container *c = shim_sandbox(shim, id);
	struct err err = ERR_INIT;

	if (c)
		return c;
	(void)err_setf(&err, ERR_NOT_FOUND, ESRCH, "sandbox %.100s: not found", id);
	answer_error(call, &err);
	return NULL;
}

/* ---- how its life is told ---- */

static void created(struct container *c)
{
	Sandbox__CreateSandboxResponse response = SANDBOX__CREATE_SANDBOX_RESPONSE__INIT;

	waiters_reply(&c->init.starters, &response.base);
}

/* containerd publishes the events of sandboxes itself. */
static void no_event(UNUSED struct process *p)
{
}

static void started(struct process *p)
{
	Sandbox__StartSandboxResponse response = SANDBOX__START_SANDBOX_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = answer_timestamp(&p->container->created);

	response.pid = p->pid;
	response.created_at = &at;
	waiters_reply(&p->starters, &response.base);
}

static void waited(struct process *p)
{
	Sandbox__WaitSandboxResponse response = SANDBOX__WAIT_SANDBOX_RESPONSE__INIT;
	Sandbox__StopSandboxResponse stopped = SANDBOX__STOP_SANDBOX_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = answer_timestamp(&p->exited_at);

	response.exit_status = p->exit_status;
	response.exited_at = &at;
	waiters_reply(&p->waiters, &response.base);
	waiters_reply(&p->container->shim->sandbox_stops, &stopped.base);
}

static void deleted(struct container *c, UNUSED bool existed)
{
	Sandbox__StopSandboxResponse stopped = SANDBOX__STOP_SANDBOX_RESPONSE__INIT;
	Sandbox__ShutdownSandboxResponse gone = SANDBOX__SHUTDOWN_SANDBOX_RESPONSE__INIT;

	waiters_reply(&c->shim->sandbox_stops, &stopped.base);
	waiters_reply(&c->deleters, &gone.base);
	c->shim->sandbox = NULL;
}

static const struct audience sandbox_audience = {
	.created = created,
	.runs = no_event,
	.started = started,
	.exited = no_event,
	.waited = waited,
	.deleted = deleted,
};

/* ---- methods ---- */

/* CRI's config of the pod; NULL without error: the options are not CRI's. */
static int decode_options(
	const Google__Protobuf__Any *options, Cri__PodSandboxConfig **ret_config, struct err *err)
{
	*ret_config = NULL;
	if (!options || str_empty(options->type_url))
		return 0;
	if (!str_eq(options->type_url, SANDBOX_POD_CONFIG_TYPE)) {
		log_debug("sandbox options of type %.200s are not the pod's, ignoring them",
			options->type_url);
		return 0;
	}
	*ret_config = (Cri__PodSandboxConfig *)ttrpc_message_decode(
		&cri__pod_sandbox_config__descriptor, options->value.data, options->value.len);
	return *ret_config
		       ? 0
		       : err_setf(err, ERR_INVALID, EPROTO, "options: no " SANDBOX_POD_CONFIG_TYPE);
}

static int create(struct shim *shim, const Sandbox__CreateSandboxRequest *request,
	struct ttrpc_call *call, struct err *err)
{
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	struct sandbox_pod pod = {.id = request->sandbox_id, .netns_path = request->netns_path};
	struct container_request create = {
		.id = request->sandbox_id,
		.bundle = request->bundle_path,
		.stdio = {.in = "", .out = "", .err = ""},
		.snapshot = snapshot_of(request->rootfs, request->n_rootfs),
		.audience = &sandbox_audience,
		.sandbox = &spec,
	};
	Cri__PodSandboxConfig *config;
	struct container *c;
	int r;

	if (shim->leaving)
		return err_setf(err, ERR_UNAVAILABLE, ESHUTDOWN,
			"sandbox %.100s: this shim is on its way out", request->sandbox_id);
	if (shim->sandbox && !str_eq(shim->sandbox->id, request->sandbox_id))
		return err_setf(err, ERR_PRECONDITION, EBUSY,
			"sandbox %.100s: this shim is that of sandbox %s", request->sandbox_id,
			shim->sandbox->id);
	r = decode_options(request->options, &config, err);
	if (r == 0) {
		pod.config = config;
		r = sandbox_pod_spec(&pod, &spec, err);
	}
	if (config)
		protobuf_c_message_free_unpacked(&config->base, NULL);
	if (r < 0)
		return err_wrapf(err, "creating sandbox %.100s", request->sandbox_id);
	r = container_create(shim, &create, call, &c, err);
	if (r == 0)
		shim->sandbox = c;
	return r;
}

static void on_create(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__CreateSandboxRequest *request =
		(const Sandbox__CreateSandboxRequest *)message;
	struct shim *shim = ctx;
	struct err err = ERR_INIT;

	/* the snapshot's mounts (request->rootfs) stay unmounted, as a task's */
	shim_unreserve(shim, request->sandbox_id);
	if (create(shim, request, call, &err) < 0)
		answer_error(call, &err);
	shim_reconsider(shim, false);
}

static void on_start(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__StartSandboxRequest *request = (const Sandbox__StartSandboxRequest *)message;
	struct container *c = find(ctx, call, request->sandbox_id);
	struct err err = ERR_INIT;

	if (c && container_start(c, &c->init, call, &err) < 0)
		answer_error(call, &err);
}

/* As Go's runtime.GOARCH says it, which containerd compares with. */
static const char *go_architecture(const char *machine, const char **ret_variant)
{
	static const struct {
		const char *machine, *go, *variant;
	} names[] = {
		{"x86_64", "amd64", ""},
		{"aarch64", "arm64", ""},
		{"armv7l", "arm", "v7"},
		{"armv6l", "arm", "v6"},
		{"ppc64le", "ppc64le", ""},
		{"s390x", "s390x", ""},
		{"riscv64", "riscv64", ""},
		{"loongarch64", "loong64", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i].machine, machine)) {
			*ret_variant = names[i].variant;
			return names[i].go;
		}
	}
	*ret_variant = "";
	return machine;
}

/* The node's, whatever sandbox is asked for. */
static void on_platform(
	struct ttrpc_call *call, UNUSED const ProtobufCMessage *message, UNUSED void *ctx)
{
	Sandbox__PlatformResponse response = SANDBOX__PLATFORM_RESPONSE__INIT;
	Types__Platform platform = TYPES__PLATFORM__INIT;
	struct utsname host;
	const char *variant;

	(void)uname(&host);
	platform.os = (char *)"linux";
	platform.architecture = (char *)go_architecture(host.machine, &variant);
	platform.variant = (char *)variant;
	response.platform = &platform;
	ttrpc_call_reply(call, &response.base);
}

/*
 * The containers of the pod are CRI's to stop and stay as they are, but for those that share its
 * pid namespace. The caller's timeout_secs is not waited for: the sandbox has nothing to finish.
 */
static void on_stop(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__StopSandboxRequest *request = (const Sandbox__StopSandboxRequest *)message;
	Sandbox__StopSandboxResponse stopped = SANDBOX__STOP_SANDBOX_RESPONSE__INIT;
	struct shim *shim = ctx;
	struct container *c = find(shim, call, request->sandbox_id);

	if (!c)
		return;
	if (c->init.state == PROCESS_STOPPED) {
		ttrpc_call_reply(call, &stopped.base);
		return;
	}
	if (waiters_add(&shim->sandbox_stops, call) == 0 && process_alive(&c->init))
		(void)proc_signal(&c->init.proc, SIGKILL); /* ended meanwhile: as good */
}

static void on_wait(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__WaitSandboxRequest *request = (const Sandbox__WaitSandboxRequest *)message;
	struct container *c = find(ctx, call, request->sandbox_id);

	if (c && waiters_add(&c->init.waiters, call) == 0 && c->init.state == PROCESS_STOPPED)
		waited(&c->init);
}

static bool is_ready(const struct process *p)
{
	return p->state == PROCESS_STARTING || p->state == PROCESS_RUNNING;
}

static void on_status(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__SandboxStatusRequest *request =
		(const Sandbox__SandboxStatusRequest *)message;
	Sandbox__SandboxStatusResponse response = SANDBOX__SANDBOX_STATUS_RESPONSE__INIT;
	Sandbox__SandboxStatusResponse__InfoEntry
		info = SANDBOX__SANDBOX_STATUS_RESPONSE__INFO_ENTRY__INIT,
		*infos[] = {&info};
	struct container *c = find(ctx, call, request->sandbox_id);
	_cleanup_free_ char *text = NULL;
	Google__Protobuf__Timestamp created_at, exited_at;

	if (!c)
		return;
	created_at = answer_timestamp(&c->created);
	exited_at = answer_timestamp(&c->init.exited_at);
	response.sandbox_id = c->id;
	response.pid = process_alive(&c->init) ? c->init.pid : 0;
	response.state = (char *)(is_ready(&c->init) ? "SANDBOX_READY" : "SANDBOX_NOTREADY");
	response.created_at = &created_at;
	response.exited_at = &exited_at;
	if (request->verbose && str_printf(&text, "{\"version\":\"%s\",\"shimPid\":%d}",
					REAPER_VERSION, (int)getpid()) == 0) {
		info.key = (char *)"reaper";
		info.value = text;
		response.info = infos;
		response.n_info = ARRAY_LEN(infos);
	}
	ttrpc_call_reply(call, &response.base);
}

static void on_ping(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__PingRequest *request = (const Sandbox__PingRequest *)message;
	Sandbox__PingResponse response = SANDBOX__PING_RESPONSE__INIT;

	if (find(ctx, call, request->sandbox_id))
		ttrpc_call_reply(call, &response.base);
}

/* Never an error for one that is not there: it follows a CreateSandbox that failed, too. */
static void on_shutdown(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__ShutdownSandboxRequest *request =
		(const Sandbox__ShutdownSandboxRequest *)message;
	Sandbox__ShutdownSandboxResponse response = SANDBOX__SHUTDOWN_SANDBOX_RESPONSE__INIT;
	struct shim *shim = ctx;

	shim_unreserve(shim, request->sandbox_id);
	if (!shim->sandbox || !str_eq(shim->sandbox->id, request->sandbox_id))
		ttrpc_call_reply(call, &response.base);
	else if (shim->sandbox->deleting)
		(void)waiters_add(&shim->sandbox->deleters, call); /* both hear how it ends */
	else
		container_end(shim->sandbox, call);
	shim_let_peers_close(shim);
	shim_reconsider(shim, true);
}

/* Of the sandbox itself: what its containers use is asked for container by container, and what the
 * pod uses stands in the pod's cgroup, which is the kubelet's. */
static void on_metrics(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Sandbox__SandboxMetricsRequest *request =
		(const Sandbox__SandboxMetricsRequest *)message;
	Sandbox__SandboxMetricsResponse response = SANDBOX__SANDBOX_METRICS_RESPONSE__INIT;
	Types__Metric metric = TYPES__METRIC__INIT;
	Google__Protobuf__Any data = GOOGLE__PROTOBUF__ANY__INIT;
	const struct timespec now = clock_wall();
	Google__Protobuf__Timestamp at = answer_timestamp(&now);
	struct shim *shim = ctx;
	struct container *c = find(shim, call, request->sandbox_id);
	struct err err = ERR_INIT;
	struct stats stats;

	if (!c)
		return;
	if (stats_collect(&c->cgroup, shim->cgroup_host.mode, &stats, &err) < 0) {
		answer_error(call, &err);
		return;
	}
	data.type_url = (char *)stats.type_url;
	data.value.data = stats.data;
	data.value.len = stats.len;
	metric.timestamp = &at;
	metric.id = c->id;
	metric.data = &data;
	response.metrics = &metric;
	ttrpc_call_reply(call, &response.base);
	free(stats.data);
}

const struct ttrpc_method sandbox_methods[] = {
	{"CreateSandbox", &sandbox__create_sandbox_request__descriptor, on_create},
	{"StartSandbox", &sandbox__start_sandbox_request__descriptor, on_start},
	{"Platform", &sandbox__platform_request__descriptor, on_platform},
	{"StopSandbox", &sandbox__stop_sandbox_request__descriptor, on_stop},
	{"WaitSandbox", &sandbox__wait_sandbox_request__descriptor, on_wait},
	{"SandboxStatus", &sandbox__sandbox_status_request__descriptor, on_status},
	{"PingSandbox", &sandbox__ping_request__descriptor, on_ping},
	{"ShutdownSandbox", &sandbox__shutdown_sandbox_request__descriptor, on_shutdown},
	{"SandboxMetrics", &sandbox__sandbox_metrics_request__descriptor, on_metrics},
};

const size_t n_sandbox_methods = ARRAY_LEN(sandbox_methods);
