#include "shim/bootstrap.h"

#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "proto/bootstrap.pb-c.h"
#include "proto/runc.pb-c.h"

static const char runc_options[] = "containerd.runc.v1.Options";

/* Options that cannot be read, or of another type, say nothing. */
static int read_options(struct bootstrap *b, const Google__Protobuf__Any *any)
{
	Containerd__Runc__V1__Options *options = NULL;
	const char *type = any ? any->type_url : "", *slash = strrchr(type, '/');
	int r = 0;

	if (any && str_eq(slash ? slash + 1 : type, runc_options))
		options = containerd__runc__v1__options__unpack(
			NULL, any->value.len, any->value.data);
	if (!options)
		return 0;
	if (!str_empty(options->shim_cgroup) && !b->shim_cgroup)
		r = str_dup(&b->shim_cgroup, options->shim_cgroup);
	containerd__runc__v1__options__free_unpacked(options, NULL);
	return r;
}

static int read_params(struct bootstrap *b, const Bootstrap__BootstrapParams *params)
{
	int r = 0;

	b->params = true;
	b->debug = params->log_level < 0; /* DEBUG is -4, TRACE -8 */
	if (!str_empty(params->containerd_ttrpc_address))
		r = str_dup(&b->ttrpc_address, params->containerd_ttrpc_address);
	if (r == 0 && !str_empty(params->socket_dir))
		r = str_dup(&b->socket_dir, params->socket_dir);
	for (size_t i = 0; r == 0 && i < params->n_extensions; i++)
		r = read_options(b, params->extensions[i]->value);
	return r;
}

/* The input of containerd up to 2.2. */
static int read_any(struct bootstrap *b, const uint8_t *data, size_t len)
{
	Google__Protobuf__Any *any = google__protobuf__any__unpack(NULL, len, data);
	int r = read_options(b, any);

	if (any)
		google__protobuf__any__free_unpacked(any, NULL);
	return r;
}

int bootstrap_parse(
	struct bootstrap *b, const uint8_t *data, size_t len, const char *ns, const char *id)
{
	Bootstrap__BootstrapParams *params;
	int r = 0;

	*b = (struct bootstrap) {0};
	params = len > 0 ? bootstrap__bootstrap_params__unpack(NULL, len, data) : NULL;
	/* an Any of runtime options decodes as well: its type URL would be the id, its value the
	 * namespace */
	if (params && str_eq(params->instance_id, id) && str_eq(params->namespace_, ns))
		r = read_params(b, params);
	else if (len > 0)
		r = read_any(b, data, len);
	if (params)
		bootstrap__bootstrap_params__free_unpacked(params, NULL);
	if (r < 0)
		bootstrap_done(b);
	return r;
}

void bootstrap_done(struct bootstrap *b)
{
	free(b->ttrpc_address);
	free(b->socket_dir);
	free(b->shim_cgroup);
	*b = (struct bootstrap) {0};
}

int bootstrap_answer(
	const struct bootstrap *b, const char *socket_path, uint8_t **ret_data, size_t *ret_len)
{
	Bootstrap__BootstrapResult result = BOOTSTRAP__BOOTSTRAP_RESULT__INIT;
	_cleanup_free_ char *address = NULL;
	uint8_t *data;
	int r = str_printf(&address, "unix://%s", socket_path);

	if (r < 0)
		return r;
	if (!b->params) {
		*ret_len = strlen(address);
		*ret_data = (uint8_t *)TAKE_PTR(address);
		return 0;
	}
	/* version 2 is one code path in every daemon: `start` and `delete` for each container */
	result.version = 2;
	result.address = address;
	result.protocol = (char *)"ttrpc";
	data = malloc(bootstrap__bootstrap_result__get_packed_size(&result));
	if (!data)
		return -ENOMEM;
	*ret_len = bootstrap__bootstrap_result__pack(&result, data);
	*ret_data = data;
	return 0;
}
