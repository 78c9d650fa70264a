#include "shim/bootstrap.h"

#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "proto/bootstrap.pb-c.h"

int bootstrap_parse(
	struct bootstrap *b, const uint8_t *data, size_t len, const char *ns, const char *id)
{
	Bootstrap__BootstrapParams *params;
	int r = 0;

	*b = (struct bootstrap) {0};
	params = len > 0 ? bootstrap__bootstrap_params__unpack(NULL, len, data) : NULL;
	if (!params)
		return 0;
	/* an Any of runtime options decodes as well: its type URL would be the id, its value the
	 * namespace */
	if (str_eq(params->instance_id, id) && str_eq(params->namespace_, ns)) {
		b->params = true;
		b->debug = params->log_level < 0; /* DEBUG is -4, TRACE -8 */
		if (!str_empty(params->containerd_ttrpc_address))
			r = str_dup(&b->ttrpc_address, params->containerd_ttrpc_address);
		if (r == 0 && !str_empty(params->socket_dir))
			r = str_dup(&b->socket_dir, params->socket_dir);
	}
	bootstrap__bootstrap_params__free_unpacked(params, NULL);
	if (r < 0)
		bootstrap_done(b);
	return r;
}

void bootstrap_done(struct bootstrap *b)
{
	free(b->ttrpc_address);
	free(b->socket_dir);
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
