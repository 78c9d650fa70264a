#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "merge/plan_impl.h"

/*
 * The file that the daemon reads is rendered from another one. The block goes into that one, its
 * source, and the proof is made with the rendered file as it would come out: the same text at its
 * end. A block that stands in the rendered file already came from the source, and is looked away
 * from.
 */
int source_use(struct plan *p, const struct distro *distro, struct report *rep, struct err *err)
{
	const char *name = distro_source(distro, &p->daemon);
	struct conf_file *f = &p->set.files[0];
	struct stanza_block block;
	struct err why = ERR_INIT;
	int r = stanza_find(f->text ? f->text : "", f->len, f->doc, p->handler, &block, &why);

	if (r < 0)
		return err_setf(err, ERR_INVALID, EBADMSG, "%s: %s", f->path, why.text);
	if (r > 0) {
		r = confset_cut(f, block.begin, block.end, err);
		if (r < 0)
			return r;
	}
	r = confset_add_template(&p->daemon, &p->set, name, &p->source, err);
	if (r < 0)
		return r;
	f = &p->set.files[p->source];
	if (r == 0 && !distro->start)
		return err_setf(err, ERR_NOT_FOUND, ENOENT, "%s does not exist", f->path);
	if (r > 0 && !distro->own_file && distro->start &&
		!strstr(f->text ? f->text : "", "template \"base\""))
		report_warn(rep,
			"%s is a whole copy and does not begin with %.*s: what the next release of "
			"%s "
			"renders is not in it",
			f->path, (int)strcspn(distro->start, "\n"), distro->start, distro->name);
	p->source_start = distro->start;
	p->drop_in = distro->own_file;
	p->target = p->source;
	return 0;
}

/* The daemon's view with these bytes of the target, or of what is rendered from it. */
int source_dump(const struct plan *p, const char *text, size_t len, const char *block,
	size_t block_len, char **ret_text, struct toml_doc **ret_doc, struct err *err)
{
	const struct conf_file *f = &p->set.files[0];
	_cleanup_(buf_done) struct buf all = BUF_INIT(CONFSET_FILE_MAX + (1UL << 20));
	_cleanup_(toml_doc_freep) struct toml_doc *own = NULL;
	const struct toml_node *v;
	int r;

	if (!p->source)
		return confset_dump(
			&p->daemon, &p->set, p->target, text, len, ret_text, ret_doc, err);
	/* a version that the block says for its own file would stand twice here */
	if (p->put_version) {
		r = toml_parse("block", block, block_len, TOML_LENIENT, &own, err);
		if (r < 0)
			return r;
		v = toml_get(own, toml_root(own), "version");
		if (v) {
			block_len -= v->end;
			block += v->end;
		}
	}
	r = buf_append(&all, f->text ? f->text : "", f->len);
	if (r == 0)
		r = buf_append_str(&all, "\n");
	if (r == 0)
		r = buf_append(&all, block, block_len);
	if (r < 0)
		return err_sysf(err, -r, "candidate");
	return confset_dump(&p->daemon, &p->set, 0, all.data, all.len, ret_text, ret_doc, err);
}
