#include "oci/spec.h"

#include <stdlib.h>
#include "base/macro.h"
#include "base/str.h"
#include "oci/annotations.h"

static void mounts_done(struct oci_spec *s)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		free(s->mounts[i].destination);
		free(s->mounts[i].type);
		free(s->mounts[i].source);
		(void)strv_free(s->mounts[i].options);
	}
	free(s->mounts);
}

static void hooks_done(struct oci_hooks *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->v[i].path);
		(void)strv_free(h->v[i].args);
		(void)strv_free(h->v[i].env);
	}
	free(h->v);
}

static void devices_done(struct oci_spec *s)
{
	for (size_t i = 0; i < s->n_devices; i++)
		free(s->devices[i].path);
	free(s->devices);
}

void oci_spec_done(struct oci_spec *spec)
{
	struct oci_spec *s = spec;

	if (!s)
		return;
	free(s->version);
	oci_process_done(&s->process);
	free(s->hostname);
	free(s->domainname);
	mounts_done(s);
	for (size_t i = 0; i < ARRAY_LEN(s->hooks); i++)
		hooks_done(&s->hooks[i]);
	oci_annotations_done(&s->annotations);
	for (size_t i = 0; i < ARRAY_LEN(s->namespaces); i++)
		free(s->namespaces[i].path);
	free(s->uid_mappings.v);
	free(s->gid_mappings.v);
	json_pairs_free(s->sysctl, s->n_sysctl);
	free(s->cgroups_path);
	oci_resources_done(&s->resources);
	devices_done(s);
	free(s->seccomp_json);
	free(s->rootfs_propagation);
	(void)strv_free(s->masked_paths);
	(void)strv_free(s->readonly_paths);
	free(s->mount_label);
	free(s->seccomp_listener);
	free(s->seccomp_metadata);
	free(s->personality);
	(void)strv_free(s->personality_flags);
	*s = (struct oci_spec)OCI_SPEC_INIT;
}
