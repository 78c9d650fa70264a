#include "oci/state.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/macro.h"
#include "oci/features.h"

struct json_object *oci_state_object(const struct oci_state *state)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct json_object *annotations = json_new_object();
	int r = json_put_str(o, "ociVersion", OCI_VERSION_MAX);

	r |= json_put_str(o, "id", state->id);
	r |= json_put_str(o, "status", state->status);
	if (state->pid > 0)
		r |= json_put_i64(o, "pid", state->pid);
	r |= json_put_str(o, "bundle", state->bundle);
	r |= json_put_str(o, "root", state->root);
	for (size_t i = 0; i < state->annotations->n; i++)
		r |= json_put_str(
			annotations, state->annotations->v[i].key, state->annotations->v[i].value);
	r |= json_put_consume(o, "annotations", annotations);
	return r < 0 ? NULL : TAKE_PTR(o);
}
