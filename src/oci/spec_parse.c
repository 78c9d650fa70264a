#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/fields.h"
#include "oci/spec.h"

#define FIELD(type_, name, kind, member, ...)                                                      \
	{                                                                                          \
		.key = (name), .type = OCI_FIELD_##kind, .offset = offsetof(struct type_, member), \
		__VA_ARGS__                                                                        \
	}

static const char *const namespace_names[_OCI_NS_MAX] = {
	[OCI_NS_PID] = "pid",
	[OCI_NS_NETWORK] = "network",
	[OCI_NS_MOUNT] = "mount",
	[OCI_NS_IPC] = "ipc",
	[OCI_NS_UTS] = "uts",
	[OCI_NS_USER] = "user",
	[OCI_NS_CGROUP] = "cgroup",
	[OCI_NS_TIME] = "time",
};

static const char *const hook_names[_OCI_HOOK_MAX] = {
	[OCI_HOOK_PRESTART] = "prestart",
	[OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
	[OCI_HOOK_CREATE_CONTAINER] = "createContainer",
	[OCI_HOOK_START_CONTAINER] = "startContainer",
	[OCI_HOOK_POSTSTART] = "poststart",
	[OCI_HOOK_POSTSTOP] = "poststop",
};

const char *oci_namespace_name(enum oci_namespace_type type)
{
	return (unsigned)type < _OCI_NS_MAX ? namespace_names[type] : "unknown";
}

const char *oci_hook_name(enum oci_hook_point point)
{
	return (unsigned)point < _OCI_HOOK_MAX ? hook_names[point] : "unknown";
}

const struct oci_namespace *oci_spec_namespace(
	const struct oci_spec *spec, enum oci_namespace_type type)
{
	return spec->namespaces[type].present ? &spec->namespaces[type] : NULL;
}

static int parse_mount(const struct json_ref *e, void *element, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(oci_mount, "destination", STR, destination, .required = true),
		FIELD(oci_mount, "type", STR, type),
		FIELD(oci_mount, "source", STR, source),
		FIELD(oci_mount, "options", STRV, options, .max = OCI_LIST_MAX),
	};
	struct oci_mount *m = element;

	m->has_id_mappings = json_has(e, "uidMappings") || json_has(e, "gidMappings");
	return oci_fields_parse(e, fields, ARRAY_LEN(fields), m, err);
}

static int parse_hook(const struct json_ref *e, void *element, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(oci_hook, "path", STR, path, .required = true),
		FIELD(oci_hook, "args", STRV, args, .max = OCI_ARGS_MAX),
		FIELD(oci_hook, "env", STRV, env, .max = OCI_ARGS_MAX),
	};
	struct oci_hook *h = element;
	uint64_t timeout = 0;
	int r = oci_fields_parse(e, fields, ARRAY_LEN(fields), h, err);

	if (r >= 0)
		r = json_get_u64(e, "timeout", 1, 86400, &timeout, err);
	h->timeout_s = (unsigned)timeout;
	return r;
}

static int parse_hooks(const struct json_ref *root, struct oci_spec *spec, struct err *err)
{
	struct json_ref hooks;
	int r = json_get_object(root, "hooks", &hooks, err);

	/* a point that is not known here would be passed over in silence */
	if (r > 0 && json_only_members(&hooks, hook_names, _OCI_HOOK_MAX, err) < 0)
		return -EINVAL;
	for (size_t i = 0; r > 0 && i < _OCI_HOOK_MAX; i++) {
		r = oci_array_parse(&hooks, hook_names[i], OCI_LIST_MAX, sizeof(struct oci_hook),
			parse_hook, (void **)&spec->hooks[i].v, &spec->hooks[i].n, err);
		if (r == 0)
			r = 1;
	}
	return r;
}

static int parse_process(const struct json_ref *root, struct oci_spec *spec, struct err *err)
{
	struct json_ref process;
	int r = json_get_object(root, "process", &process, err);

	if (r <= 0)
		return r;
	spec->has_process = true;
	return oci_process_fill(&process, &spec->process, err);
}

static int parse_root(const struct json_ref *root, struct oci_spec *spec, struct err *err)
{
	struct json_ref o;
	int r = json_get_object(root, "root", &o, err);

	if (r <= 0)
		return r;
	spec->has_root = true;
	return json_get_bool(&o, "readonly", &spec->root_readonly, err);
}

static int parse_mounts(const struct json_ref *root, struct oci_spec *spec, struct err *err)
{
	return oci_array_parse(root, "mounts", OCI_MOUNTS_MAX, sizeof(*spec->mounts), parse_mount,
		(void **)&spec->mounts, &spec->n_mounts, err);
}

static int parse_annotations(const struct json_ref *root, struct oci_spec *spec, struct err *err)
{
	return json_get_pairs(root, "annotations", OCI_ANNOTATIONS_MAX, &spec->annotations.v,
		&spec->annotations.n, err);
}

