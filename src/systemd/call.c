#include "systemd/call.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "systemd/message.h"
#include "systemd/properties.h"

#define RUNS_DIR "/run/systemd/system"
#define SOCKET   "/run/systemd/private"

#define UNIT_EXISTS  "org.freedesktop.systemd1.UnitExists"
#define NO_SUCH_UNIT "org.freedesktop.systemd1.NoSuchUnit"

enum { KIND_START, KIND_SET, KIND_STOP };

enum {
	STATE_AUTH,  /* the handshake is out */
	STATE_CALL,  /* the request is out */
	STATE_RESET, /* ResetFailedUnit is out, the request follows once more */
	STATE_JOB,   /* the request is answered, its job is not over */
	STATE_DONE,
};

enum {
	LINE_MAX_LEN = 512,
	AUTH_READ = 256, /* what systemd reads at once before it has seen BEGIN (sd-bus,
			    bus_socket_read_auth) */
};

bool systemd_runs(void)
{
	return access(RUNS_DIR, F_OK) == 0;
}

int systemd_connect(struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sysf(err, errno, "socket");
	if (RETRY_EINTR(connect(fd, (struct sockaddr *)&address, sizeof(address))) < 0)
		return err_setf(err, ERR_UNAVAILABLE, errno,
			"systemd: connecting to " SOCKET ": %s", strerrorname_np(errno));
	return TAKE_FD(fd);
}

/* ---- making a request ---- */

/* Puts a message in the place of the one that was sent. */
static int queue(struct systemd_call *c, const char *method, const char *signature,
	const uint8_t *body, size_t len, struct err *err)
{
	c->out_len =
		dbus_format_call(c->out, sizeof(c->out), ++c->serial, method, signature, body, len);
	c->out_at = 0;
	if (c->out_len == 0)
		return err_setf(err, ERR_INVALID, EMSGSIZE, "systemd: %s: too long", method);
	return 0;
}

static int begin(struct systemd_call *c, int fd, unsigned kind, const char *unit, struct err *err)
{
	char uid[16];
	size_t n;

	*c = (struct systemd_call) {.fd = fd, .kind = kind, .state = STATE_AUTH};
	if (strlen(unit) > SYSTEMD_UNIT_MAX)
		return err_setf(err, ERR_INVALID, ENAMETOOLONG,
			"systemd: unit %.40s…: its name has more than %d bytes", unit,
			SYSTEMD_UNIT_MAX);
	memcpy(c->unit, unit, strlen(unit) + 1);
	/* EXTERNAL: the kernel says who we are; the name is our uid, its digits in hexadecimal */
	n = (size_t)snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
	c->out_len = (size_t)snprintf((char *)c->out, sizeof(c->out), "%cAUTH EXTERNAL ", '\0');
	for (size_t i = 0; i < n; i++)
		c->out_len += (size_t)snprintf((char *)c->out + c->out_len,
			sizeof(c->out) - c->out_len, "%02x", (unsigned)uid[i]);
	c->out_len +=
		(size_t)snprintf((char *)c->out + c->out_len, sizeof(c->out) - c->out_len, "\r\n");
	return 0;
}

static int finish(struct systemd_call *c, const struct dbus_writer *w, const char *method,
	const char *signature, struct err *err)
{
	if (w->full)
		return err_setf(
			err, ERR_INVALID, EMSGSIZE, "systemd: %s %s: too long", method, c->unit);
	c->body_len = w->len;
	c->method = method;
	c->signature = signature;
	return 0;
}

static void put_property(struct dbus_writer *w, const char *name, const char *signature)
{
	dbus_begin_struct(w);
	dbus_put_string(w, name);
	dbus_put_signature(w, signature);
}

static void put_text(struct dbus_writer *w, const char *name, const char *value)
{
	put_property(w, name, "s");
	dbus_put_string(w, value);
}

static void put_flag(struct dbus_writer *w, const char *name, bool value)
{
	put_property(w, name, "b");
	dbus_put_bool(w, value);
}

int systemd_start_scope(
	struct systemd_call *c, int fd, const struct systemd_scope *scope, struct err *err)
{
	struct dbus_writer w = {.data = c->body, .size = sizeof(c->body)};
	struct dbus_array properties, list;
	int r = begin(c, fd, KIND_START, scope->unit, err);

	if (r < 0)
		return r;
	dbus_put_string(&w, scope->unit);
	dbus_put_string(&w, "fail");
	properties = dbus_begin_array(&w, 8);
	put_text(&w, "Description", scope->description);
	put_text(&w, "Slice", scope->slice);
	put_text(&w, "CollectMode", "inactive-or-failed");
	put_flag(&w, "DefaultDependencies", false);
	put_flag(&w, "Delegate", true);
	put_flag(&w, "CPUAccounting", true);
	put_flag(&w, "MemoryAccounting", true);
	put_flag(&w, "IOAccounting", true);
	put_flag(&w, "TasksAccounting", true);
	put_property(&w, "TasksMax", "t"); /* not the host's default for its services */
	dbus_put_u64(&w, UINT64_MAX);
	put_property(&w, "PIDs", "au");
	list = dbus_begin_array(&w, 4);
	dbus_put_u32(&w, 0); /* the sender, whatever its number is where systemd runs */
	dbus_end_array(&w, list);
	dbus_end_array(&w, properties);
	list = dbus_begin_array(&w, 8); /* no further units */
	dbus_end_array(&w, list);
	return finish(c, &w, "StartTransientUnit", "ssa(sv)a(sa(sv))", err);
}

