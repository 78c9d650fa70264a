#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/fields.h"
#include "oci/spec.h"

#define FIELD(name, kind, member, ...)                                      \
	{                                                                   \
		.key = (name), .type = OCI_FIELD_##kind,                    \
		.offset = offsetof(struct oci_process, member), __VA_ARGS__ \
	}

static int parse_user(const struct json_ref *process, struct oci_process *p, struct err *err)
{
	struct json_ref user;
	uint64_t uid = 0, gid = 0, umask = 0;
	int r = json_get_object(process, "user", &user, err);

	if (r <= 0)
		return r;
	/* the last number is "no change" for setresuid(2) */
	r = json_get_u64(&user, "uid", 0, UINT32_MAX - 1, &uid, err);
	if (r >= 0)
		r = json_get_u64(&user, "gid", 0, UINT32_MAX - 1, &gid, err);
	if (r >= 0)
		r = json_get_str(&user, "username", &p->username, err);
	if (r >= 0)
		r = json_get_u32v(&user, "additionalGids", OCI_GROUPS_MAX, &p->additional_gids,
			&p->n_additional_gids, err);
	if (r >= 0)
		r = json_get_u64(&user, "umask", 0, 0777, &umask, err);
	if (r < 0)
		return r;
	p->has_umask = r > 0;
	p->umask = (mode_t)umask;
	p->uid = (uid_t)uid;
	p->gid = (gid_t)gid;
	return 0;
}

static int parse_console(const struct json_ref *process, struct oci_process *p, struct err *err)
{
	struct json_ref size;
	uint64_t width = 0, height = 0;
	int r = json_get_object(process, "consoleSize", &size, err);

	if (r <= 0)
		return r;
	r = json_get_u64(&size, "width", 0, UINT16_MAX, &width, err);
	if (r >= 0)
		r = json_get_u64(&size, "height", 0, UINT16_MAX, &height, err);
	if (r < 0)
		return r;
	p->console_width = (uint16_t)width;
	p->console_height = (uint16_t)height;
	return 0;
}

static int parse_capabilities(
	const struct json_ref *process, struct oci_process *p, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("bounding", STRV, caps[OCI_CAP_BOUNDING], .max = OCI_LIST_MAX),
		FIELD("effective", STRV, caps[OCI_CAP_EFFECTIVE], .max = OCI_LIST_MAX),
		FIELD("inheritable", STRV, caps[OCI_CAP_INHERITABLE], .max = OCI_LIST_MAX),
		FIELD("permitted", STRV, caps[OCI_CAP_PERMITTED], .max = OCI_LIST_MAX),
		FIELD("ambient", STRV, caps[OCI_CAP_AMBIENT], .max = OCI_LIST_MAX),
	};
	struct json_ref caps;
	int r = json_get_object(process, "capabilities", &caps, err);

	if (r <= 0)
		return r;
	p->has_capabilities = true;
	return oci_fields_parse(&caps, fields, ARRAY_LEN(fields), p, err);
}

static int parse_rlimit(const struct json_ref *e, void *element, struct err *err)
{
	static const struct oci_field fields[] = {
		{.key = "type",
			.type = OCI_FIELD_STR,
			.offset = offsetof(struct oci_rlimit, type),
			.required = true},
	};
	struct oci_rlimit *l = element;
	int r = oci_fields_parse(e, fields, ARRAY_LEN(fields), l, err);

	if (r < 0)
		return r;
	/* left out is not zero: nobody means RLIMIT_NOFILE 0 */
	r = json_get_u64(e, "soft", 0, UINT64_MAX, &l->soft, err);
	if (r == 0)
		return oci_field_errorf(e, "soft", err, "missing");
	if (r > 0)
		r = json_get_u64(e, "hard", 0, UINT64_MAX, &l->hard, err);
	if (r == 0)
		return oci_field_errorf(e, "hard", err, "missing");
	return r;
}

static int parse_io_priority(const struct json_ref *process, struct oci_process *p, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("class", STR, io_class, .required = true),
	};
	struct json_ref io;
	int64_t priority = 0;
	int r = json_get_object(process, "ioPriority", &io, err);

	if (r <= 0)
		return r;
	r = oci_fields_parse(&io, fields, ARRAY_LEN(fields), p, err);
	if (r >= 0)
		r = json_get_i64(&io, "priority", 0, 7, &priority, err);
	if (r < 0)
		return r;
	p->io_priority = (int)priority;
	return 0;
}

