#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/reaper_conf.h"
#include "conf/settings.h"
#include "confine/caps.h"
#include "policy/policy.h"

/* ---- values: 0, -EINVAL, -ENOMEM ---- */

static int parse_words(char ***ret_v, const char *text)
{
	int r = strv_split(ret_v, text, " \t");

	return r < 0 || strv_len(*ret_v) > 0 ? r : -EINVAL;
}

/* Behind a '[': the class's end, or NULL. */
static const char *skip_class(const char *p)
{
	p += *p == '^';
	do {
		if (*p == '\0' || *p == ']' || *p == '-')
			return NULL;
		for (int ends = 0; ends < 2; ends++) {
			p += *p == '\\';
			if (*p == '\0' || (ends > 0 && *p == ']'))
				return NULL;
			p++;
			if (*p != '-' || ends > 0)
				break;
			p++;
		}
	} while (*p != ']');
	return p;
}

/* One that glob_match can never find anything with would be a rule that never holds. */
static bool is_pattern(const char *p)
{
	while (p && *p) {
		bool class = *p == '[';

		if (*p == '\\' && *++p == '\0')
			return false;
		p++;
		if (class) {
			p = skip_class(p);
			p += p != NULL;
		}
	}
	return p != NULL;
}

static int parse_patterns(char ***ret_v, const char *text)
{
	int r = parse_words(ret_v, text);

	for (size_t i = 0; r == 0 && (*ret_v)[i]; i++)
		r = is_pattern((*ret_v)[i]) ? 0 : -EINVAL;
	return r;
}

static int parse_namespaces(struct policy_rule *r, const char *text)
{
	return parse_patterns(&r->namespaces, text);
}

static int parse_pods(struct policy_rule *r, const char *text)
{
	return parse_patterns(&r->pods, text);
}

static int parse_commands(struct policy_rule *r, const char *text)
{
	return parse_patterns(&r->commands, text);
}

/* "1000" or "1000-1999"; the last id is that of nobody at all. */
static int parse_range(char *word, struct policy_range *range)
{
	char *dash = strchr(word, '-');
	uint64_t first, last;

	if (dash)
		*dash = '\0';
	if (num_parse_u64(word, UINT32_MAX - 1, &first) < 0)
		return -EINVAL;
	last = first;
	if (dash && num_parse_u64(dash + 1, UINT32_MAX - 1, &last) < 0)
		return -EINVAL;
	if (last < first)
		return -EINVAL;
	*range = (struct policy_range) {(uint32_t)first, (uint32_t)last};
	return 0;
}

static int parse_uids(struct policy_rule *rule, const char *text)
{
	_cleanup_strv_ char **words = NULL;
	int r = parse_words(&words, text);

	if (r < 0)
		return r;
	rule->uids = calloc(strv_len(words), sizeof(*rule->uids));
	if (!rule->uids)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && words[i]; i++)
		r = parse_range(words[i], &rule->uids[rule->n_uids++]);
	return r;
}

/* The bits of words in a list, by their place in it. */
static int parse_bits(const char *const *list, unsigned *ret_bits, const char *text)
{
	_cleanup_strv_ char **words = NULL;
	int r = parse_words(&words, text);

	for (size_t i = 0; r == 0 && words[i]; i++) {
		unsigned n = 0;

		while (list[n] && !str_eq(list[n], words[i]))
			n++;
		if (!list[n])
			return -EINVAL;
		*ret_bits |= 1U << n;
	}
	return r;
}

static int parse_scopes(struct policy_rule *r, const char *text)
{
	static const char *const words[] = {[OVERLAY_NODE] = "node",
		[OVERLAY_NAMESPACE] = "namespace",
		[OVERLAY_POD] = "pod",
		NULL};

	return parse_bits(words, &r->scopes, text);
}

static int parse_hosts(struct policy_rule *r, const char *text)
{
	/* in the order of POLICY_HOST_… */
	static const char *const words[] = {"pid", "ipc", "uts", "net", NULL};

	return parse_bits(words, &r->hosts, text);
}

static int parse_bool(const char *text, bool *ret)
{
	*ret = str_eq(text, "true");
	return *ret || str_eq(text, "false") ? 0 : -EINVAL;
}

