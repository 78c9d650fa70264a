/*
 * The node's policy: which containers may start here, and what is forced on them. Rules stand in
 * /etc/reaper/policy.d/NAME.conf and are read in the order of the files' names; docs/POLICY.md
 * describes the format. Deciding is pure; only policy_load looks at files.
 *
 * A rule says [allow], [deny] or [force]. The first allow or deny whose conditions all hold
 * decides; force rules that come before it count too, and the first one that gives a value wins. No
 * rule that decides: allowed, as Kubernetes says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

#define POLICY_DIR "/etc/reaper/policy.d"

enum {
	POLICY_FILES_MAX = 256,
	POLICY_RULES_MAX = 4096,
};

enum policy_action { POLICY_ALLOW, POLICY_DENY, POLICY_FORCE };

/* The host's namespaces that a container is in. */
enum {
	POLICY_HOST_PID = 1 << 0,
	POLICY_HOST_IPC = 1 << 1,
	POLICY_HOST_UTS = 1 << 2,
	POLICY_HOST_NETWORK = 1 << 3,
};

enum policy_answer { POLICY_ANY, POLICY_YES, POLICY_NO };

struct policy_range {
	uint32_t first, last;
};

/* Conditions that are empty always hold; of several words in one, one is enough. */
struct policy_rule {
	enum policy_action action;
	char *file;
	unsigned line; /* of its [action] */

	char **namespaces, **pods, **commands; /* globs */
	struct policy_range *uids;
	size_t n_uids;
	unsigned scopes; /* bits 1 << enum overlay_isolation */
	unsigned hosts;  /* POLICY_HOST_… */
	enum policy_answer privileged;
	uint64_t caps;

	char *message; /* POLICY_DENY, NULL: none */

	/* POLICY_FORCE */
	bool has_user, no_new_privileges, private_mounts;
	uid_t uid;
	gid_t gid;
	uint64_t drop_caps;
};

struct policy {
	struct policy_rule *v;
	size_t n;
};

#define POLICY_INIT        \
	{                  \
		.v = NULL, \
	}

/* What a rule is compared with: one process that is to start. Borrowed. */
struct policy_subject {
	const char *ns, *pod; /* NULL: not started by Kubernetes; no namespace or pod rule holds */
	const char *command;  /* argv[0] as written */
	uid_t uid;            /* that it would have without a rule */
	unsigned scope;       /* enum overlay_isolation */
	unsigned hosts;       /* POLICY_HOST_… */
	bool privileged;
	uint64_t caps; /* its bounding set */
};

struct policy_decision {
	const struct policy_rule *rule; /* the one that decided; NULL: none did */
	const struct policy_rule *user; /* the one that forces the user; NULL: none */
	bool no_new_privileges, private_mounts;
	uint64_t drop_caps;
};

/*
 * Adds the rules of one file. `path` names it in errors ("/etc/reaper/policy.d/10-site.conf:12: …",
 * ERR_INVALID). On an error *policy has the rules up to there: throw it away.
 */
int policy_parse(
	struct policy *policy, const char *text, size_t len, const char *path, struct err *err);

/*
 * All files of a directory (NULL: POLICY_DIR), whose names end in .conf and do not begin with a
 * dot, in the order of strcmp. A directory that does not exist has no rules. ERR_PRECONDITION for a
 * file or a directory that others than root (or the caller) own or may write: it decides what root
 * does here.
 */
int policy_load(const char *dir, struct policy *ret_policy, struct err *err);
void policy_done(struct policy *policy);

/* What the rules say. Pure, does not fail. */
struct policy_decision policy_decide(
	const struct policy *policy, const struct policy_subject *subject);

/* The refusal, if it is one: ERR_PERMISSION with file, line and message; else 0. */
int policy_refusal(const struct policy_decision *decision, const struct policy_subject *subject,
	struct err *err);

/* "allow", "deny", "force". */
const char *policy_action_name(enum policy_action action);