/* ---- linux ---- */

struct raw_namespace {
	char *type, *path;
};

static int set_namespace(
	const struct json_ref *e, struct raw_namespace *raw, struct oci_spec *spec, struct err *err)
{
	struct oci_namespace *ns;
	size_t type = 0;

	while (type < _OCI_NS_MAX && !str_eq(raw->type, namespace_names[type]))
		type++;
	if (type == _OCI_NS_MAX)
		return oci_field_errorf(
			e, "type", err, "\"%.40s\": not a namespace of Linux", raw->type);
	ns = &spec->namespaces[type];
	if (ns->present)
		return oci_field_errorf(e, "type", err, "\"%s\": given twice", raw->type);
	if (raw->path && raw->path[0] != '/')
		return oci_field_errorf(e, "path", err, "\"%.200s\": must be absolute", raw->path);
	ns->present = true;
	ns->path = TAKE_PTR(raw->path);
	return 0;
}

static int parse_namespaces(const struct json_ref *linux_, struct oci_spec *spec, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(raw_namespace, "type", STR, type, .required = true),
		FIELD(raw_namespace, "path", STR, path),
	};
	struct json_ref array;
	size_t n = 0;
	int r = json_get_array(linux_, "namespaces", OCI_LIST_MAX, &array, &n, err);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct raw_namespace raw = {.type = NULL};
		struct json_ref e;

		r = json_element_object(&array, i, &e, err);
		if (r == 0)
			r = oci_fields_parse(&e, fields, ARRAY_LEN(fields), &raw, err);
		if (r == 0)
			r = set_namespace(&e, &raw, spec, err);
		free(raw.type);
		free(raw.path);
	}
	return r;
}

static int parse_id_mapping(const struct json_ref *e, void *element, struct err *err)
{
	struct oci_id_mapping *m = element;
	int r = json_get_u32(e, "containerID", &m->container_id, err);

	if (r >= 0)
		r = json_get_u32(e, "hostID", &m->host_id, err);
	if (r >= 0)
		r = json_get_u32(e, "size", &m->size, err);
	return r;
}

static int parse_id_mappings(const struct json_ref *linux_, struct oci_spec *spec, struct err *err)
{
	int r = oci_array_parse(linux_, "uidMappings", OCI_LIST_MAX, sizeof(struct oci_id_mapping),
		parse_id_mapping, (void **)&spec->uid_mappings.v, &spec->uid_mappings.n, err);

	if (r == 0)
		r = oci_array_parse(linux_, "gidMappings", OCI_LIST_MAX,
			sizeof(struct oci_id_mapping), parse_id_mapping,
			(void **)&spec->gid_mappings.v, &spec->gid_mappings.n, err);
	return r;
}

static int parse_device_type(const struct json_ref *e, struct oci_device *d, struct err *err)
{
	char *type = NULL;
	int r = json_get_str(e, "type", &type, err);

	if (r >= 0 && (str_empty(type) || type[1] || !strchr("cbup", type[0])))
		r = oci_field_errorf(
			e, "type", err, "\"%.20s\": must be c, b, u or p", type ? type : "");
	else if (r >= 0)
		d->type = type[0];
	free(type);
	return r;
}

static int parse_device(const struct json_ref *e, void *element, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(oci_device, "path", STR, path, .required = true),
	};
	struct oci_device *d = element;
	uint64_t major = 0, minor = 0;
	uint32_t mode = 0;
	int r = oci_fields_parse(e, fields, ARRAY_LEN(fields), d, err);

	if (r >= 0)
		r = parse_device_type(e, d, err);
	if (r >= 0)
		r = json_get_u64(e, "major", 0, 4095, &major, err);
	if (r == 0 && d->type != 'p')
		return oci_field_errorf(e, "major", err, "missing");
	if (r >= 0)
		r = json_get_u64(e, "minor", 0, (1 << 20) - 1, &minor, err);
	if (r == 0 && d->type != 'p')
		return oci_field_errorf(e, "minor", err, "missing");
	if (r >= 0)
		r = json_get_u32(e, "uid", &d->uid, err);
	if (r >= 0)
		r = json_get_u32(e, "gid", &d->gid, err);
	if (r >= 0)
		r = json_get_u32(e, "fileMode", &mode, err);
	d->has_mode = r > 0;
	d->mode = (mode_t)(mode & 07777); /* containerd's is an os.FileMode: type bits are in it */
	d->major = (uint32_t)major;
	d->minor = (uint32_t)minor;
	return r;
}

static int parse_devices(const struct json_ref *linux_, struct oci_spec *spec, struct err *err)
{
	return oci_array_parse(linux_, "devices", OCI_ARGS_MAX, sizeof(*spec->devices),
		parse_device, (void **)&spec->devices, &spec->n_devices, err);
}