static int parse_privileged(struct policy_rule *rule, const char *text)
{
	bool yes;
	int r = parse_bool(text, &yes);

	rule->privileged = yes ? POLICY_YES : POLICY_NO;
	return r;
}

static int parse_caps(uint64_t *ret_set, const char *text)
{
	_cleanup_strv_ char **words = NULL;
	int r = parse_words(&words, text);

	for (size_t i = 0; r == 0 && words[i]; i++) {
		if (str_eq(words[i], "all"))
			*ret_set = UINT64_MAX;
		else
			r = confine_caps_add(ret_set, words[i], NULL);
	}
	return r;
}

static int parse_capability(struct policy_rule *r, const char *text)
{
	return parse_caps(&r->caps, text);
}

static int parse_message(struct policy_rule *r, const char *text)
{
	if (str_empty(text))
		return -EINVAL;
	r->message = strdup(text);
	return r->message ? 0 : -ENOMEM;
}

static int parse_user(struct policy_rule *rule, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *colon = copy ? strchr(copy, ':') : NULL;
	uint64_t uid, gid;

	if (!copy)
		return -ENOMEM;
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	if (num_parse_u64(copy, UINT32_MAX - 1, &uid) < 0 ||
		num_parse_u64(colon + 1, UINT32_MAX - 1, &gid) < 0)
		return -EINVAL;
	rule->has_user = true;
	rule->uid = (uid_t)uid;
	rule->gid = (gid_t)gid;
	return 0;
}

static int parse_no_new_privileges(struct policy_rule *r, const char *text)
{
	r->no_new_privileges = true;
	return str_eq(text, "true") ? 0 : -EINVAL;
}

static int parse_mounts(struct policy_rule *r, const char *text)
{
	r->private_mounts = true;
	return str_eq(text, "private") ? 0 : -EINVAL;
}

static int parse_drop(struct policy_rule *r, const char *text)
{
	return parse_caps(&r->drop_caps, text);
}

/* ---- the keys ---- */

enum {
	IN_ALL = 1 << POLICY_ALLOW | 1 << POLICY_DENY | 1 << POLICY_FORCE,
	IN_DENY = 1 << POLICY_DENY,
	IN_FORCE = 1 << POLICY_FORCE,
};

static const struct {
	const char *name;
	unsigned in; /* the actions that take it */
	int (*parse)(struct policy_rule *r, const char *text);
	const char *allowed;
} keys[] = {
	{"namespace", IN_ALL, parse_namespaces, "patterns with * ? [ ], blanks between"},
	{"pod", IN_ALL, parse_pods, "patterns with * ? [ ], blanks between"},
	{"uid", IN_ALL, parse_uids, "numbers and ranges (1000-1999), blanks between"},
	{"command", IN_ALL, parse_commands, "patterns with * ? [ ], blanks between"},
	{"scope", IN_ALL, parse_scopes, "some of node, namespace, pod"},
	{"host", IN_ALL, parse_hosts, "some of pid, ipc, uts, net"},
	{"privileged", IN_ALL, parse_privileged, "true or false"},
	{"capability", IN_ALL, parse_capability, "names like CAP_SYS_ADMIN, or all"},
	{"message", IN_DENY, parse_message, "a text"},
	{"user", IN_FORCE, parse_user, "UID:GID, two numbers"},
	{"no_new_privileges", IN_FORCE, parse_no_new_privileges, "true"},
	{"mounts", IN_FORCE, parse_mounts, "private"},
	{"drop_capabilities", IN_FORCE, parse_drop, "names like CAP_SYS_ADMIN, or all"},
};

static int apply(struct policy_rule *rule, const struct conf_entry *e, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		int r;

		if (!str_eq(keys[i].name, e->key))
			continue;
		if (!(keys[i].in & 1U << rule->action))
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s:%u: %s: not in a rule that says %s", rule->file, e->line,
				e->key, policy_action_name(rule->action));
		r = keys[i].parse(rule, e->value);
		if (r == -ENOMEM)
			return err_sysf(err, ENOMEM, "%s", rule->file);
		if (r < 0)
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s:%u: %s: \"%.200s\": must be %s", rule->file, e->line, e->key,
				e->value, keys[i].allowed);
		return 0;
	}
	return err_setf(err, ERR_INVALID, EINVAL, "%s:%u: %.200s: no rule has such a key",
		rule->file, e->line, e->key);
}

