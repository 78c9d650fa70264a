#include "node/health.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/str.h"
#include "node/grpc.h"

/* StatusRequest{verbose: true}; StatusResponse: info = 2, map<string,string>
 * (k8s.io/cri-api pkg/apis/runtime/v1/api.proto) */
static const char status_request[] = {0x08, 0x01};
enum { STATUS_INFO = 2, MAP_KEY = 1, MAP_VALUE = 2 };

/* One entry of `info`: its value, if the key is "config". 1, 0 for another key, -EBADMSG. */
static int read_info(const struct pb_field *entry, struct pb_field *ret)
{
	struct pb_field part, value = {0};
	bool config = false;
	size_t at = 0;
	int r;

	while ((r = pb_next(entry->data, entry->len, &at, &part)) > 0) {
		if (part.number == MAP_KEY && part.type == 2)
			config = part.len == 6 && memcmp(part.data, "config", 6) == 0;
		if (part.number == MAP_VALUE && part.type == 2)
			value = part;
	}
	if (r < 0)
		return r;
	if (!config || !value.data)
		return 0;
	*ret = value;
	return 1;
}

/* The value of info["config"], which is the CRI plugin's own configuration as JSON. */
static int find_config(const struct buf *message, struct pb_field *ret)
{
	struct pb_field f;
	size_t at = 0;

	while (pb_next(message->data, message->len, &at, &f) > 0) {
		int r = f.number == STATUS_INFO && f.type == 2 ? read_info(&f, ret) : 0;

		if (r != 0)
			return r < 0 ? r : 0;
	}
	return -EBADMSG;
}

static int check_handlers(
	const struct health_want *want, const struct json_ref *runtimes, struct err *err)
{
	bool ours = json_has(runtimes, want->name);

	if (want->handler == 1 && !ours)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"the running containerd has no runtime \"%s\"", want->name);
	if (want->handler == 0 && ours)
		return err_setf(err, ERR_NOT_FOUND, EEXIST,
			"the running containerd still has the runtime \"%s\"", want->name);
	if (!str_empty(want->default_runtime) && !json_has(runtimes, want->default_runtime))
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"the running containerd lost its default runtime \"%s\"",
			want->default_runtime);
	return 0;
}

int health_check(const struct health_want *want, uint64_t deadline, struct err *err)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(GRPC_MESSAGE_MAX);
	_cleanup_json_ struct json_ref root = {0};
	struct json_ref containerd, runtimes;
	struct pb_field config;
	int r;

	r = grpc_call(want->address, "/runtime.v1.RuntimeService/Status", status_request,
		sizeof(status_request), deadline, &message, err);
	if (r < 0) {
		(void)err_wrapf(err, "containerd's CRI plugin");
		return r;
	}
	if (find_config(&message, &config) < 0)
		return err_setf(err, ERR_UNAVAILABLE, EBADMSG,
			"containerd's CRI plugin does not say its configuration");
	r = json_parse(config.data, config.len, "CRI configuration", &root, err);
	if (r < 0)
		return r;
	if (json_get_object(&root, "containerd", &containerd, err) <= 0 ||
		json_get_object(&containerd, "runtimes", &runtimes, err) <= 0)
		return err_setf(
			err, ERR_NOT_FOUND, ENOENT, "containerd's CRI plugin has no runtimes");
	return check_handlers(want, &runtimes, err);
}

/*
 * A notify unit is ready when its sockets are, and the CRI plugin answers only after it has read
 * back the node's pods, of which nobody tells. So it is asked a few times, with growing pauses that
 * are spent waiting for the one event there is: the end of the daemon.
 */
int health_wait(
	const struct daemon *d, const struct health_want *want, uint64_t timeout_s, struct err *err)
{
	uint64_t deadline = clock_boot_usec() + timeout_s * USEC_PER_SEC, now;
	_cleanup_close_ int pidfd = d->main_pid > 0 ? pidfd_open(d->main_pid, 0) : -1;
	struct err last = ERR_INIT;

	for (int pause_ms = 50;; pause_ms = pause_ms < 2000 ? pause_ms * 2 : 2000) {
		struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
		int r = health_check(want, deadline, err);

		/* wrong handlers do not become right by waiting */
		if (r == 0 || (err && err->kind == ERR_NOT_FOUND))
			return r;
		/* the answer before is the reason, not that time ran out while asking again */
		if (r == -ETIMEDOUT && err && last.kind != ERR_NONE)
			*err = last;
		else if (err)
			last = *err;
		now = clock_boot_usec();
		if (now >= deadline)
			return r;
		if ((deadline - now) / 1000 < (uint64_t)pause_ms)
			pause_ms = (int)((deadline - now) / 1000) + 1;
		if (poll(&pfd, 1, pause_ms) > 0)
			return err_setf(err, ERR_PRECONDITION, ESRCH, "containerd ended");
	}
}
