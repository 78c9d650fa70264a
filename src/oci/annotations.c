#include "oci/annotations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/fields.h"

enum { GROUP_KEY_MAX = 1024 };

int oci_config_read(const char *bundle, char **ret_text, size_t *ret_len, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (str_printf(&path, "%s/config.json", bundle) < 0)
		return err_sysf(err, ENOMEM, "%s", bundle);
	return file_read_at(AT_FDCWD, path, OCI_CONFIG_MAX, ret_text, ret_len, err);
}

int oci_annotations_load(
	const char *bundle, struct oci_annotations *ret_annotations, struct err *err)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	struct oci_annotations a = {.v = NULL};
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = oci_config_read(bundle, &text, &len, err);

	if (r == 0)
		r = json_parse(text, len, "config.json", &root, err);
	if (r == 0)
		r = json_get_pairs(&root, "annotations", OCI_ANNOTATIONS_MAX, &a.v, &a.n, err);
	if (r < 0)
		return r;
	*ret_annotations = a;
	return 0;
}

void oci_annotations_done(struct oci_annotations *annotations)
{
	if (!annotations)
		return;
	json_pairs_free(annotations->v, annotations->n);
	*annotations = (struct oci_annotations) {.v = NULL};
}

const char *oci_annotation_get(const struct oci_annotations *annotations, const char *key)
{
	return json_pairs_get(annotations->v, annotations->n, key);
}

int oci_pod_names_copy(const struct oci_annotations *a, struct oci_pod_names *ret_names)
{
	struct oci_pod_names names = {.ns = NULL};

	if (str_dup(&names.ns, oci_annotation_get(a, OCI_ANNOTATION_SANDBOX_NAMESPACE)) < 0 ||
		str_dup(&names.pod, oci_annotation_get(a, OCI_ANNOTATION_SANDBOX_NAME)) < 0 ||
		str_dup(&names.uid, oci_annotation_get(a, OCI_ANNOTATION_SANDBOX_UID)) < 0 ||
		str_dup(&names.container, oci_annotation_get(a, OCI_ANNOTATION_CONTAINER_NAME)) <
			0) {
		oci_pod_names_done(&names);
		return -ENOMEM;
	}
	*ret_names = names;
	return 0;
}

void oci_pod_names_done(struct oci_pod_names *names)
{
	free(names->ns);
	free(names->pod);
	free(names->uid);
	free(names->container);
	*names = (struct oci_pod_names) {.ns = NULL};
}

enum oci_container_type oci_container_type(const struct oci_annotations *annotations)
{
	const char *type = oci_annotation_get(annotations, OCI_ANNOTATION_CONTAINER_TYPE);

	if (!type)
		return OCI_TYPE_PLAIN;
	if (str_eq(type, "sandbox"))
		return OCI_TYPE_SANDBOX;
	return str_eq(type, "container") ? OCI_TYPE_CONTAINER : OCI_TYPE_PLAIN;
}

static bool is_group_key(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > GROUP_KEY_MAX)
		return false;
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	}
	return true;
}

int oci_group_key(const struct oci_annotations *annotations, const char *id, const char **ret_key,
	struct err *err)
{
	static const char *const keys[] = {
		"io.containerd.reaper.v2.group",
		"io.containerd.runc.v2.group",
		OCI_ANNOTATION_SANDBOX_ID,
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *v = oci_annotation_get(annotations, keys[i]);

		if (!v)
			continue;
		if (!is_group_key(v))
			return err_setf(err, ERR_INVALID, EINVAL,
				"annotation %s: must be 1 to %d bytes without control characters",
				keys[i], GROUP_KEY_MAX);
		*ret_key = v;
		return 0;
	}
	*ret_key = id;
	return 0;
}
