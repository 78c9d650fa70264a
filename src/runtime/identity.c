#include "runtime/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"

enum { FILE_MAX = 1 << 20 }; /* bytes; 65536 groups of ten digits */

void identity_done(struct identity *who)
{
	if (!who)
		return;
	free(who->name);
	free(who->groups);
	free(who->home);
	free(who->shell);
	*who = (struct identity)IDENTITY_INIT;
}

/* ---- what getent says ---- */

/* -1 is "no id" to the kernel. */
static int parse_id(const char *text, uint32_t *ret_id)
{
	uint64_t v;
	int r = text ? num_parse_u64(text, UINT32_MAX - 1, &v) : -EINVAL;

	if (r == 0)
		*ret_id = (uint32_t)v;
	return r;
}

static int parse_passwd(const char *line, struct identity *who, struct err *err)
{
	_cleanup_free_ char *copy = strndup(line, strcspn(line, "\n"));
	char *rest = copy, *field[7] = {NULL};
	size_t n = 0;

	if (!copy)
		return err_sysf(err, ENOMEM, "user");
	while (rest && n < ARRAY_LEN(field))
		field[n++] = strsep(&rest, ":");
	if (n < ARRAY_LEN(field) || rest || str_empty(field[0]) ||
		parse_id(field[2], &who->uid) < 0 || parse_id(field[3], &who->gid) < 0)
		return err_setf(err, ERR_INVALID, EINVAL,
			"getent passwd says \"%.*s\": no line of a passwd file",
			(int)strcspn(line, "\n"), line);
	if (str_dup(&who->name, field[0]) < 0 || str_dup(&who->home, field[5]) < 0 ||
		str_dup(&who->shell, field[6]) < 0)
		return err_sysf(err, ENOMEM, "user");
	return 0;
}

/* "alice      27 100": the name, then numbers. */
static int parse_groups(const char *line, struct identity *who, struct err *err)
{
	_cleanup_free_ char *copy = strndup(line, strcspn(line, "\n"));
	_cleanup_strv_ char **words = NULL;
	size_t n;

	if (!copy || strv_split(&words, copy, " \t") < 0)
		return err_sysf(err, ENOMEM, "groups");
	n = strv_len(words);
	if (n == 0)
		return err_setf(err, ERR_INVALID, EINVAL, "getent initgroups says nothing");
	if (n - 1 > IDENTITY_GROUPS_MAX)
		return err_setf(
			err, ERR_INVALID, E2BIG, "more than %d groups", IDENTITY_GROUPS_MAX);
	who->groups = calloc(n, sizeof(*who->groups));
	if (!who->groups)
		return err_sysf(err, ENOMEM, "groups");
	for (size_t i = 1; i < n; i++) {
		if (parse_id(words[i], &who->groups[who->n_groups++]) < 0)
			return err_setf(err, ERR_INVALID, EINVAL,
				"getent initgroups says \"%.200s\": no list of groups", copy);
	}
	return 0;
}

int identity_parse(
	const char *passwd, const char *initgroups, struct identity *ret_who, struct err *err)
{
	_cleanup_(identity_done) struct identity who = IDENTITY_INIT;
	int r = parse_passwd(passwd, &who, err);

	if (r == 0)
		r = parse_groups(initgroups, &who, err);
	if (r < 0)
		return r;
	*ret_who = who;
	who = (struct identity)IDENTITY_INIT;
	return 0;
}

/* ---- in the bundle ---- */

static struct json_object *groups_object(const struct identity *who)
{
	struct json_object *list = json_new_list();
	int r = 0;

	for (size_t i = 0; i < who->n_groups && r == 0; i++)
		r = json_append_u64(list, who->groups[i]);
	if (r < 0)
		json_object_freep(&list);
	return list;
}

int identity_write(int bundle_fd, const struct identity *who, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (json_put_str(o, "name", who->name) < 0 || json_put_u64(o, "uid", who->uid) < 0 ||
		json_put_u64(o, "gid", who->gid) < 0 || json_put_str(o, "home", who->home) < 0 ||
		json_put_str(o, "shell", who->shell) < 0 ||
		json_put_consume(o, "groups", groups_object(who)) < 0 ||
		json_write(o, JSON_COMPACT, &text, &len) < 0)
		return err_sysf(err, ENOMEM, IDENTITY_FILE);
	return file_replace_at(bundle_fd, IDENTITY_FILE, text, len, 0600, err);
}

/* 1, 0 if something is missing, or -errno. */
static int get_members(const struct json_ref *root, struct identity *who, struct err *err)
{
	int r = json_get_str(root, "name", &who->name, err);

	if (r == 1)
		r = json_get_u32(root, "uid", &who->uid, err);
	if (r == 1)
		r = json_get_u32(root, "gid", &who->gid, err);
	if (r == 1)
		r = json_get_str(root, "home", &who->home, err);
	if (r == 1)
		r = json_get_str(root, "shell", &who->shell, err);
	if (r == 1)
		r = json_get_u32v(
			root, "groups", IDENTITY_GROUPS_MAX, &who->groups, &who->n_groups, err);
	return r;
}

int identity_read(int bundle_fd, struct identity *ret_who, struct err *err)
{
	struct identity who = IDENTITY_INIT;
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = file_read_at(bundle_fd, IDENTITY_FILE, FILE_MAX, &text, &len, err);

	if (r == 0)
		r = json_parse(text, len, IDENTITY_FILE, &root, err);
	if (r < 0)
		return r;
	r = get_members(&root, &who, err);
	if (r == 0)
		r = err_setf(err, ERR_INVALID, EINVAL, IDENTITY_FILE ": a member is missing");
	if (r < 0) {
		identity_done(&who);
		return r;
	}
	*ret_who = who;
	return 0;
}

/* ---- what it means for a process ---- */

static void add_group(struct identity_ids *ids, gid_t gid)
{
	for (size_t i = 0; i < ids->n_groups; i++) {
		if (ids->groups[i] == gid)
			return;
	}
	ids->groups[ids->n_groups++] = gid;
}

int identity_decide(const struct identity *who, const struct oci_process *p,
	struct identity_ids *ret_ids, struct err *err)
{
	struct identity_ids ids = {.uid = p->uid, .gid = p->gid};

	if (p->uid != 0 && p->uid != who->uid)
		return err_setf(err, ERR_PERMISSION, EPERM,
			"annotation reaper.runtime/user: %.100s is user %u, but the pod's spec "
			"says "
			"user %u: an annotation gives no other rights (take one of the two out)",
			who->name, who->uid, p->uid);
	ids.groups = calloc(p->n_additional_gids + who->n_groups + 2, sizeof(*ids.groups));
	if (!ids.groups)
		return err_sysf(err, ENOMEM, "groups");
	if (p->uid == 0) {
		ids.uid = who->uid;
		ids.gid = p->gid != 0 ? p->gid : who->gid;
		add_group(&ids, who->gid);
		for (size_t i = 0; i < who->n_groups; i++)
			add_group(&ids, who->groups[i]);
	}
	for (size_t i = 0; i < p->n_additional_gids; i++) {
		/* CRI lists root's own group for every container that says no user */
		if (p->additional_gids[i] != 0 || ids.uid == 0 || p->uid != 0)
			add_group(&ids, p->additional_gids[i]);
	}
	*ret_ids = ids;
	return 0;
}
