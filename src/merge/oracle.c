#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "merge/compare.h"
#include "merge/plan_impl.h"

/* One difference between the dumps before and after, judged. */
struct judge {
	const struct toml_doc *after;
	char *ours;     /* path of our runtime's table */
	char *runtimes; /* path of all of them, with a '.' at its end */
	bool carried;   /* the block repeats the runtimes that were in force */
	bool found;
	char wrong[512]; /* the first difference that must not be */
};

static int judge_difference(
	void *arg, const char *path, const struct toml_node *a, const struct toml_node *b)
{
	struct judge *j = arg;

	/* 1.x lists the file itself, and the candidate has another name */
	if (str_eq(path, "imports"))
		return 0;
	if (!a && str_eq(path, j->ours) && stanza_matches(j->after, b)) {
		j->found = true;
		return 0;
	}
	/* a repeated runtime is printed without the zero values of a built-in one */
	if (j->carried && str_has_prefix(path, j->runtimes) && toml_is_zero(a) && toml_is_zero(b))
		return 0;
	(void)snprintf(j->wrong, sizeof(j->wrong), "%s would be %s", path,
		!a   ? "new"
		: !b ? "gone"
		     : "different");
	return 1;
}

/* Whether the candidate's effect is exactly our runtime. 1, 0 with the reason, or an error. */
static int prove(struct plan *p, const struct baseline *base, const struct buf *text, size_t at,
	size_t add, bool carried, struct err *err)
{
	_cleanup_(toml_doc_freep) struct toml_doc *dump = NULL;
	_cleanup_free_ char *dump_text = NULL, *ours = NULL, *runtimes = NULL;
	struct judge j = {.carried = carried};
	int r;

	r = source_dump(p, text->data, text->len, text->data + at, add, &dump_text, &dump, err);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	r = str_printf(&runtimes, "plugins.\"%s\".containerd.runtimes.", base->dump_plugin);
	if (r == 0)
		r = str_printf(&ours, "%s%s", runtimes, p->handler);
	if (r < 0)
		return err_sysf(err, -r, "candidate");
	j.after = dump;
	j.ours = ours;
	j.runtimes = runtimes;
	r = toml_compare(base->dump, dump, judge_difference, &j);
	if (r < 0)
		return err_sysf(err, -r, "candidate");
	if (j.wrong[0])
		(void)err_setf(err, ERR_PRECONDITION, EINVAL, "%s", j.wrong);
	else if (!j.found)
		(void)err_setf(err, ERR_PRECONDITION, EINVAL, "the runtime would have no effect");
	return j.found && !j.wrong[0] ? 1 : 0;
}

/* "podsandbox" is the default everywhere; written down where the release knows the key. */
static enum stanza_sandbox sandbox_key(const struct plan *p, const char *plugin)
{
	if (str_eq(plugin, CRI_ID_V3))
		return STANZA_SANDBOXER;
	return daemon_at_least(&p->daemon, 1, 7, 0) ? STANZA_SANDBOX_MODE : STANZA_SANDBOX_NONE;
}

/* The file with the block of this candidate, where the old one stood or at the end. */
static int compose(const struct plan *p, const struct baseline *base, const char *plugin,
	const struct toml_node *carry, struct buf *out, size_t *ret_at, size_t *ret_add)
{
	size_t at = base->at, behind = at + base->joint;
	struct stanza_spec spec = {
		.handler = p->handler,
		.sandbox = sandbox_key(p, plugin),
		.plugin = plugin,
		.version = p->put_version,
		.carry = carry,
		.eol = stanza_eol(base->text, base->len),
		.gap = p->has_block ? p->block.gap : stanza_gap(base->text, base->len),
	};
	int r = buf_append(out, base->text, at);

	if (r == 0)
		r = stanza_write(&spec, out);
	*ret_at = at;
	*ret_add = out->len - at;
	if (r == 0)
		r = buf_append(out, base->text + behind, base->len - behind);
	return r;
}