int systemd_set_limits(struct systemd_call *c, int fd, const char *unit, const struct cgroup *cg,
	const struct cgroup_limits *limits, struct err *err)
{
	struct dbus_writer w = {.data = c->body, .size = sizeof(c->body)};
	struct dbus_array properties;
	int n, r = begin(c, fd, KIND_SET, unit, err);

	if (r < 0)
		return r;
	dbus_put_string(&w, unit);
	dbus_put_bool(&w, true); /* until the unit ends, not for ever */
	properties = dbus_begin_array(&w, 8);
	n = systemd_put_limits(&w, cg, limits, err);
	if (n < 0)
		return n;
	dbus_end_array(&w, properties);
	r = finish(c, &w, "SetUnitProperties", "sba(sv)", err);
	return r < 0 ? r : n == 0;
}

int systemd_stop_unit(struct systemd_call *c, int fd, const char *unit, struct err *err)
{
	struct dbus_writer w = {.data = c->body, .size = sizeof(c->body)};
	int r = begin(c, fd, KIND_STOP, unit, err);

	if (r < 0)
		return r;
	dbus_put_string(&w, unit);
	dbus_put_string(&w, "replace");
	return finish(c, &w, "StopUnit", "ss", err);
}

/* ---- the way to its end ---- */

static int send_call(struct systemd_call *c, struct err *err)
{
	c->state = STATE_CALL;
	return queue(c, c->method, c->signature, c->body, c->body_len, err);
}

static int send_reset(struct systemd_call *c, struct err *err)
{
	uint8_t body[SYSTEMD_UNIT_MAX + 16];
	struct dbus_writer w = {.data = body, .size = sizeof(body)};

	dbus_put_string(&w, c->unit);
	c->state = STATE_RESET;
	c->tried_again = true;
	return queue(c, "ResetFailedUnit", "s", body, w.len, err);
}

static int job_is_over(struct systemd_call *c, struct err *err)
{
	c->state = STATE_DONE;
	if (c->kind == KIND_STOP || str_eq(c->result, "done"))
		return 0;
	return err_setf(err, ERR_UNAVAILABLE, EIO,
		"systemd: starting %s: the job ended with \"%s\"", c->unit, c->result);
}

static int on_error(struct systemd_call *c, const struct dbus_message *m, struct err *err)
{
	struct dbus_reader r = {.data = m->body, .len = m->body_len};
	const char *name = m->error_name ? m->error_name : "", *text = "";
	enum err_kind kind = ERR_UNAVAILABLE;
	int errnum = EIO;

	if (str_eq(name, NO_SUCH_UNIT)) {
		if (c->kind == KIND_STOP) {
			c->state = STATE_DONE;
			return 0;
		}
		kind = ERR_NOT_FOUND;
		errnum = ENOENT;
	}
	if (str_eq(name, UNIT_EXISTS)) {
		if (!c->tried_again)
			return send_reset(c, err);
		kind = ERR_EXISTS;
		errnum = EEXIST;
	}
	if (m->signature && m->signature[0] == 's')
		text = dbus_get_string(&r);
	return err_setf(
		err, kind, errnum, "systemd: %s %s: %s (%s)", c->method, c->unit, text, name);
}

static int on_reply(struct systemd_call *c, const struct dbus_message *m, struct err *err)
{
	if (c->state == STATE_RESET) /* it had failed, or it had not: either way once more */
		return send_call(c, err);
	if (c->state != STATE_CALL)
		return 0;
	if (m->type == DBUS_ERROR)
		return on_error(c, m, err);
	if (c->kind == KIND_SET) {
		c->state = STATE_DONE;
		return 0;
	}
	c->state = STATE_JOB;
	return c->job_over ? job_is_over(c, err) : 0;
}

/* JobRemoved: number, object, unit, result. */
static int on_job(struct systemd_call *c, const struct dbus_message *m, struct err *err)
{
	struct dbus_reader r = {.data = m->body, .len = m->body_len};
	const char *unit, *result;

	(void)dbus_get_u32(&r);
	(void)dbus_get_string(&r);
	unit = dbus_get_string(&r);
	result = dbus_get_string(&r);
	if (r.bad || !str_eq(unit, c->unit))
		return 0;
	(void)snprintf(c->result, sizeof(c->result), "%s", result);
	c->job_over = true;
	return c->state == STATE_JOB ? job_is_over(c, err) : 0;
}

static int broken(struct err *err)
{
	return err_setf(
		err, ERR_UNAVAILABLE, EPROTO, "systemd: what came from " SOCKET " is not D-Bus");
}

