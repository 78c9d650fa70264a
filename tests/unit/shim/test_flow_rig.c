#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "proto/events.pb-c.h"
#include "proto/forward.pb-c.h"
#include "proto/google/protobuf/empty.pb-c.h"
#include "proto/ttrpc.pb-c.h"
#include "shim/flow.h"
#include "shim/shim.h"
#include "shim/socket.h"
#include "ttrpc/frame.h"

enum { PATIENCE_MS = 10000, FRAME_MAX = 256 * 1024 };

static int listen_at(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	return fd;
}

int flow_connect(struct flow *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", f->socket);
	cr_assert_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

void flow_init(struct flow *f)
{
	struct socket_claim claim = SOCKET_CLAIM_INIT;
	struct shim_params params = {.id = "c1", .starter = -EBADF, .log_fd = -EBADF};
	char events[104];

	if (geteuid() != 0)
		cr_skip_test("needs root: the shim clones into cgroups and namespaces");
	memset(f, 0, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/reaper-flow-XXXXXX");
	cr_assert_not_null(mkdtemp(f->dir));
	(void)snprintf(f->socket, sizeof(f->socket), "%s/s", f->dir);
	(void)snprintf(events, sizeof(events), "%s/events", f->dir);
	f->events_listener = listen_at(events);
	f->events_conn = -EBADF;
	cr_assert_eq(setenv("PATH", TEST_DOUBLES_DIR ":/usr/bin:/bin", 1), 0);
	/* also the parent of the containers' cgroups, which goes with the last of them */
	(void)snprintf(f->ns, sizeof(f->ns), "reaper-flow-%d", (int)getpid());
	params.ns = f->ns;
	params.socket_path = f->socket;
	params.ttrpc_address = events;
	params.listener = -EBADF;
	cr_assert_eq(socket_claim(f->socket, f->ns, "c1", &claim, NULL), 0);
	params.listener = socket_bind(f->socket);
	socket_claim_done(&claim);
	if (getenv("FLOW_LOG")) { /* for a person who looks for the reason of a failure */
		params.log_fd = fd_copy(STDERR_FILENO);
		params.debug = true;
	}
	f->shim = fork();
	if (f->shim == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(f->events_listener);
		exit(shim_serve(&params));
	}
	cr_assert_gt(f->shim, 0);
	fd_close(&params.listener);
	fd_close(&params.log_fd);
	f->client = flow_connect(f);
	f->stream = 1;
}

void flow_remove_tree(const char *dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/rm", "rm", "-rf", dir, NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
}

void flow_done(struct flow *f)
{
	Task__ShutdownRequest request = TASK__SHUTDOWN_REQUEST__INIT;
	struct stat st;
	int status = -1, waited = 0;

	request.id = (char *)"c1";
	cr_assert_eq(flow_code(f, flow_send(f, "Shutdown", &request.base)), 0);
	while (waitpid(f->shim, &status, WNOHANG) == 0 && waited++ < PATIENCE_MS / 10)
		flow_turn(f, 10);
	if (status == -1)
		(void)kill(f->shim, SIGKILL);
	cr_assert_eq(status, 0, "the shim ended with status %#x", status);
	cr_assert_neq(stat(f->socket, &st), 0);
	fd_close(&f->client);
	fd_close(&f->events_listener);
	fd_close(&f->events_conn);
	for (size_t i = 0; i < f->n_replies; i++)
		free(f->replies[i].payload);
	flow_remove_tree(f->dir);
}

void flow_bundle(struct flow *f, const char *id, const char *what, const char *more)
{
	char path[160], json[1024], cgroup[160] = "";

	if (!strstr(more, "cgroupsPath"))
		(void)snprintf(cgroup, sizeof(cgroup), "\"cgroupsPath\":\"/%s/%s\"%s", f->ns, id,
			*more ? "," : "");
	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, id);
	cr_assert_eq(file_mkdir_p(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/config.json", f->dir, id);
	(void)snprintf(json, sizeof(json),
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
		"\"args\":[\"do:%s\"],\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"rootfs\"},"
		"\"linux\":{%s%s}}",
		what, cgroup, more);
	cr_assert_eq(file_replace_at(AT_FDCWD, path, json, strlen(json), 0600, NULL), 0);
}

static void send_frame(int fd, uint32_t stream, uint8_t type, const uint8_t *data, size_t len)
{
	const struct ttrpc_header header = {(uint32_t)len, stream, type, 0};
	uint8_t head[TTRPC_HEADER_SIZE];

	ttrpc_header_encode(&header, head);
	cr_assert_eq(file_write_all(fd, head, sizeof(head)), 0);
	cr_assert_eq(file_write_all(fd, data, len), 0);
}

uint32_t flow_send(struct flow *f, const char *method, const ProtobufCMessage *request)
{
	Ttrpc__Request envelope = TTRPC__REQUEST__INIT;
	uint8_t payload[16384], data[16384 + 128];
	uint32_t stream = f->stream;

	envelope.service = (char *)"containerd.task.v2.Task";
	envelope.method = (char *)method;
	cr_assert_leq(protobuf_c_message_get_packed_size(request), sizeof(payload));
	envelope.payload.len = protobuf_c_message_pack(request, payload);
	envelope.payload.data = payload;
	send_frame(f->client, stream, TTRPC_REQUEST, data, ttrpc__request__pack(&envelope, data));
	f->stream += 2;
	return stream;
}

/* A whole frame; false at the end of the connection. */
static bool read_frame(int fd, struct ttrpc_header *h, uint8_t *data)
{
	uint8_t head[TTRPC_HEADER_SIZE];

	if (recv(fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head))
		return false;
	ttrpc_header_decode(head, h);
	cr_assert_leq(h->length, FRAME_MAX);
	return h->length == 0 || recv(fd, data, h->length, MSG_WAITALL) == (ssize_t)h->length;
}

static void copy(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from);
}

static void note_event(struct flow *f, const Forward__Envelope *envelope)
{
	struct flow_event *e = &f->events[f->n_events++];
	const ProtobufCBinaryData *v = &envelope->event->value;

	cr_assert_lt(f->n_events, FLOW_EVENTS_MAX);
	copy(e->topic, sizeof(e->topic), envelope->topic);
	if (strcmp(e->topic, "/tasks/exit") == 0) {
		Containerd__Events__TaskExit *m =
			containerd__events__task_exit__unpack(NULL, v->len, v->data);

		copy(e->container, sizeof(e->container), m->container_id);
		if (strcmp(m->id, m->container_id) != 0)
			copy(e->exec, sizeof(e->exec), m->id);
		e->pid = m->pid;
		e->status = m->exit_status;
		containerd__events__task_exit__free_unpacked(m, NULL);
	} else if (strcmp(e->topic, "/tasks/exec-started") == 0) {
		Containerd__Events__TaskExecStarted *m =
			containerd__events__task_exec_started__unpack(NULL, v->len, v->data);

		copy(e->container, sizeof(e->container), m->container_id);
		copy(e->exec, sizeof(e->exec), m->exec_id);
		e->pid = m->pid;
		containerd__events__task_exec_started__free_unpacked(m, NULL);
	} else if (strcmp(e->topic, "/tasks/exec-added") == 0) {
		Containerd__Events__TaskExecAdded *m =
			containerd__events__task_exec_added__unpack(NULL, v->len, v->data);

		copy(e->container, sizeof(e->container), m->container_id);
		copy(e->exec, sizeof(e->exec), m->exec_id);
		containerd__events__task_exec_added__free_unpacked(m, NULL);
	} else { /* create, start, delete: field 1 is the container in all of them */
		Containerd__Events__TaskPaused *m =
			containerd__events__task_paused__unpack(NULL, v->len, v->data);

		copy(e->container, sizeof(e->container), m->container_id);
		containerd__events__task_paused__free_unpacked(m, NULL);
	}
}

static void take_event(struct flow *f)
{
	static uint8_t data[FRAME_MAX];
	struct ttrpc_header h;
	Ttrpc__Request *request;
	Forward__ForwardRequest *forward;

	if (!read_frame(f->events_conn, &h, data)) {
		fd_close(&f->events_conn);
		return;
	}
	request = ttrpc__request__unpack(NULL, h.length, data);
	forward =
		forward__forward_request__unpack(NULL, request->payload.len, request->payload.data);
	cr_assert_not_null(forward);
	cr_assert_not_null(forward->envelope->timestamp);
	if (!f->deaf) {
		note_event(f, forward->envelope);
		send_frame(f->events_conn, h.stream, TTRPC_RESPONSE, NULL, 0);
	}
	forward__forward_request__free_unpacked(forward, NULL);
	ttrpc__request__free_unpacked(request, NULL);
}

static void take_reply(struct flow *f)
{
	static uint8_t data[FRAME_MAX];
	struct flow_reply *reply = &f->replies[f->n_replies];
	Ttrpc__Response *response;
	struct ttrpc_header h;

	if (!read_frame(f->client, &h, data)) {
		fd_close(&f->client);
		return;
	}
	cr_assert_lt(f->n_replies, FLOW_REPLIES_MAX);
	f->n_replies++;
	response = ttrpc__response__unpack(NULL, h.length, data);
	cr_assert_not_null(response);
	reply->stream = h.stream;
	reply->code = response->status ? response->status->code : 0;
	copy(reply->message, sizeof(reply->message),
		response->status ? response->status->message : "");
	reply->len = response->payload.len;
	reply->payload = malloc(reply->len + 1);
	if (reply->len > 0)
		memcpy(reply->payload, response->payload.data, reply->len);
	ttrpc__response__free_unpacked(response, NULL);
}

void flow_turn(struct flow *f, int ms)
{
	uint64_t end = clock_boot_usec() + (uint64_t)ms * 1000;

	for (;;) {
		struct pollfd p[] = {{f->client, POLLIN, 0}, {f->events_listener, POLLIN, 0},
			{f->events_conn, POLLIN, 0}};
		uint64_t now = clock_boot_usec();

		if (poll(p, 3, now < end ? (int)((end - now) / 1000) + 1 : 0) <= 0)
			return;
		if (p[2].revents)
			take_event(f);
		if (p[1].revents) {
			fd_close(&f->events_conn);
			f->events_conn = accept4(f->events_listener, NULL, NULL, SOCK_CLOEXEC);
		}
		if (p[0].revents) {
			take_reply(f);
			return;
		}
		if (now >= end)
			return;
	}
}

static struct flow_reply *find_reply(struct flow *f, uint32_t stream)
{
	for (size_t i = f->n_replies; i-- > 0;) {
		if (f->replies[i].stream == stream)
			return &f->replies[i];
	}
	return NULL;
}

bool flow_answered(struct flow *f, uint32_t stream)
{
	return find_reply(f, stream) != NULL;
}

struct flow_reply *flow_reply(struct flow *f, uint32_t stream)
{
	uint64_t end = clock_boot_usec() + (uint64_t)PATIENCE_MS * 1000;

	while (!find_reply(f, stream) && f->client >= 0 && clock_boot_usec() < end)
		flow_turn(f, 100);
	cr_assert_not_null(find_reply(f, stream), "no answer on stream %u", stream);
	return find_reply(f, stream);
}

int32_t flow_code(struct flow *f, uint32_t stream)
{
	return flow_reply(f, stream)->code;
}

uint32_t flow_send_create(struct flow *f, const char *id, const char *out)
{
	Task__CreateTaskRequest request = TASK__CREATE_TASK_REQUEST__INIT;
	char bundle[160];

	(void)snprintf(bundle, sizeof(bundle), "%s/%s", f->dir, id);
	request.id = (char *)id;
	request.bundle = bundle;
	request.stdout = (char *)(out ? out : "");
	return flow_send(f, "Create", &request.base);
}

int32_t flow_create(struct flow *f, const char *id, const char *out, uint32_t *ret_pid)
{
	struct flow_reply *r = flow_reply(f, flow_send_create(f, id, out));
	Task__CreateTaskResponse *m;

	if (r->code == 0 && ret_pid) {
		m = task__create_task_response__unpack(NULL, r->len, r->payload);
		*ret_pid = m->pid;
		task__create_task_response__free_unpacked(m, NULL);
	}
	return r->code;
}

uint32_t flow_send_start(struct flow *f, const char *id, const char *exec)
{
	Task__StartRequest request = TASK__START_REQUEST__INIT;

	request.id = (char *)id;
	request.exec_id = (char *)exec;
	return flow_send(f, "Start", &request.base);
}

int32_t flow_start(struct flow *f, const char *id, const char *exec)
{
	return flow_code(f, flow_send_start(f, id, exec));
}

int32_t flow_exec(struct flow *f, const char *id, const char *exec, const char *what,
	const char *out, bool terminal)
{
	Task__ExecProcessRequest request = TASK__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any spec = GOOGLE__PROTOBUF__ANY__INIT;
	char json[256];

	(void)snprintf(json, sizeof(json),
		"{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"do:%s\"],\"cwd\":\"/\"}", what);
	spec.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/Process";
	spec.value.data = (uint8_t *)json;
	spec.value.len = strlen(json);
	request.id = (char *)id;
	request.exec_id = (char *)exec;
	request.stdout = (char *)(out ? out : "");
	request.terminal = terminal;
	request.spec = &spec;
	return flow_code(f, flow_send(f, "Exec", &request.base));
}

int32_t flow_kill(struct flow *f, const char *id, const char *exec, uint32_t sig, bool all)
{
	Task__KillRequest request = TASK__KILL_REQUEST__INIT;

	request.id = (char *)id;
	request.exec_id = (char *)exec;
	request.signal = sig;
	request.all = all;
	return flow_code(f, flow_send(f, "Kill", &request.base));
}

uint32_t flow_send_delete(struct flow *f, const char *id, const char *exec)
{
	Task__DeleteRequest request = TASK__DELETE_REQUEST__INIT;

	request.id = (char *)id;
	request.exec_id = (char *)exec;
	return flow_send(f, "Delete", &request.base);
}

int32_t flow_delete(struct flow *f, const char *id, const char *exec, uint32_t *ret_status)
{
	struct flow_reply *r = flow_reply(f, flow_send_delete(f, id, exec));
	Task__DeleteResponse *m;

	if (r->code == 0 && ret_status) {
		m = task__delete_response__unpack(NULL, r->len, r->payload);
		*ret_status = m->exit_status;
		task__delete_response__free_unpacked(m, NULL);
	}
	return r->code;
}

uint32_t flow_send_wait(struct flow *f, const char *id, const char *exec)
{
	Task__WaitRequest request = TASK__WAIT_REQUEST__INIT;

	request.id = (char *)id;
	request.exec_id = (char *)exec;
	return flow_send(f, "Wait", &request.base);
}

int32_t flow_wait(struct flow *f, const char *id, const char *exec, uint32_t *ret_status)
{
	struct flow_reply *r = flow_reply(f, flow_send_wait(f, id, exec));
	Task__WaitResponse *m;

	if (r->code == 0 && ret_status) {
		m = task__wait_response__unpack(NULL, r->len, r->payload);
		*ret_status = m->exit_status;
		task__wait_response__free_unpacked(m, NULL);
	}
	return r->code;
}

uint32_t flow_run(struct flow *f, const char *id, const char *what, const char *out)
{
	uint32_t pid = 0;

	flow_bundle(f, id, what, "");
	cr_assert_eq(flow_create(f, id, out, &pid), 0, "Create of %s: %s", id,
		f->replies[f->n_replies - 1].message);
	cr_assert_eq(flow_start(f, id, ""), 0, "Start of %s", id);
	return pid;
}

int flow_event(const struct flow *f, const char *topic, const char *container, const char *exec)
{
	for (size_t i = 0; i < f->n_events; i++) {
		const struct flow_event *e = &f->events[i];

		if (strcmp(e->topic, topic) == 0 && strcmp(e->container, container) == 0 &&
			strcmp(e->exec, exec) == 0)
			return (int)i;
	}
	return -1;
}

size_t flow_fds(const struct flow *f)
{
	char path[64];
	size_t n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)f->shim);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}