static int accept_candidate(struct plan *p, struct buf *text, size_t at, size_t add)
{
	p->after = TAKE_PTR(text->data);
	p->after_len = text->len;
	p->at = at;
	p->cut = p->has_block ? p->block.end - p->block.begin : 0;
	p->add = add;
	if (p->has_block && p->after_len - add != plan_file(p)->len - p->cut) {
		/* more than the block went: other places have changed too */
		p->at = 0;
		p->cut = plan_file(p)->len;
		p->add = p->after_len;
	}
	return 1;
}

/*
 * containerd 1.5 to 1.7 drop their built-in runc as soon as the file mentions `runtimes`, and the
 * CRI plugin does not start without its default runtime: then the block repeats what was in force.
 */
static bool expects_carry(const struct plan *p, const struct baseline *base, const char *plugin)
{
	const struct toml_doc *file = p->source ? p->set.files[0].doc : base->file;

	if (plan_runtimes(file, toml_root(file), plugin))
		return false;
	return p->daemon.major == 1 && p->daemon.minor >= 5;
}

/* A block that is whole and still does what it should stays as it is, whatever would be written
 * today: a carried runc is harmless after an upgrade to 2.x and no reason to restart anything. */
static int keep_block(struct plan *p, const struct baseline *base, struct err *err)
{
	const struct conf_file *f = plan_file(p);
	struct buf text = {.data = f->text, .len = f->len, .max = f->len};
	int r;

	if (!p->has_block || !p->block.intact || p->block.format != STANZA_FORMAT)
		return 0;
	r = prove(p, base, &text, p->block.begin, p->block.end - p->block.begin, true, err);
	if (r <= 0)
		return r;
	p->after = malloc(f->len + 1);
	if (!p->after)
		return err_sysf(err, ENOMEM, "candidate");
	memcpy(p->after, f->text, f->len + 1);
	p->after_len = f->len;
	return 1;
}

/* The names to be tried: the one of the file's version first. */
static void order_ids(const struct plan *p, const char *ids[CRI_IDS])
{
	static const char *const by_version[][CRI_IDS] = {
		{CRI_ID_V1, CRI_ID_V3, CRI_ID_V2},
		{CRI_ID_V2, CRI_ID_V3, NULL},
		{CRI_ID_V3, CRI_ID_V2, NULL},
	};

	memcpy(ids, by_version[p->version >= 3 ? 2 : p->version - 1], sizeof(by_version[0]));
}

int oracle_choose(struct plan *p, const struct baseline *base, struct err *err)
{
	const char *ids[CRI_IDS];
	struct err first = ERR_INIT;
	bool told = false;
	int kept = keep_block(p, base, err);

	if (kept != 0)
		return kept;
	order_ids(p, ids);
	for (size_t i = 0; i < ARRAY_LEN(ids) * 2 && ids[i / 2]; i++) {
		_cleanup_(buf_done) struct buf text = BUF_INIT(CONFSET_FILE_MAX + (1UL << 20));
		const char *plugin = ids[i / 2];
		bool carry = expects_carry(p, base, plugin) != (i % 2 != 0);
		struct err why = ERR_INIT;
		size_t at = 0, add = 0;
		int r;

		if (carry &&
			(p->drop_in || plan_runtimes(base->file, toml_root(base->file), plugin)))
			continue; /* its headers would stand twice */
		r = compose(p, base, plugin, carry ? base->runtimes : NULL, &text, &at, &add);
		if (r < 0)
			return err_sysf(err, -r, "candidate");
		r = prove(p, base, &text, at, add, carry, &why);
		if (r < 0) {
			*err = why;
			return r;
		}
		if (r > 0)
			return accept_candidate(p, &text, at, add);
		if (!told)
			first = why;
		told = true;
	}
	*err = first;
	return 0;
}