static int on_message(struct systemd_call *c, size_t len, struct err *err)
{
	struct dbus_message m;

	if (!dbus_parse(c->in, len, &m))
		return broken(err);
	if ((m.type == DBUS_RETURN || m.type == DBUS_ERROR) && m.reply_serial == c->serial)
		return on_reply(c, &m, err);
	if (m.type == DBUS_SIGNAL && m.member && m.signature && str_eq(m.member, "JobRemoved") &&
		str_eq(m.signature, "uoss"))
		return on_job(c, &m, err);
	return 0;
}

static void consume(struct systemd_call *c, size_t n)
{
	c->in_len -= n;
	memmove(c->in, c->in + n, c->in_len);
}

/* The one line that the server says: "OK <id>". */
static int on_line(struct systemd_call *c, struct err *err)
{
	static const char begin_line[] = "BEGIN\r\n";
	const char *line = (const char *)c->in, *end = memchr(line, '\n', c->in_len);
	size_t len = sizeof(begin_line) - 1;
	int r;

	if (!end)
		return c->in_len > LINE_MAX_LEN ? broken(err) : 0;
	if (c->in_len < 3 || memcmp(line, "OK ", 3) != 0)
		return err_setf(err, ERR_PERMISSION, EACCES, "systemd: it does not let us in: %.*s",
			(int)strcspn(line, "\r\n"), line);
	consume(c, (size_t)(end + 1 - line));
	r = send_call(c, err);
	if (r < 0)
		return r;
	if (c->out_len + len > sizeof(c->out))
		return err_setf(err, ERR_INVALID, EMSGSIZE, "systemd: %s: too long", c->method);
	memmove(c->out + len, c->out, c->out_len);
	memcpy(c->out, begin_line, len);
	c->out_len += len;
	/* what systemd reads together with BEGIN it looks at with the next input only, so that a
	 * short request would wait for ever: something has to come behind it */
	if (c->out_len <= AUTH_READ)
		c->out_len += dbus_format_ping(c->out + c->out_len, sizeof(c->out) - c->out_len);
	return 1;
}

/* Works on what has come. 1: something was taken, 0: more is needed. */
static int take_input(struct systemd_call *c, struct err *err)
{
	size_t size;
	int r;

	if (c->skip > 0) { /* of a signal that is larger than our buffer, and not for us */
		size = c->skip < c->in_len ? c->skip : c->in_len;
		c->skip -= size;
		consume(c, size);
		return size > 0;
	}
	if (c->state == STATE_AUTH)
		return on_line(c, err);
	if (c->in_len < DBUS_HEADER)
		return 0;
	size = dbus_message_size(c->in);
	if (size == 0)
		return broken(err);
	if (size > sizeof(c->in)) {
		c->skip = size;
		return 1;
	}
	if (c->in_len < size)
		return 0;
	r = on_message(c, size, err);
	consume(c, size);
	return r < 0 ? r : 1;
}

static int lost(int errnum, struct err *err)
{
	return err_setf(err, ERR_UNAVAILABLE, errnum,
		"systemd: the connection to " SOCKET
		" is gone (%s): it is being restarted; try again",
		strerrorname_np(errnum));
}

/* 1: all is out, 0: later. */
static int flush(struct systemd_call *c, struct err *err)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : lost(errno, err);
		c->out_at += (size_t)n;
	}
	return 1;
}

int systemd_call_step(struct systemd_call *c, struct err *err)
{
	for (;;) {
		ssize_t n;
		int r = flush(c, err);

		if (r < 0)
			return r;
		do {
			r = c->state == STATE_DONE ? 0 : take_input(c, err);
		} while (r > 0 && c->out_at == c->out_len);
		if (r < 0)
			return r;
		if (c->state == STATE_DONE)
			return 1;
		if (r > 0)
			continue; /* there is something to be sent */
		n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
		if (n == 0)
			return lost(ECONNRESET, err);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : lost(errno, err);
		c->in_len += (size_t)n;
	}
}

short systemd_call_events(const struct systemd_call *c)
{
	return (short)(POLLIN | (c->out_at < c->out_len ? POLLOUT : 0));
}

int systemd_call_late(const struct systemd_call *c, struct err *err)
{
	return err_setf(err, ERR_DEADLINE, ETIMEDOUT, "systemd has not answered %s for %s in time",
		c->method, c->unit);
}

int systemd_call_run(struct systemd_call *c, uint64_t deadline_usec, struct err *err)
{
	for (;;) {
		struct pollfd p = {.fd = c->fd};
		uint64_t now = clock_boot_usec(), ms;
		int r = systemd_call_step(c, err);

		if (r != 0)
			return r < 0 ? r : 0;
		if (now >= deadline_usec)
			return systemd_call_late(c, err);
		ms = (deadline_usec - now + 999) / 1000;
		p.events = systemd_call_events(c);
		if (poll(&p, 1, ms > INT_MAX ? INT_MAX : (int)ms) < 0 && errno != EINTR)
			return err_sysf(err, errno, "waiting for systemd");
	}
}

void systemd_call_end(struct systemd_call *c)
{
	fd_close(&c->fd);
}
