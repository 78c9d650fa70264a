#include "mask/plan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"

enum { LINKS_MAX = 20, SEEN_MAX = 64 };

/* What is at a path. */
struct found {
	mode_t mode;
	uid_t uid;
	bool mount_root;
};

struct planner {
	int root;
	/* directories on the way to earlier patterns: most have their first ones in common */
	struct seen {
		char *path;
		struct found found;
	} seen[SEEN_MAX];
	size_t n_seen;
	const struct mask_rules *rules;
	char *const *walked;
	struct mask_plan plan;
	struct err *err;
};

/* One pattern on its way: `done` is canonical, `todo` what is left of it (without '/' in front). */
struct step {
	const char *done;
	const char *todo;
	bool custom;
	unsigned links;
};

static int walk(struct planner *p, struct step s);
static int hide(struct planner *p, const char *path);

void mask_plan_done(struct mask_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		free(plan->v[i].path);
	free(plan->v);
	*plan = (struct mask_plan)MASK_PLAN_INIT;
}

static int open_below(struct planner *p, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve};
	const char *relative = path[1] ? path + 1 : ".";

	for (int tries = 0; tries < 16; tries++) {
		long fd = syscall(SYS_openat2, p->root, relative, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		/* EAGAIN: something was renamed during the walk */
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

/* A link is a link, an automounter is not set off, a server not asked. 1, or 0 if nothing is there,
 * or -errno. */
static int look(struct planner *p, const char *path, struct found *ret)
{
	_cleanup_close_ int fd = open_below(p, path, O_PATH | O_NOFOLLOW, 0);
	struct statx st;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	if (fd < 0)
		return err_sysf(p->err, -fd, "%s", path);
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		    STATX_TYPE | STATX_UID, &st) < 0)
		return err_sysf(p->err, errno, "%s", path);
	*ret = (struct found) {.mode = st.stx_mode,
		.uid = st.stx_uid,
		.mount_root = (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0};
	return 1;
}

/* The same for a path on the way to others. */
static int look_on_the_way(struct planner *p, const char *path, struct found *ret)
{
	int r;

	for (size_t i = 0; i < p->n_seen; i++) {
		if (str_eq(p->seen[i].path, path)) {
			*ret = p->seen[i].found;
			return 1;
		}
	}
	r = look(p, path, ret);
	if (r <= 0 || !S_ISDIR(ret->mode) || p->n_seen == SEEN_MAX)
		return r;
	p->seen[p->n_seen].path = strdup(path);
	if (!p->seen[p->n_seen].path)
		return err_sysf(p->err, ENOMEM, "%s", path);
	p->seen[p->n_seen++].found = *ret;
	return r;
}

static bool is_barrier(const struct planner *p, const char *path, const struct found *st)
{
	for (char *const *w = p->walked; w && *w; w++) {
		if (str_eq(*w, path))
			return false;
	}
	return st->mount_root;
}

static int join(struct planner *p, const char *dir, const char *name, char **ret)
{
	int r = str_printf(ret, "%s/%s", dir[1] ? dir : "", name);

	if (r == 0 && strlen(*ret) >= PATH_MAX) {
		free(*ret);
		*ret = NULL;
		return 1; /* nobody can name it */
	}
	return r < 0 ? err_sysf(p->err, -r, "%s/%s", dir, name) : 0;
}

/* The names of a directory that match `pattern` (NULL: all). */
static int list(struct planner *p, const char *path, const char *pattern, char ***ret)
{
	int fd = open_below(p, path, O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	_cleanup_strv_ char **names = NULL;
	struct dirent *e;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	if (!dir)
		return err_sysf(p->err, fd < 0 ? -fd : errno, "%s", path);
	while (errno = 0, (e = readdir(dir))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (pattern && !mask_matches(pattern, e->d_name))
			continue;
		if (strv_append(&names, e->d_name) < 0)
			return err_sysf(p->err, ENOMEM, "%s", path);
	}
	if (errno != 0)
		return err_sysf(p->err, errno, "%s", path);
	*ret = TAKE_PTR(names);
	return 0;
}

/* ---- entries ---- */

#define POLICY "/usr/sbin/policy-rc.d"

static enum mask_kind kind_of(const char *path)
{
	if (str_eq(path, POLICY))
		return MASK_DENY;
	return str_eq(path, "/etc/shadow") || str_eq(path, "/etc/gshadow") ? MASK_LOCK : MASK_HIDE;
}

static int add_entry(struct planner *p, const char *path)
{
	struct mask_plan *plan = &p->plan;
	char *copy;

	if (plan->n >= MASK_ENTRIES_MAX)
		return err_setf(p->err, ERR_EXHAUSTED, EMFILE,
			"more than %d paths of this host are to be hidden", MASK_ENTRIES_MAX);
	if (plan->n == plan->cap) {
		size_t cap = plan->cap ? 2 * plan->cap : 64;
		struct mask_entry *v = reallocarray(plan->v, cap, sizeof(*v));

		if (!v)
			return err_sysf(p->err, ENOMEM, "hidden paths");
		plan->v = v;
		plan->cap = cap;
	}
	copy = strdup(path);
	if (!copy)
		return err_sysf(p->err, ENOMEM, "hidden paths");
	plan->v[plan->n++] = (struct mask_entry) {copy, kind_of(path)};
	return 0;
}

/* A directory of which a part stays: its other entries, one by one. */
static int hide_around(struct planner *p, const char *path)
{
	_cleanup_strv_ char **names = NULL;
	int r = list(p, path, NULL, &names);

	for (char **n = names; r == 0 && n && *n; n++) {
		_cleanup_free_ char *child = NULL;

		r = join(p, path, *n, &child);
		if (r == 0)
			r = hide(p, child);
		else if (r > 0)
			r = 0;
	}
	return r;
}

static int hide(struct planner *p, const char *path)
{
	struct found st = {.mode = 0};
	int r;

	if (!path[1] || mask_rules_allow(p->rules, path))
		return 0; /* never the root, whatever a link says */
	if (!mask_rules_allow_below(p->rules, path))
		return add_entry(p, path);
	r = look(p, path, &st);
	if (r < 0)
		return r;
	return r > 0 && S_ISDIR(st.mode) ? hide_around(p, path) : add_entry(p, path);
}

/* ---- the walk ---- */

/* Whether root would follow it: root's own link, or one of the owner of what it leads to. */
static bool is_trusted_link(struct planner *p, const char *path, const struct found *link)
{
	_cleanup_close_ int target = -EBADF;
	struct stat st;

	if (link->uid == 0)
		return true;
	target = open_below(p, path, O_PATH, 0);
	return target >= 0 && fstat(target, &st) == 0 && st.st_uid == link->uid;
}

/* Text of a link as a pattern that matches only itself. */
static int escape(const char *text, struct buf *out)
{
	int r = 0;

	for (; *text && r == 0; text++)
		r = buf_printf(out, "%s%c", strchr("*?[]\\", *text) ? "\\" : "", *text);
	return r;
}

static int follow(struct planner *p, struct step s, const char *path, const char *rest)
{
	_cleanup_(buf_done) struct buf todo = BUF_INIT(8 * PATH_MAX);
	_cleanup_close_ int fd = open_below(p, path, O_PATH | O_NOFOLLOW, 0);
	char target[PATH_MAX];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return 0; /* replaced meanwhile: hidden as it is */
	target[n] = '\0';
	r = escape(target, &todo);
	if (r == 0)
		r = buf_printf(&todo, "/%s", rest);
	if (r < 0)
		return err_sysf(p->err, -r, "%s", path);
	s.links++;
	s.todo = todo.data;
	if (target[0] == '/')
		s.done = "/";
	return walk(p, s);
}

/* One entry of the directory s.done; `rest` of the pattern is below it. */
static int walk_name(
	struct planner *p, struct step s, const char *name, const char *rest, bool sure)
{
	_cleanup_free_ char *path = NULL;
	bool last = rest[strspn(rest, "/")] == '\0';
	struct found st = {.mode = 0};
	int r = join(p, s.done, name, &path);

	if (r != 0)
		return r < 0 ? r : 0;
	r = last ? look(p, path, &st) : look_on_the_way(p, path, &st);
	if (r < 0)
		return r;
	if (r == 0) /* a plain name: not there yet */
		return sure ? hide(p, path) : 0;
	if (S_ISLNK(st.mode)) {
		bool trusted = s.links < LINKS_MAX && is_trusted_link(p, path, &st);

		r = last || !trusted ? hide(p, path) : 0;
		return r == 0 && trusted ? follow(p, s, path, rest) : r;
	}
	if (last)
		return hide(p, path);
	if (!S_ISDIR(st.mode))
		return 0;
	if (is_barrier(p, path, &st) && (!s.custom || mask_is_glob(s.todo)))
		return 0;
	s.done = path;
	s.todo = rest;
	return walk(p, s);
}

/* "/a/b" → "/a", "/a" → "/". */
static void to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path ? 1 : 0] = '\0';
}

