/*
 * A config.json, an exec's process or an Update's resources of any bytes. What must hold: an error
 * has a text of one line, leaves the target alone and nothing allocated; what is accepted can be
 * checked, asked and freed twice.
 */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "oci/annotations.h"
#include "oci/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct err *err)
{
	assert(err->kind != ERR_NONE && err->errnum > 0 && err->text[0] != '\0');
	for (const char *c = err->text; *c; c++)
		assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void use_spec(struct oci_spec *s)
{
	const char *group = NULL;
	struct err err = ERR_INIT;

	if (oci_spec_check(s, &err) < 0)
		check_error(&err);
	else
		assert(s->has_process && s->process.args && s->process.cwd[0] == '/');
	if (oci_group_key(&s->annotations, "id", &group, &err) == 0)
		assert(group && *group);
	(void)oci_container_type(&s->annotations);
	for (size_t i = 0; i < s->n_devices; i++)
		assert(strchr("cbup", s->devices[i].type) && s->devices[i].path);
	for (size_t i = 0; i < s->resources.n_devices; i++)
		assert(strlen(s->resources.devices[i].access) <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_spec spec = OCI_SPEC_INIT;
	struct oci_process process = OCI_PROCESS_INIT;
	struct oci_resources resources = OCI_RESOURCES_INIT;
	struct err err = ERR_INIT;
	/* exactly as long as it is: a read behind the end is found */
	char *text = malloc(size ? size : 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	if (oci_spec_parse(text, size, &spec, &err) < 0) {
		check_error(&err);
		assert(!spec.version && !spec.mounts);
	} else {
		use_spec(&spec);
	}
	oci_spec_done(&spec);
	oci_spec_done(&spec);
	if (oci_process_parse(text, size, &process, &err) < 0)
		check_error(&err);
	else
		assert(process.args[0][0] != '\0' && process.cwd[0] == '/');
	oci_process_done(&process);
	if (oci_resources_parse(text, size, &resources, &err) < 0)
		check_error(&err);
	oci_resources_done(&resources);
	free(text);
	return 0;
}