static int parse_scheduler(const struct json_ref *process, struct oci_process *p, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("policy", STR, scheduler.policy, .required = true),
		FIELD("flags", STRV, scheduler.flags, .max = OCI_LIST_MAX),
	};
	struct oci_scheduler *s = &p->scheduler;
	struct json_ref sched;
	int64_t nice = 0, priority = 0;
	int r = json_get_object(process, "scheduler", &sched, err);

	if (r <= 0)
		return r;
	s->present = true;
	r = oci_fields_parse(&sched, fields, ARRAY_LEN(fields), p, err);
	if (r >= 0)
		r = json_get_i64(&sched, "nice", -20, 19, &nice, err);
	if (r >= 0)
		r = json_get_i64(&sched, "priority", 0, 99, &priority, err);
	if (r >= 0)
		r = json_get_u64(&sched, "runtime", 0, UINT64_MAX, &s->runtime, err);
	if (r >= 0)
		r = json_get_u64(&sched, "deadline", 0, UINT64_MAX, &s->deadline, err);
	if (r >= 0)
		r = json_get_u64(&sched, "period", 0, UINT64_MAX, &s->period, err);
	if (r < 0)
		return r;
	s->nice = (int32_t)nice;
	s->priority = (int32_t)priority;
	return 0;
}

static int parse_exec_cpus(const struct json_ref *process, struct oci_process *p, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("initial", STR, cpus_initial),
		FIELD("final", STR, cpus_final),
	};
	struct json_ref cpus;
	int r = json_get_object(process, "execCPUAffinity", &cpus, err);

	return r <= 0 ? r : oci_fields_parse(&cpus, fields, ARRAY_LEN(fields), p, err);
}

static int parse_oom_score_adj(
	const struct json_ref *process, struct oci_process *p, struct err *err)
{
	int64_t adj = 0;
	int r = json_get_i64(process, "oomScoreAdj", -1000, 1000, &adj, err);

	if (r > 0) {
		p->has_oom_score_adj = true;
		p->oom_score_adj = (int)adj;
	}
	return r;
}

static int parse_rlimits(const struct json_ref *process, struct oci_process *p, struct err *err)
{
	return oci_array_parse(process, "rlimits", OCI_LIST_MAX, sizeof(*p->rlimits), parse_rlimit,
		(void **)&p->rlimits, &p->n_rlimits, err);
}

int oci_process_fill(const struct json_ref *object, struct oci_process *p, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD("terminal", BOOL, terminal),
		FIELD("args", STRV, args, .max = OCI_ARGS_MAX),
		FIELD("env", STRV, env, .max = OCI_ARGS_MAX),
		FIELD("cwd", STR, cwd),
		FIELD("noNewPrivileges", BOOL, no_new_privileges),
		FIELD("apparmorProfile", STR, apparmor_profile),
		FIELD("selinuxLabel", STR, selinux_label),
	};
	static int (*const parts[])(
		const struct json_ref *process, struct oci_process *p, struct err *err) = {
		parse_user,
		parse_console,
		parse_capabilities,
		parse_rlimits,
		parse_oom_score_adj,
		parse_io_priority,
		parse_scheduler,
		parse_exec_cpus,
	};
	int r = oci_fields_parse(object, fields, ARRAY_LEN(fields), p, err);

	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(parts); i++)
		r = parts[i](object, p, err);
	return r < 0 ? r : 0;
}

int oci_process_parse(
	const char *text, size_t len, struct oci_process *ret_process, struct err *err)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_(oci_process_done) struct oci_process p = OCI_PROCESS_INIT;
	int r;

	if (len > OCI_CONFIG_MAX)
		return err_setf(err, ERR_INVALID, EFBIG, "process: %zu bytes, the limit is %d", len,
			OCI_CONFIG_MAX);
	r = json_parse(text, len, "process", &root, err);
	if (r == 0)
		r = oci_process_fill(&root, &p, err);
	if (r == 0)
		r = oci_process_check(&p, err);
	if (r < 0)
		return r;
	*ret_process = p;
	p = (struct oci_process)OCI_PROCESS_INIT;
	return 0;
}

void oci_process_done(struct oci_process *process)
{
	struct oci_process *p = process;

	if (!p)
		return;
	free(p->additional_gids);
	(void)strv_free(p->args);
	(void)strv_free(p->env);
	free(p->cwd);
	free(p->username);
	for (size_t i = 0; i < ARRAY_LEN(p->caps); i++)
		(void)strv_free(p->caps[i]);
	for (size_t i = 0; i < p->n_rlimits; i++)
		free(p->rlimits[i].type);
	free(p->rlimits);
	free(p->apparmor_profile);
	free(p->selinux_label);
	free(p->io_class);
	free(p->cpus_initial);
	free(p->cpus_final);
	free(p->scheduler.policy);
	(void)strv_free(p->scheduler.flags);
	*p = (struct oci_process)OCI_PROCESS_INIT;
}
