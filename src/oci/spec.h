/*
 * A bundle's config.json as plain data: everything that containerd's CRI plugin and ctr put there
 * and that the runtime honours or refuses. Parsing knows types, ranges and limits; oci_spec_check
 * knows which combinations are valid and names what this runtime refuses; nothing here knows how
 * anything is applied.
 *
 * Rules: OCI runtime-spec 1.2 config.md and config-linux.md. Unknown members are ignored, as the
 * specification demands. root.path is ignored: the workload's root is the host's view.
 *
 * Every struct starts as all zeroes (`struct oci_spec spec = OCI_SPEC_INIT`) and owns what it
 * points to; oci_…_done frees it, also half-filled and twice. Vectors are NULL-terminated
 * (base/str.h), NULL is the empty one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/json.h"

enum {
	OCI_CONFIG_MAX = 16 << 20, /* bytes of config.json; also of a process object */
	OCI_ARGS_MAX = 65536,      /* argv and envp, each */
	OCI_MOUNTS_MAX = 4096,
	OCI_ANNOTATIONS_MAX = 4096,
	OCI_LIST_MAX = 1024,    /* every other list */
	OCI_GROUPS_MAX = 65536, /* NGROUPS_MAX */
};

/* A number that may be left out: 0 is not "not given". */
struct oci_u64 {
	bool set;
	uint64_t v;
};
struct oci_i64 {
	bool set;
	int64_t v;
};

/* ---- process ---- */

enum oci_capset {
	OCI_CAP_BOUNDING,
	OCI_CAP_EFFECTIVE,
	OCI_CAP_INHERITABLE,
	OCI_CAP_PERMITTED,
	OCI_CAP_AMBIENT,
	_OCI_CAP_MAX
};

struct oci_rlimit {
	char *type; /* "RLIMIT_NOFILE" */
	uint64_t soft, hard;
};

struct oci_scheduler {
	bool present;
	char *policy; /* "SCHED_OTHER", … */
	int32_t nice, priority;
	char **flags;
	uint64_t runtime, deadline, period; /* nanoseconds, SCHED_DEADLINE only */
};

struct oci_process {
	bool terminal;
	uint16_t console_width, console_height; /* 0 = not given */
	uid_t uid;
	gid_t gid;
	char *username; /* of Windows; refused */
	bool has_umask;
	mode_t umask;
	bool has_oom_score_adj;
	int oom_score_adj; /* -1000 … 1000 */
	bool no_new_privileges;
	bool has_capabilities; /* false: none at all, as for runc */
	int io_priority;       /* with io_class */

	char **caps[_OCI_CAP_MAX]; /* "CAP_CHOWN" …: confine/ maps the names */
	gid_t *additional_gids;
	size_t n_additional_gids;
	char **args, **env;
	char *cwd; /* absolute */
	struct oci_rlimit *rlimits;
	size_t n_rlimits;
	char *apparmor_profile; /* NULL or not empty */
	char *selinux_label;
	char *io_class;                  /* "IOPRIO_CLASS_BE" …, NULL: not given */
	char *cpus_initial, *cpus_final; /* execCPUAffinity: lists as the kernel writes them */
	struct oci_scheduler scheduler;
};

/* ---- mounts, hooks ---- */

struct oci_mount {
	char *destination; /* as written; absolute is oci_spec_check's rule */
	char *type;        /* NULL when left out */
	char *source;
	char **options;       /* verbatim */
	bool has_id_mappings; /* uidMappings or gidMappings are there */
};

enum oci_hook_point {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
	_OCI_HOOK_MAX
};

struct oci_hook {
	char *path;
	char **args, **env;
	unsigned timeout_s; /* 0 = none */
};

struct oci_hooks {
	struct oci_hook *v;
	size_t n;
};

/* ---- linux ---- */

enum oci_namespace_type {
	OCI_NS_PID,
	OCI_NS_NETWORK,
	OCI_NS_MOUNT,
	OCI_NS_IPC,
	OCI_NS_UTS,
	OCI_NS_USER,
	OCI_NS_CGROUP,
	OCI_NS_TIME,
	_OCI_NS_MAX
};

struct oci_namespace {
	bool present; /* false: the host's is used */
	char *path;   /* NULL: a new one; else the file of the one to join */
};

struct oci_id_mapping {
	uint32_t container_id, host_id, size;
};
struct oci_id_mappings {
	struct oci_id_mapping *v;
	size_t n;
};

struct oci_device {
	char *path;
	char type; /* 'c', 'b', 'u', 'p' */
	uint32_t major, minor;
	bool has_mode;
	mode_t mode; /* permission bits */
	uid_t uid;   /* 0 when left out */
	gid_t gid;
};

/* One rule of the device controller; later rules win. */
struct oci_device_rule {
	bool allow;
	char type;            /* 'a' (all), 'c', 'b' */
	int64_t major, minor; /* -1: any */
	char access[4];       /* some of "rwm" */
};

struct oci_hugepage_limit {
	char *page_size; /* "2MB" */
	uint64_t limit;  /* bytes */
};

