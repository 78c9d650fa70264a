#include "conf/annotations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/macro.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/settings.h"
#include "conf/value.h"

enum { USER_NAME_MAX = 256 }; /* bytes: LOGIN_NAME_MAX */

/* How a parser answers: -EINVAL with what the node allows in *ret_why, or NULL for the table's. */
struct row {
	struct conf_annotation_info info;
	int (*apply)(struct settings *s, const char *value, const char **ret_why);
};

static int apply_exit_grace(struct settings *s, const char *value, const char **ret_why)
{
	uint64_t ms;
	int r = value_parse_time(value, &ms);

	if (r < 0)
		return r;
	if (ms > s->exit_grace_ms) {
		*ret_why = "longer than the node's REAPER_EXIT_GRACE allows";
		return -EINVAL;
	}
	s->exit_grace_ms = ms;
	s->origin[SETTING_EXIT_GRACE] = (struct setting_origin) {.source = SETTING_ANNOTATION};
	return 0;
}

/*
 * As useradd(8) and the directories have them (DOMAIN\\user, user@domain), and nothing that getent
 * takes for an option, a number or part of another record.
 */
static int apply_user(struct settings *s, const char *value, const char **ret_why)
{
	size_t len = strlen(value);
	char *copy;

	if (len == 0 || len > USER_NAME_MAX || strspn(value, "0123456789") == len ||
		strchr("-+", value[0]) || strpbrk(value, " :/,"))
		return -EINVAL;
	(void)ret_why;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(s->user);
	s->user = copy;
	return 0;
}

/* Any text: how a name becomes a file is store/group.h's. */
static int apply_overlay_name(struct settings *s, const char *value, const char **ret_why)
{
	(void)ret_why;
	if (str_empty(value) || strlen(value) > SETTING_OVERLAY_NAME_MAX)
		return -EINVAL;
	free(s->overlay_name);
	s->overlay_name = NULL;
	return str_dup(&s->overlay_name, value);
}

/* Whether it is no more than the node allows depends on the machine's memory: the plan knows. */
static int apply_upper_size(struct settings *s, const char *value, const char **ret_why)
{
	uint64_t bytes;

	(void)ret_why;
	if (num_parse_size(value, &bytes) < 0 || bytes < SETTING_SIZE_MIN || bytes > INT64_MAX)
		return -EINVAL;
	s->upper_size_asked = bytes;
	return 0;
}

static int apply_dns_mode(struct settings *s, const char *value, const char **ret_why)
{
	int r = value_parse_dns_mode(s, value, ret_why);

	if (r == 0)
		s->origin[SETTING_DNS_MODE] =
			(struct setting_origin) {.source = SETTING_ANNOTATION};
	return r;
}

static int apply_mounts(struct settings *s, const char *value, const char **ret_why)
{
	(void)ret_why;
	if (str_eq(value, "shared"))
		s->mounts = MOUNTS_SHARED;
	else if (str_eq(value, "private"))
		s->mounts = MOUNTS_PRIVATE;
	else
		return -EINVAL;
	return 0;
}

/* Names without a function are known to users of other versions: the answer is a clear no. */
static const struct row table[] = {
	{{CONF_ANNOTATION_PREFIX "exit-grace",
		 "a time in ms or s (a bare number: seconds), at most the node's REAPER_EXIT_GRACE",
		 "How long processes that outlive the container's first one have after SIGTERM."},
		apply_exit_grace},
	{{CONF_ANNOTATION_PREFIX "user",
		 "a user's name without blanks, ':', '/' and ',' (a number goes into runAsUser)",
		 "The user by name, from the node's databases: ids, groups, HOME, USER, LOGNAME, "
		 "SHELL. A spec that says a user (runAsUser) must mean the same one."},
		apply_user},
	{{CONF_ANNOTATION_PREFIX "overlay-name", "a name of 1 to 253 bytes",
		 "Only pods of the same scope that give the same name share writes."},
		apply_overlay_name},
	{{CONF_ANNOTATION_PREFIX "mounts", "shared or private",
		 "Whether what a container mounts while it runs appears in the rest of its group "
		 "(default: shared if REAPER_OVERLAY_ISOLATION is node, else private)."},
		apply_mounts},
	{{CONF_ANNOTATION_PREFIX "upper-size",
		 "bytes with K, M, G or T (at least 1M), at most the node's REAPER_UPPER_SIZE",
		 "How much the pod's group may write, for a group that is not all of the node's "
		 "(REAPER_OVERLAY_ISOLATION is namespace or pod, or overlay-name is given)."},
		apply_upper_size},
	{{CONF_ANNOTATION_PREFIX "dns-mode", "kubernetes (or k8s), or host",
		 "Whose /etc/resolv.conf the pod sees, as REAPER_DNS_MODE for the node."},
		apply_dns_mode},
};

const struct conf_annotation_info *conf_annotation_info(size_t i)
{
	return i < ARRAY_LEN(table) ? &table[i].info : NULL;
}

static int apply_one(struct settings *s, const struct json_pair *a, struct err *err)
{
	const struct row *row = NULL;
	const char *why = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(table) && !row; i++) {
		if (str_eq(table[i].info.name, a->key))
			row = &table[i];
	}
	if (!s->annotations) {
		char where[256];

		return err_setf(err, ERR_PERMISSION, EPERM,
			"annotation %.100s: this node takes no annotations "
			"(REAPER_ANNOTATIONS_ENABLED, %s): remove it",
			a->key, settings_origin(s, SETTING_ANNOTATIONS, where, sizeof(where)));
	}
	if (!row)
		return err_setf(err, ERR_INVALID, EINVAL,
			"annotation %.100s: unknown: remove it, or look for a spelling mistake",
			a->key);
	if (!row->apply)
		return err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP,
			"annotation %s: not supported by this version of Reaper: remove it",
			a->key);
	for (const char *c = a->value; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f) /* it is going to be part of a line */
			return err_setf(err, ERR_INVALID, EINVAL,
				"annotation %s: a control character is in the value", a->key);
	}
	r = row->apply(s, a->value, &why);
	if (r == -ENOMEM)
		return err_sysf(err, ENOMEM, "annotation %s", a->key);
	if (r < 0)
		return err_setf(err, ERR_INVALID, EINVAL, "annotation %s: \"%.80s\": %s%s", a->key,
			a->value, why ? "" : "must be ", why ? why : row->info.allowed);
	return 0;
}

int conf_annotations_apply(
	struct settings *s, const struct json_pair *annotations, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r;

		if (!str_has_prefix(annotations[i].key, CONF_ANNOTATION_PREFIX))
			continue;
		r = apply_one(s, &annotations[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}
