/*
 * The settings that are in force for one pod or one command, each with its origin: built-in
 * default < /etc/reaper/reaper.conf < environment < annotation of the pod (which may only narrow).
 * One table (conf/settings_table.h) has every key: name, functions, default, what is allowed, a
 * sentence of help and the moment it takes effect. A new key is one row there and one member here.
 *
 * Anything wrong in the file or the environment is an error for every pod of the node: a node
 * never starts pods with half a configuration.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/reaper_conf.h"
#include "conf/settings_table.h"

/* Which writes share one upper layer. */
enum overlay_isolation { OVERLAY_NODE, OVERLAY_NAMESPACE, OVERLAY_POD };

/* Whether containers with more rights than most write where these read. */
enum overlay_trust { OVERLAY_TRUST_SHARED, OVERLAY_TRUST_SEPARATE };

/* Whether what a container mounts while it runs appears in the other containers of its group. */
enum mounts_reach { MOUNTS_BY_SCOPE, MOUNTS_SHARED, MOUNTS_PRIVATE };

/* Whose resolver configuration a container sees at /etc/resolv.conf. */
enum dns_mode {
	DNS_KUBERNETES, /* what the pod's dnsPolicy says: the file that kubelet mounts */
	DNS_HOST,       /* the host's */
};

/* Whether the site's hidden paths come to the built-in ones or in their place. */
enum filter_mode { FILTER_APPEND, FILTER_REPLACE };

enum upper_boot { UPPER_BOOT_RESET, UPPER_BOOT_KEEP };

enum { SETTING_OVERLAY_NAME_MAX = 253 };

/* Namespaces that a site may force to be the host's for all pods. */
enum {
	HOST_NS_PID = 1 << 0,
	HOST_NS_IPC = 1 << 1,
	HOST_NS_UTS = 1 << 2,
	HOST_NS_NET = 1 << 3,
};

enum containerd_merge { CONTAINERD_MERGE_AUTO, CONTAINERD_MERGE_NO };

/* What happens when a file of the host was replaced and a running pod still holds the old one open,
 * so that the view shows the old one to everybody. */
enum stale_policy {
	STALE_BIND,   /* the new container gets the host's file, bound read-only */
	STALE_WARN,   /* a line in the log */
	STALE_REFUSE, /* the container is not started */
};

enum { SETTING_SIZE_MIN = 1 << 20 };

/* How much of a command the history keeps (recorder/recorder.h). */
enum history_mode {
	HISTORY_NONE,    /* there is no history */
	HISTORY_PROGRAM, /* argv[0] */
	HISTORY_FULL,    /* all of argv, known secrets masked */
};

enum { SETTING_HISTORY_MIN = 64 << 10, SETTING_HISTORY_MAX = 1 << 30 };

/* A size: bytes, or a percentage of the machine's memory if percent > 0. */
struct setting_size {
	uint64_t bytes;
	unsigned percent; /* 1 … 90 */
};

/* A path of the host's /run that appears in the view's /run; one that the host lacks is skipped. */
struct setting_path {
	char *path;    /* absolute, below /run, normalised */
	bool writable; /* ":rw"; needed for nothing but files: connect() works read-only */
};

#define X(KEY, ...) SETTING_##KEY,
enum setting_key { SETTINGS(X) _SETTING_MAX };
#undef X

enum setting_source { SETTING_DEFAULT, SETTING_FILE, SETTING_ENVIRONMENT, SETTING_ANNOTATION };

struct setting_origin {
	enum setting_source source;
	unsigned line; /* SETTING_FILE only */
};

/* When a change takes effect: text in the table, and what a program has to look at. */
enum setting_scope {
	SETTING_AT_CONTAINER, /* next container start */
	SETTING_AT_POD,       /* next pod: read once by the pod's shim */
	SETTING_AT_GROUP,     /* when an overlay group is made, e.g. the node's first pod */
	SETTING_AT_COMMAND,   /* read by reaperctl */
};

struct settings {
	char *overlay_base; /* absolute path, below which the upper layers lie */
	enum overlay_isolation isolation;
	enum overlay_trust trust;
	char *overlay_name;       /* of the pod's annotation; NULL: none */
	enum mounts_reach mounts; /* of the pod's annotation */
	struct setting_size upper_size;
	char *upper_base;   /* absolute path on a disk; NULL: a tmpfs */
	bool upper_no_disk; /* "none": a tmpfs for a pod's own group, too */
	enum upper_boot upper_boot;
	uint64_t upper_size_asked; /* of the pod's annotation, in bytes; 0: none */
	uint64_t upper_inodes;     /* 0: mount/ derives it from the size */
	struct setting_path *run_paths;
	size_t n_run_paths;
	enum dns_mode dns_mode;
	char **submounts;   /* "/scratch=bind", "xfs=layer": rules of mount/submounts.h, checked */
	char **passthrough; /* absolute glob(7) patterns, none below /dev, /proc, /run and /sys */
	enum stale_policy stale;
	bool filter_enabled;
	enum filter_mode filter_mode;
	char **filter_paths, **filter_allowlist; /* patterns of mask/rules.h; NULL: none */
	unsigned host_namespaces;                /* HOST_NS_… */
	bool annotations;                        /* false: a pod that has some is refused */
	enum containerd_merge containerd_merge;
	enum log_level log_level;
	uint64_t exit_grace_ms;
	enum history_mode history;
	char *history_file;     /* NULL: none */
	uint64_t history_bytes; /* after which a new file is begun */
	char *user;             /* by name; only an annotation gives it, NULL: the spec's numbers */

	char *path; /* the file that was read, for settings_origin */
	struct setting_origin origin[_SETTING_MAX];
	char **warnings; /* unknown and former keys: "PATH:LINE: …"; the caller logs them */
};

#define SETTINGS_INIT                 \
	{                             \
		.overlay_base = NULL, \
	}

/* One row per key, in the order of enum setting_key. */
struct setting_info {
	const char *name;    /* "REAPER_UPPER_SIZE" */
	const char *def;     /* as it would be written in the file */
	const char *allowed; /* "bytes with K, M, G or T, or 1% to 90% of the memory" */
	const char *help;    /* one sentence */
	enum setting_scope scope;
};
const struct setting_info *setting_info(enum setting_key key);

/*
 * Works out what is in force. conf_path: NULL = CONF_PATH; a missing file is an empty one. env: an
 * environment vector (environ; NULL = none), of which only the known REAPER_… names are read.
 * annotations: the pod's (NULL = none); only keys of conf/annotations.h count, an unknown
 * reaper.runtime/ key is an error.
 *
 * ERR_INVALID names origin, key, value and what is allowed; ERR_UNIMPLEMENTED a value that this
 * version knows but does not do. On error *ret_settings is untouched.
 */
int settings_load(const char *conf_path, char *const *env, const struct json_pair *annotations,
	size_t n_annotations, struct settings *ret_settings, struct err *err);
void settings_done(struct settings *s);

/* Where the value comes from, in words, in buf: "default", "/etc/reaper/reaper.conf:12",
 * "environment", "annotation". Returns buf. */
const char *settings_origin(const struct settings *s, enum setting_key key, char *buf, size_t size);

/* The value as it would be written in the file, in *ret_text (the caller frees). */
int settings_value(const struct settings *s, enum setting_key key, char **ret_text);

/* Bytes that a size means on a machine with this much memory; at least 1 MiB. */
uint64_t setting_size_bytes(const struct setting_size *size, uint64_t memory_bytes);
