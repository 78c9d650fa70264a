/* A manager of the test's own at the other end of a socket pair. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/macro.h"
#include "systemd/call.h"
#include "systemd/message.h"
#include "systemd/properties.h"

static const struct systemd_scope scope = {"x.scope", "a.slice", "a test"};

struct manager {
	int fd, theirs; /* our end, and the one of the call */
	char in[8192];
	size_t len;
};

static void manager_make(struct manager *m)
{
	int pair[2];

	*m = (struct manager) {.len = 0};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	m->fd = pair[0];
	m->theirs = pair[1];
}

static void take(struct manager *m)
{
	ssize_t n = recv(m->fd, m->in, sizeof(m->in), MSG_DONTWAIT);

	m->len = n > 0 ? (size_t)n : 0;
}

static void say(struct manager *m, const void *data, size_t len)
{
	cr_assert_eq(send(m->fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* The header of an answer: type, and the fields that a client looks at. */
static void answer(struct manager *m, uint8_t type, uint32_t reply_to, const char *member,
	const char *error, const char *signature, const struct dbus_writer *body)
{
	const uint8_t start[4] = {
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B', type, 1, 1};
	uint8_t data[1024];
	struct dbus_writer w = {.data = data, .size = sizeof(data)};
	struct dbus_array fields;
	const struct {
		uint8_t field;
		const char *text;
	} texts[] = {{3, member}, {4, error}};

	memcpy(data, start, sizeof(start));
	w.len = sizeof(start);
	dbus_put_u32(&w, (uint32_t)body->len);
	dbus_put_u32(&w, 77);
	fields = dbus_begin_array(&w, 8);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (!texts[i].text)
			continue;
		dbus_begin_struct(&w);
		w.data[w.len++] = texts[i].field;
		dbus_put_signature(&w, "s");
		dbus_put_string(&w, texts[i].text);
	}
	if (reply_to > 0) {
		dbus_begin_struct(&w);
		w.data[w.len++] = 5;
		dbus_put_signature(&w, "u");
		dbus_put_u32(&w, reply_to);
	}
	dbus_begin_struct(&w);
	w.data[w.len++] = 8;
	dbus_put_signature(&w, "g");
	dbus_put_signature(&w, signature);
	dbus_end_array(&w, fields);
	dbus_begin_struct(&w); /* the body begins at a multiple of 8, too */
	memcpy(w.data + w.len, body->data, body->len);
	say(m, data, w.len + body->len);
}

static void answer_text(struct manager *m, uint8_t type, uint32_t reply_to, const char *error,
	const char *signature, const char *text)
{
	uint8_t data[256];
	struct dbus_writer w = {.data = data, .size = sizeof(data)};

	dbus_put_string(&w, text);
	answer(m, type, reply_to, NULL, error, signature, &w);
}

static void job_removed(struct manager *m, const char *unit, const char *result)
{
	uint8_t data[256];
	struct dbus_writer w = {.data = data, .size = sizeof(data)};

	dbus_put_u32(&w, 9);
	dbus_put_string(&w, "/org/freedesktop/systemd1/job/9");
	dbus_put_string(&w, unit);
	dbus_put_string(&w, result);
	answer(m, DBUS_SIGNAL, 0, "JobRemoved", NULL, "uoss", &w);
}

/* The handshake; afterwards m->in is BEGIN and the request. */
static void let_in(struct manager *m, struct systemd_call *c)
{
	struct err err = ERR_INIT;

	cr_assert_eq(systemd_call_step(c, &err), 0, "%s", err.text);
	take(m);
	cr_assert(m->len > 16 && memcmp(m->in, "\0AUTH EXTERNAL ", 15) == 0);
	say(m, "OK 0123\r\n", 9);
	cr_assert_eq(systemd_call_step(c, &err), 0, "%s", err.text);
	take(m);
	cr_assert(m->len > 7 && memcmp(m->in, "BEGIN\r\n", 7) == 0);
	memmove(m->in, m->in + 7, m->len - 7);
	m->len -= 7;
}

static void expect_request(struct manager *m, const char *member, const char *text)
{
	struct dbus_message request;

	size_t len = dbus_message_size((const uint8_t *)m->in);

	cr_assert(len > 0 && len <= m->len);
	cr_assert(dbus_parse((const uint8_t *)m->in, len, &request));
	cr_assert_eq(request.type, DBUS_CALL);
	cr_assert_str_eq(request.member, member);
	cr_assert(memmem(request.body, request.body_len, text, strlen(text)), "%s", text);
}

static void begin_start(struct manager *m, struct systemd_call *c)
{
	struct err err = ERR_INIT;

	manager_make(m);
	cr_assert_eq(systemd_start_scope(c, m->theirs, &scope, &err), 0, "%s", err.text);
	let_in(m, c);
	expect_request(m, "StartTransientUnit", "Delegate");
}

static void end(struct manager *m, struct systemd_call *c)
{
	systemd_call_end(c);
	close(m->fd);
}

/* systemd takes 256 bytes at once until it has seen BEGIN, and looks at what it has taken too much
 * when more comes. */
Test(systemd, a_short_request_does_not_end_where_systemd_stops_to_read)
{
	static const char *const units[] = {"x.scope", "cri-containerd-0123456789abcdef.scope"};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct manager m;
		static struct systemd_call c;
		struct dbus_message ping;
		struct err err = ERR_INIT;
		size_t len;

		manager_make(&m);
		cr_assert_eq(systemd_stop_unit(&c, m.theirs, units[i], &err), 0, "%s", err.text);
		let_in(&m, &c);
		cr_assert_gt(m.len + 7, 256);
		expect_request(&m, "StopUnit", units[i]);
		len = dbus_message_size((const uint8_t *)m.in);
		cr_assert(dbus_parse((const uint8_t *)m.in + len, m.len - len, &ping));
		cr_assert_str_eq(ping.member, "Ping");
		end(&m, &c);
	}
}

Test(systemd, a_start_is_done_when_its_own_job_is)
{
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	begin_start(&m, &c);
	answer_text(&m, DBUS_RETURN, 1, NULL, "o", "/org/freedesktop/systemd1/job/9");
	job_removed(&m, "other.scope", "failed");
	cr_assert_eq(systemd_call_step(&c, &err), 0, "%s", err.text);
	job_removed(&m, "x.scope", "done");
	cr_assert_eq(systemd_call_step(&c, &err), 1, "%s", err.text);
	end(&m, &c);
}

Test(systemd, a_job_that_is_over_before_the_answer_counts)
{
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	begin_start(&m, &c);
	job_removed(&m, "x.scope", "done");
	cr_assert_eq(systemd_call_step(&c, &err), 0);
	answer_text(&m, DBUS_RETURN, 1, NULL, "o", "/org/freedesktop/systemd1/job/9");
	cr_assert_eq(systemd_call_step(&c, &err), 1);
	end(&m, &c);
}

Test(systemd, a_job_that_fails_is_an_error_that_says_so)
{
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	begin_start(&m, &c);
	answer_text(&m, DBUS_RETURN, 1, NULL, "o", "/org/freedesktop/systemd1/job/9");
	job_removed(&m, "x.scope", "failed");
	cr_assert_lt(systemd_call_step(&c, &err), 0);
	cr_assert_not_null(
		strstr(err.text, "x.scope: the job ended with \"failed\""), "%s", err.text);
	end(&m, &c);
}

Test(systemd, systemds_own_words_are_in_the_error)
{
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	begin_start(&m, &c);
	answer_text(
		&m, DBUS_ERROR, 1, "org.freedesktop.DBus.Error.InvalidArgs", "s", "no such slice");
	cr_assert_lt(systemd_call_step(&c, &err), 0);
	cr_assert_not_null(
		strstr(err.text, "StartTransientUnit x.scope: no such slice"), "%s", err.text);
	end(&m, &c);
}

Test(systemd, a_dead_unit_of_the_same_name_is_reset_once)
{
	static const char exists[] = "org.freedesktop.systemd1.UnitExists";
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	begin_start(&m, &c);
	answer_text(&m, DBUS_ERROR, 1, exists, "s", "there");
	cr_assert_eq(systemd_call_step(&c, &err), 0, "%s", err.text);
	take(&m);
	expect_request(&m, "ResetFailedUnit", "x.scope");
	answer_text(&m, DBUS_ERROR, 2, "org.freedesktop.systemd1.NoSuchUnit", "s", "gone");
	cr_assert_eq(systemd_call_step(&c, &err), 0, "%s", err.text);
	take(&m);
	expect_request(&m, "StartTransientUnit", "x.scope");
	answer_text(&m, DBUS_ERROR, 3, exists, "s", "there");
	cr_assert_eq(systemd_call_step(&c, &err), -EEXIST);
	cr_assert_eq(err.kind, ERR_EXISTS);
	end(&m, &c);
}

Test(systemd, stopping_what_is_not_there_is_done)
{
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	manager_make(&m);
	cr_assert_eq(systemd_stop_unit(&c, m.theirs, "x.scope", &err), 0);
	let_in(&m, &c);
	expect_request(&m, "StopUnit", "x.scope");
	answer_text(&m, DBUS_ERROR, 1, "org.freedesktop.systemd1.NoSuchUnit", "s", "not loaded");
	cr_assert_eq(systemd_call_step(&c, &err), 1);
	end(&m, &c);
}

Test(systemd, every_other_end_of_a_connection_is_an_error)
{
	static const char *const lines[] = {"REJECTED EXTERNAL\r\n", "\r\n"};
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		manager_make(&m);
		cr_assert_eq(systemd_start_scope(&c, m.theirs, &scope, &err), 0);
		cr_assert_eq(systemd_call_step(&c, &err), 0);
		say(&m, lines[i], strlen(lines[i]));
		cr_assert_lt(systemd_call_step(&c, &err), 0);
		end(&m, &c);
	}
	begin_start(&m, &c);
	say(&m, "this is no message at all", 25);
	cr_assert_eq(systemd_call_step(&c, &err), -EPROTO);
	end(&m, &c);
	begin_start(&m, &c);
	close(m.fd);
	cr_assert_eq(systemd_call_step(&c, &err), -ECONNRESET);
	cr_assert_eq(err.kind, ERR_UNAVAILABLE);
	systemd_call_end(&c);
}

Test(systemd, nobody_who_answers_is_a_deadline)
{
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;

	manager_make(&m);
	cr_assert_eq(systemd_start_scope(&c, m.theirs, &scope, &err), 0);
	cr_assert_eq(systemd_call_run(&c, 0, &err), -ETIMEDOUT);
	cr_assert_eq(err.kind, ERR_DEADLINE);
	cr_assert_not_null(strstr(err.text, "StartTransientUnit for x.scope"), "%s", err.text);
	end(&m, &c);
}

Test(systemd, a_signal_larger_than_the_buffer_is_passed_over)
{
	static uint8_t large[3 * SYSTEMD_INPUT_MAX];
	struct manager m;
	static struct systemd_call c;
	struct err err = ERR_INIT;
	uint32_t body = sizeof(large) - DBUS_HEADER;
	size_t at = 0;

	begin_start(&m, &c);
	large[0] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B';
	large[1] = DBUS_SIGNAL;
	large[3] = 1;
	memcpy(large + 4, &body, sizeof(body));
	while (at < sizeof(large)) {
		size_t n = sizeof(large) - at < 5000 ? sizeof(large) - at : 5000;

		say(&m, large + at, n);
		cr_assert_eq(systemd_call_step(&c, &err), 0, "%s", err.text);
		at += n;
	}
	job_removed(&m, "x.scope", "done");
	answer_text(&m, DBUS_RETURN, 1, NULL, "o", "/org/freedesktop/systemd1/job/9");
	cr_assert_eq(systemd_call_step(&c, &err), 1, "%s", err.text);
	end(&m, &c);
}

/* ---- limits as properties ---- */

static struct cgroup one_dir(char *path, bool v2)
{
	struct cgroup cg = {.n = 1};

	cg.dirs[0] = (struct cgroup_dir) {.path = path,
		.keep = 1,
		.controllers = (1U << _CGROUP_CONTROLLER_MAX) - 1,
		.v2 = v2};
	return cg;
}

/* Whether NAME is followed by a variant with this number. */
static bool has_number(const struct dbus_writer *w, const char *name, uint64_t value)
{
	struct dbus_writer want = {.data = (uint8_t[128]) {0}, .size = 128};
	const uint8_t *at = memmem(w->data, w->len, name, strlen(name) + 1);

	if (!at)
		return false;
	at += strlen(name) + 1;
	dbus_put_signature(&want, "t");
	if (memcmp(at, want.data, want.len) != 0)
		return false;
	at = w->data + ((size_t)(at - w->data) + want.len + 7) / 8 * 8;
	return memcmp(at, &value, sizeof(value)) == 0;
}

Test(systemd, limits_are_the_properties_of_their_version)
{
	static char none[] = "/no/such/cgroup";
	uint8_t data[SYSTEMD_BODY_MAX];
	struct cgroup_limits l = {.cpus = "0-2,9"};
	struct err err = ERR_INIT;
	struct dbus_writer w = {.data = data, .size = sizeof(data)};
	struct cgroup cg = one_dir(none, false);
	const uint8_t *mask;

	cgroup_limits_set(&l, CGROUP_CPU_SHARES, 1024);
	cgroup_limits_set(&l, CGROUP_CPU_QUOTA, 10000);
	cgroup_limits_set(&l, CGROUP_CPU_PERIOD, 30000);
	cgroup_limits_set(&l, CGROUP_MEMORY_LIMIT, 4096);
	cgroup_limits_set(&l, CGROUP_PIDS_LIMIT, -1);
	cr_assert_eq(systemd_put_limits(&w, &cg, &l, &err), 5, "%s", err.text);
	cr_assert(has_number(&w, "CPUShares", 1024));
	cr_assert(has_number(&w, "MemoryLimit", 4096));
	cr_assert(has_number(&w, "TasksMax", UINT64_MAX));
	cr_assert(has_number(&w, "CPUQuotaPerSecUSec", 333334));
	cr_assert(has_number(&w, "CPUQuotaPeriodUSec", 30000));
	w.len = 0;
	cg = one_dir(none, true);
	cr_assert_eq(systemd_put_limits(&w, &cg, &l, &err), 6, "%s", err.text);
	cr_assert(has_number(&w, "CPUWeight", cgroup_weight_from_shares(1024)));
	cr_assert(has_number(&w, "MemoryMax", 4096));
	cr_assert(has_number(&w, "CPUQuotaPerSecUSec", 333334));
	mask = memmem(w.data, w.len, "AllowedCPUs", sizeof("AllowedCPUs"));
	cr_assert_not_null(mask);
	/* the signature, the length at a multiple of four, two bytes of bits */
	mask = w.data + ((size_t)(mask - w.data) + sizeof("AllowedCPUs") + 4 + 3) / 4 * 4;
	cr_assert(mask[4] == 0x07 && mask[5] == 0x02);
	cr_assert_not(w.full);
}