/* ---- sections ---- */

static void rule_done(struct policy_rule *r)
{
	free(r->file);
	strv_free(r->namespaces);
	strv_free(r->pods);
	strv_free(r->commands);
	free(r->uids);
	free(r->message);
}

void policy_done(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->n; i++)
		rule_done(&policy->v[i]);
	free(policy->v);
	*policy = (struct policy)POLICY_INIT;
}

/* Where the text goes on behind this line. */
static const char *line_end(const char *p, const char *end)
{
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	return newline ? newline + 1 : end;
}

/* A header begins with '[', also behind blanks. */
static bool is_header(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p < end && *p == '[';
}

static int header_action(const char *p, const char *end, enum policy_action *ret_action)
{
	static const char blanks[] = " \t\r\n";

	while (p < end && strchr(blanks, *p))
		p++;
	while (end > p && strchr(blanks, end[-1]))
		end--;
	for (int a = POLICY_ALLOW; a <= POLICY_FORCE; a++) {
		const char *name = policy_action_name((enum policy_action)a);
		size_t len = strlen(name);

		if ((size_t)(end - p) == len + 2 && strncmp(p + 1, name, len) == 0 &&
			end[-1] == ']') {
			*ret_action = (enum policy_action)a;
			return 0;
		}
	}
	return -EINVAL;
}

static int add_rule(struct policy *policy, const struct reaper_conf *conf,
	enum policy_action action, const char *path, unsigned line, struct err *err)
{
	struct policy_rule *grown, *rule;
	int r = 0;

	if (policy->n == POLICY_RULES_MAX)
		return err_setf(err, ERR_INVALID, E2BIG, "%s:%u: more than %d rules", path, line,
			POLICY_RULES_MAX);
	grown = reallocarray(policy->v, policy->n + 1, sizeof(*policy->v));
	if (!grown)
		return err_sysf(err, ENOMEM, "%s", path);
	policy->v = grown;
	rule = &policy->v[policy->n++];
	*rule = (struct policy_rule) {.action = action, .file = strdup(path), .line = line};
	if (!rule->file)
		return err_sysf(err, ENOMEM, "%s", path);
	for (size_t i = 0; r == 0 && i < conf->n; i++)
		r = apply(rule, &conf->v[i], err);
	if (r == 0 && action == POLICY_FORCE && !rule->has_user && !rule->no_new_privileges &&
		!rule->private_mounts && !rule->drop_caps)
		return err_setf(err, ERR_INVALID, EINVAL,
			"%s:%u: [force] forces nothing: it needs user, no_new_privileges, "
			"mounts or drop_capabilities",
			path, line);
	return r;
}

int policy_parse(
	struct policy *policy, const char *text, size_t len, const char *path, struct err *err)
{
	const char *p = text, *end = text + len;
	enum policy_action action = POLICY_ALLOW;
	unsigned line = 1, header = 0; /* 0: what stands before the first rule */

	if (len > CONF_FILE_MAX)
		return err_setf(
			err, ERR_INVALID, EFBIG, "%s: larger than %d bytes", path, CONF_FILE_MAX);
	for (;;) {
		_cleanup_(reaper_conf_done) struct reaper_conf conf = REAPER_CONF_INIT;
		const char *body = p;
		unsigned first = line;
		int r;

		for (; p < end && !is_header(p, end); p = line_end(p, end))
			line++;
		r = reaper_conf_parse_from(body, (size_t)(p - body), path, first, &conf, err);
		if (r < 0)
			return r;
		if (header == 0 && conf.n > 0)
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s:%u: %.200s: stands before the first [allow], [deny] or [force]",
				path, conf.v[0].line, conf.v[0].key);
		if (header > 0)
			r = add_rule(policy, &conf, action, path, header, err);
		if (r < 0 || p == end)
			return r;
		if (header_action(p, line_end(p, end), &action) < 0)
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s:%u: a rule begins with [allow], [deny] or [force]", path, line);
		header = line++;
		p = line_end(p, end);
	}
}
