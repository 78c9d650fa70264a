#include "runtime/host_view.h"

#include <errno.h>
#include <sys/mount.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "view/follow.h"
#include "view/passthrough.h"

/* Some process that has it open, as far as it was looked for. */
static const char *holder(const struct stale_file *f, char *buf, size_t size)
{
	if (f->holder <= 0)
		return "";
	(void)snprintf(buf, size, " (process %d)", (int)f->holder);
	return buf;
}

static int bind_current(struct mount_ops *ops, const struct stale_file *f, struct err *err)
{
	struct mount_op *op = mount_ops_add(ops, MOUNT_OP_BIND, f->path, f->path, NULL);

	if (!op)
		return err_sysf(err, ENOMEM, "list of mounts");
	/* replaced once more or deleted meanwhile: then there is nothing to bind */
	op->optional = op->of_host = true;
	op->options.bind = true;
	op->options.set = MS_RDONLY | MS_NODEV;
	return 0;
}

static int handle_stale(
	struct init *in, const struct stale_file *f, struct mount_ops *ops, struct err *err)
{
	const char *how = f->deleted ? "deleted" : "replaced";
	char text[64];

	if (in->loaded.settings.stale == STALE_REFUSE)
		return err_setf(err, ERR_PRECONDITION, ESTALE,
			"%s: the host %s it and a running pod still has the old file open%s, so "
			"that every pod would see that one; end that pod (REAPER_STALE=refuse)",
			f->path, how, holder(f, text, sizeof(text)));
	if (in->loaded.settings.stale == STALE_BIND && !f->deleted)
		return bind_current(ops, f, err);
	init_note(in,
		"%s: the host %s it, but a running pod has the old file open%s: it is what "
		"this container sees",
		f->path, how, holder(f, text, sizeof(text)));
	return 0;
}

int host_view_prepare(struct init *in, struct err *err)
{
	_cleanup_(stale_files_done) struct stale_files stale = STALE_FILES_INIT;
	_cleanup_(mount_ops_done) struct mount_ops ops = MOUNT_OPS_INIT;
	int r = mount_group_follow(&in->plan.group, in->proc_fd, false, &stale, err);

	for (size_t i = 0; r == 0 && i < stale.n; i++) {
		/* never the host's own file in place of one that is hidden */
		if (mask_rules_hide(&in->plan.group.mask, stale.v[i].path))
			continue;
		r = handle_stale(in, &stale.v[i], &ops, err);
	}
	if (r == 0)
		r = passthrough_add(in->loaded.settings.passthrough, &ops, err);
	if (r < 0)
		return r;
	r = mount_ops_prepend(&in->plan.ops, &ops);
	return r < 0 ? err_sysf(err, -r, "list of mounts") : 0;
}