struct oci_block_device {
	uint32_t major, minor;
	uint64_t value; /* weight, or rate per second */
};
struct oci_block_devices {
	struct oci_block_device *v;
	size_t n;
};

/* One member of linux.resources.rdma. */
struct oci_rdma {
	char *device;
	struct oci_u64 hca_handles, hca_objects;
};

/* Cgroup limits, as the specification has them; unset = leave alone. -1 means unlimited. */
struct oci_resources {
	struct oci_device_rule *devices;
	size_t n_devices;

	struct oci_i64 memory_limit, memory_reservation, memory_swap;
	struct oci_i64 memory_kernel, memory_kernel_tcp;
	struct oci_u64 memory_swappiness;
	bool memory_disable_oom_killer;

	struct oci_u64 cpu_shares, cpu_period, cpu_burst, cpu_rt_period; /* periods: usec */
	struct oci_i64 cpu_quota, cpu_rt_runtime, cpu_idle;
	char *cpu_cpus, *cpu_mems;

	struct oci_i64 pids_limit;

	struct oci_hugepage_limit *hugepages;
	size_t n_hugepages;

	struct oci_u64 blkio_weight, blkio_leaf_weight;
	struct oci_block_devices blkio_weight_device, blkio_read_bps, blkio_write_bps,
		blkio_read_iops, blkio_write_iops;

	struct oci_rdma *rdma;
	size_t n_rdma;

	bool has_network; /* net_cls, net_prio: refused by name */

	struct json_pair *unified; /* cgroup v2 file → text */
	size_t n_unified;
};

struct oci_annotations {
	struct json_pair *v;
	size_t n;
};

struct oci_spec {
	char *version; /* ociVersion */
	bool has_process;
	struct oci_process process;
	bool has_root;
	bool root_readonly;
	char *hostname, *domainname;
	struct oci_mount *mounts;
	size_t n_mounts;
	struct oci_hooks hooks[_OCI_HOOK_MAX];
	struct oci_annotations annotations;

	struct oci_namespace namespaces[_OCI_NS_MAX];
	struct oci_id_mappings uid_mappings, gid_mappings;
	struct json_pair *sysctl;
	size_t n_sysctl;
	char *cgroups_path; /* as written, both forms; NULL when left out or empty */
	bool has_resources;
	struct oci_resources resources;
	struct oci_device *devices;
	size_t n_devices;
	char *seccomp_json; /* linux.seccomp as JSON text, NULL: no profile */
	char *seccomp_listener, *seccomp_metadata; /* of it: listenerPath, listenerMetadata */
	char *rootfs_propagation;
	char **masked_paths, **readonly_paths;
	char *mount_label;
	char *personality;        /* linux.personality.domain; NULL: not given */
	char **personality_flags; /* of which the specification defines none */
	bool has_time_offsets, has_intel_rdt, has_net_devices, has_memory_policy;
	bool has_other_platform; /* windows, vm, solaris, zos */
};

#define OCI_SPEC_INIT            \
	{                        \
		.version = NULL, \
	}
#define OCI_PROCESS_INIT      \
	{                     \
		.args = NULL, \
	}
#define OCI_RESOURCES_INIT       \
	{                        \
		.devices = NULL, \
	}

/*
 * Reads BUNDLE/config.json into *ret_spec and checks it (oci_spec_check). ERR_NOT_FOUND when the
 * bundle has none; ERR_INVALID with file, path and reason for everything else that is wrong.
 */
int oci_spec_load(const char *bundle, struct oci_spec *ret_spec, struct err *err);

/* The same for text in memory, without the check. */
int oci_spec_parse(const char *text, size_t len, struct oci_spec *ret_spec, struct err *err);

/*
 * Refuses by name what the specification forbids (a relative cwd, no args, an ambient capability
 * that is not permitted, …) with ERR_INVALID, and what this runtime does not do (user namespaces,
 * id-mapped mounts, time namespaces, …) with ERR_UNIMPLEMENTED. Pure.
 */
int oci_spec_check(const struct oci_spec *spec, struct err *err);
void oci_spec_done(struct oci_spec *spec);

/* A bare process object, as Exec sends it. Parsed and checked (oci_process_check). */
int oci_process_parse(
	const char *text, size_t len, struct oci_process *ret_process, struct err *err);
int oci_process_check(const struct oci_process *process, struct err *err);
void oci_process_done(struct oci_process *process);

/* A bare LinuxResources object, as Update sends it. */
int oci_resources_parse(
	const char *text, size_t len, struct oci_resources *ret_resources, struct err *err);
void oci_resources_done(struct oci_resources *resources);

/* The namespace of this type, or NULL when the spec has none: the host's is used then. */
const struct oci_namespace *oci_spec_namespace(
	const struct oci_spec *spec, enum oci_namespace_type type);

/* "pid", "network", … as the specification spells them. */
const char *oci_namespace_name(enum oci_namespace_type type);

/* "createRuntime", … */
const char *oci_hook_name(enum oci_hook_point point);
