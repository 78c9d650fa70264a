#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/glob.h"
#include "base/str.h"
#include "merge/plan_impl.h"

static int file_name(const struct plan *p, char **ret)
{
	bool usual = str_eq(p->handler, STANZA_HANDLER);

	return str_printf(ret, "50-reaper%s%s.toml", usual ? "" : "-", usual ? "" : p->handler);
}

bool drop_in_is_ours(const struct plan *p, const char *path)
{
	_cleanup_free_ char *name = NULL;
	const char *slash = strrchr(path, '/');

	return slash && file_name(p, &name) == 0 && str_eq(slash + 1, name);
}

/* DIR/50-reaper.toml if a pattern of the root's imports matches that; 0 if not. */
static int place_for(
	const struct plan *p, const struct toml_node *import, const char *name, char **ret)
{
	_cleanup_free_ char *pattern = NULL;
	char *slash;
	int r;

	if (import->type != TOML_STRING || !strchr(import->text, '*'))
		return 0;
	r = confset_absolute(p->set.files[0].name, import->text, &pattern);
	if (r < 0)
		return r;
	slash = strrchr(pattern, '/');
	if (!glob_match(slash + 1, name))
		return 0;
	*slash = '\0';
	if (strpbrk(pattern, "*?[\\"))
		return 0; /* which of the directories? */
	r = str_printf(ret, "%s/%s", pattern, name);
	return r < 0 ? r : 1;
}

/* Adds the file to the set, as the last that the root imports. */
static int take_place(struct plan *p, const char *name, struct err *why)
{
	size_t index;
	int r;

	for (size_t i = 0; i < p->set.n; i++) {
		if (str_eq(p->set.files[i].name, name)) {
			(void)err_setf(why, ERR_PRECONDITION, EEXIST,
				"%s is there and somebody else's", p->set.files[i].path);
			return 0;
		}
	}
	r = confset_add_import(&p->set, 0, p->daemon.root, name, &index);
	if (r < 0)
		return err_sysf(why, -r, "%s", name);
	p->target = index;
	p->drop_in = true;
	return 1;
}

int drop_in_choose(struct plan *p, struct err *why)
{
	const struct conf_file *f = &p->set.files[0];
	const struct toml_node *root = f->doc ? toml_root(f->doc) : NULL;
	const struct toml_node *version = toml_get(f->doc, root, "version");
	const struct toml_node *imports = toml_get(f->doc, root, "imports");
	_cleanup_free_ char *name = NULL;
	int r;

	(void)err_setf(why, ERR_PRECONDITION, ENOENT, "%s imports no directory", f->path);
	if (p->daemon.major < 2) {
		(void)err_setf(why, ERR_PRECONDITION, ENOENT,
			"containerd %s would take its whole CRI section from it",
			p->daemon.version);
		return 0;
	}
	if (!version || version->type != TOML_INTEGER || version->integer < 2) {
		(void)err_setf(why, ERR_PRECONDITION, ENOENT, "%s says no version", f->path);
		return 0;
	}
	r = file_name(p, &name);
	if (r < 0)
		return r;
	for (const struct toml_node *n = imports ? imports->first : NULL; n; n = n->next) {
		_cleanup_free_ char *place = NULL;

		r = place_for(p, n, name, &place);
		if (r != 0)
			return r > 0 ? take_place(p, place, why) : r;
	}
	return 0;
}

void drop_in_forget(struct plan *p)
{
	if (!p->drop_in)
		return;
	confset_drop_last(&p->set);
	p->drop_in = false;
	p->version = p->put_version = 0;
	p->target = plan_winning_file(p);
}
