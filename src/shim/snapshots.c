#include "shim/snapshots.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "groups/groups.h"
#include "shim/container.h"
#include "shim/shim.h"

static const char *option(const Types__Mount *m, const char *prefix)
{
	for (size_t i = 0; i < m->n_options; i++) {
		if (str_has_prefix(m->options[i], prefix))
			return m->options[i] + strlen(prefix);
	}
	return NULL;
}

const char *snapshot_of(Types__Mount *const *mounts, size_t n)
{
	const Types__Mount *m = n == 1 ? mounts[0] : NULL;
	const char *dir = NULL;

	if (m && str_eq(m->type, "overlay"))
		dir = option(m, "upperdir=");
	else if (m && str_eq(m->type, "bind") && option(m, "rw"))
		dir = m->source;
	return dir && dir[0] == '/' ? dir : NULL;
}

static void move(const struct container *c, const char *from, const char *to)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	struct err err = ERR_INIT;
	int r = store_layout_init(&layout, NULL, NULL, &err);

	if (r == 0)
		r = groups_move_snapshot(&layout, from, to, &err);
	if (r < 0)
		log_warn("container %s: what its pod has written: %s, continuing", c->id, err.text);
}

void snapshot_arrived(const struct container *c)
{
	if (c->snapshot)
		move(c, c->shim->home, c->snapshot);
}

void snapshot_leaves(const struct container *c)
{
	const char *to = c->shim->home;
	struct list *pos;

	if (!c->snapshot)
		return;
	list_for_each (pos, &c->shim->containers) {
		const struct container *other = list_entry(pos, struct container, node);

		if (other != c && other->snapshot && !other->creating && !other->deleting) {
			to = other->snapshot;
			break;
		}
	}
	move(c, c->snapshot, to);
}