static int walk_up(struct planner *p, struct step s, const char *rest)
{
	_cleanup_free_ char *parent = NULL;

	if (str_dup(&parent, s.done) < 0)
		return err_sysf(p->err, ENOMEM, "%s", s.done);
	to_parent(parent);
	s.done = parent;
	s.todo = rest;
	return walk(p, s);
}

/* Takes the backslashes out of a part without globs. */
static void unescape(char *part)
{
	char *to = part;

	for (const char *from = part; *from; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*to = '\0';
}

static int walk(struct planner *p, struct step s)
{
	_cleanup_strv_ char **names = NULL;
	char part[NAME_MAX * 2 + 1];
	size_t len;
	int r = 0;

	s.todo += strspn(s.todo, "/");
	len = strcspn(s.todo, "/");
	if (len == 0) /* a link led to a directory that is on the way already */
		return hide(p, s.done);
	if (len >= sizeof(part))
		return 0;
	memcpy(part, s.todo, len);
	part[len] = '\0';
	if (str_eq(part, "."))
		return walk(p, (struct step) {s.done, s.todo + len, s.custom, s.links});
	if (str_eq(part, ".."))
		return walk_up(p, s, s.todo + len);
	if (!mask_is_glob(part)) {
		unescape(part);
		return walk_name(p, s, part, s.todo + len, true);
	}
	r = list(p, s.done, part, &names);
	for (char **n = names; r == 0 && n && *n; n++)
		r = walk_name(p, s, *n, s.todo + len, false);
	return r;
}

static int plan_pattern(void *arg, const char *pattern, bool custom)
{
	struct planner *p = arg;

	return walk(p, (struct step) {.done = "/", .todo = pattern, .custom = custom});
}

/* ---- order ---- */

/* As strcmp, but what is below a directory follows it at once: '/' before all other bytes. */
static int compare(const void *a, const void *b)
{
	const unsigned char *x = (const unsigned char *)((const struct mask_entry *)a)->path;
	const unsigned char *y = (const unsigned char *)((const struct mask_entry *)b)->path;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	return (*x == '/' ? 1 : *x ? *x + 1 : 0) - (*y == '/' ? 1 : *y ? *y + 1 : 0);
}

static void drop_covered(struct mask_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++) {
		const char *last = n > 0 ? plan->v[n - 1].path : NULL;
		size_t len = last ? strlen(last) : 0;

		if (last && strncmp(plan->v[i].path, last, len) == 0 &&
			(plan->v[i].path[len] == '\0' || plan->v[i].path[len] == '/'))
			free(plan->v[i].path);
		else
			plan->v[n++] = plan->v[i];
	}
	plan->n = n;
}

static int deny_services(struct planner *p)
{
	_cleanup_close_ int fd =
		open_below(p, "/usr/sbin/invoke-rc.d", O_PATH, RESOLVE_NO_SYMLINKS);

	return fd < 0 || mask_rules_allow(p->rules, POLICY) ? 0 : add_entry(p, POLICY);
}

int mask_plan_make(int root, const struct mask_rules *rules, char *const *walked,
	struct mask_plan *ret_plan, struct err *err)
{
	struct err reason = ERR_INIT;
	struct planner p = {
		.root = root, .rules = rules, .walked = walked, .err = err ? err : &reason};
	int r = mask_rules_each(rules, plan_pattern, &p);

	if (r == 0)
		r = deny_services(&p);
	for (size_t i = 0; i < p.n_seen; i++)
		free(p.seen[i].path);
	if (r < 0) {
		mask_plan_done(&p.plan);
		return r;
	}
	if (p.plan.n > 0)
		qsort(p.plan.v, p.plan.n, sizeof(*p.plan.v), compare);
	drop_covered(&p.plan);
	*ret_plan = p.plan;
	return 0;
}