static int parse_linux_rest(const struct json_ref *linux_, struct oci_spec *spec, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(oci_spec, "cgroupsPath", STR, cgroups_path),
		FIELD(oci_spec, "rootfsPropagation", STR, rootfs_propagation),
		FIELD(oci_spec, "maskedPaths", STRV, masked_paths, .max = OCI_LIST_MAX),
		FIELD(oci_spec, "readonlyPaths", STRV, readonly_paths, .max = OCI_LIST_MAX),
		FIELD(oci_spec, "mountLabel", STR, mount_label),
		FIELD(oci_spec, "timeOffsets", HAS, has_time_offsets),
		FIELD(oci_spec, "intelRdt", HAS, has_intel_rdt),
		FIELD(oci_spec, "netDevices", HAS, has_net_devices),
		FIELD(oci_spec, "memoryPolicy", HAS, has_memory_policy),
	};
	struct json_ref resources;
	int r = oci_fields_parse(linux_, fields, ARRAY_LEN(fields), spec, err);

	if (r >= 0)
		r = json_get_pairs(
			linux_, "sysctl", OCI_LIST_MAX, &spec->sysctl, &spec->n_sysctl, err);
	if (r >= 0)
		r = json_get_raw(linux_, "seccomp", &spec->seccomp_json, err);
	if (r >= 0)
		r = json_get_object(linux_, "resources", &resources, err);
	if (r <= 0)
		return r;
	spec->has_resources = true;
	return oci_resources_fill(&resources, &spec->resources, err);
}

static int parse_listener(const struct json_ref *linux_, struct oci_spec *spec, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(oci_spec, "listenerPath", STR, seccomp_listener),
		FIELD(oci_spec, "listenerMetadata", STR, seccomp_metadata),
	};
	struct json_ref seccomp;
	int r = json_get_object(linux_, "seccomp", &seccomp, err);

	return r <= 0 ? r : oci_fields_parse(&seccomp, fields, ARRAY_LEN(fields), spec, err);
}

static int parse_personality(const struct json_ref *linux_, struct oci_spec *spec, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(oci_spec, "domain", STR, personality, .required = true),
		FIELD(oci_spec, "flags", STRV, personality_flags, .max = OCI_LIST_MAX),
	};
	struct json_ref o;
	int r = json_get_object(linux_, "personality", &o, err);

	return r <= 0 ? r : oci_fields_parse(&o, fields, ARRAY_LEN(fields), spec, err);
}

static int parse_linux(const struct json_ref *root, struct oci_spec *spec, struct err *err)
{
	static int (*const parts[])(
		const struct json_ref *linux_, struct oci_spec *spec, struct err *err) = {
		parse_namespaces,
		parse_id_mappings,
		parse_devices,
		parse_personality,
		parse_listener,
		parse_linux_rest,
	};
	struct json_ref linux_;
	int r = json_get_object(root, "linux", &linux_, err);

	if (r <= 0)
		return r;
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(parts); i++)
		r = parts[i](&linux_, spec, err);
	return r;
}

/* ---- the whole ---- */

static int fill(const struct json_ref *root, struct oci_spec *spec, struct err *err)
{
	static const struct oci_field fields[] = {
		FIELD(oci_spec, "ociVersion", STR, version),
		FIELD(oci_spec, "hostname", STR, hostname),
		FIELD(oci_spec, "domainname", STR, domainname),
	};
	static int (*const parts[])(
		const struct json_ref *root, struct oci_spec *spec, struct err *err) = {
		parse_process,
		parse_root,
		parse_mounts,
		parse_hooks,
		parse_annotations,
		parse_linux,
	};
	int r = oci_fields_parse(root, fields, ARRAY_LEN(fields), spec, err);

	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(parts); i++)
		r = parts[i](root, spec, err);
	spec->has_other_platform = json_has(root, "windows") || json_has(root, "vm") ||
				   json_has(root, "solaris") || json_has(root, "zos") ||
				   json_has(root, "freebsd");
	return r < 0 ? r : 0;
}

int oci_spec_parse(const char *text, size_t len, struct oci_spec *ret_spec, struct err *err)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	int r;

	if (len > OCI_CONFIG_MAX)
		return err_setf(err, ERR_INVALID, EFBIG, "config.json: %zu bytes, the limit is %d",
			len, OCI_CONFIG_MAX);
	r = json_parse(text, len, "config.json", &root, err);
	if (r == 0)
		r = fill(&root, &spec, err);
	if (r < 0)
		return r;
	*ret_spec = spec;
	spec = (struct oci_spec)OCI_SPEC_INIT;
	return 0;
}

int oci_spec_load(const char *bundle, struct oci_spec *ret_spec, struct err *err)
{
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = oci_config_read(bundle, &text, &len, err);

	if (r == 0)
		r = oci_spec_parse(text, len, &spec, err);
	if (r == 0)
		r = oci_spec_check(&spec, err);
	if (r < 0)
		return r;
	*ret_spec = spec;
	spec = (struct oci_spec)OCI_SPEC_INIT;
	return 0;
}
