#include "groups/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/annotations.h"

static int name_of(const struct container_info *info, char **ret_name)
{
	_cleanup_(oci_annotations_done) struct oci_annotations a = {.v = NULL};
	const char *ns = NULL, *pod = NULL;

	/* a bundle that is being removed: its record is enough */
	if (oci_annotations_load(info->bundle, &a, NULL) == 0) {
		ns = oci_annotation_get(&a, OCI_ANNOTATION_SANDBOX_NAMESPACE);
		pod = oci_annotation_get(&a, OCI_ANNOTATION_SANDBOX_NAME);
	}
	if (ns && pod)
		return str_printf(ret_name, "%s/%s", ns, pod);
	return str_printf(ret_name, "%s/%s", info->record.ns, info->record.id);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int groups_pods(const struct containers *c, const char *key, char ***ret_pods, struct err *err)
{
	_cleanup_strv_ char **pods = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct container_info *info = &c->v[i];
		_cleanup_free_ char *name = NULL;

		if (info->status == CONTAINER_STOPPED || !info->record.view ||
			!str_eq(info->record.view, key))
			continue;
		if (name_of(info, &name) < 0 ||
			(!strv_has(pods, name) && strv_append(&pods, name) < 0))
			return err_sysf(err, ENOMEM, "pods of group %s", key);
	}
	if (pods)
		qsort(pods, strv_len(pods), sizeof(*pods), compare);
	*ret_pods = TAKE_PTR(pods);
	return 0;
}
