#include "mount/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"

enum { MOUNTINFO_MAX = 64 * 1024 * 1024 };

static void entry_done(struct mountinfo_entry *e)
{
	free(e->root);
	free(e->point);
	free(e->options);
	free(e->optional);
	free(e->fstype);
	free(e->source);
	free(e->super);
	*e = (struct mountinfo_entry) {0};
}

void mountinfo_done(struct mountinfo *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		entry_done(&t->entries[i]);
	free(t->entries);
	*t = (struct mountinfo)MOUNTINFO_INIT;
}

void mountinfo_truncate(struct mountinfo *t, size_t n)
{
	while (t->n > n)
		entry_done(&t->entries[--t->n]);
}

/* Blank, tab, newline and backslash are written as \ooo by the kernel. In place. */
static void unescape(char *s)
{
	char *w = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			s[3] >= '0' && s[3] <= '7') {
			*w++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*w++ = *s++;
		}
	}
	*w = '\0';
}

/* Cuts the next blank-separated word off *p. NULL at the end of the line. */
static char *next_word(char **p)
{
	char *word = *p;
	char *end;

	if (!word || !*word)
		return NULL;
	end = strchr(word, ' ');
	if (end)
		*end++ = '\0';
	*p = end;
	return word;
}

static int copy_word(char **ret, const char *word)
{
	int r = str_dup(ret, word);

	if (r == 0)
		unescape(*ret);
	return r;
}

static int parse_device(const char *word, struct mountinfo_entry *e)
{
	_cleanup_free_ char *major = strdup(word);
	char *minor;
	uint64_t a, b;

	if (!major)
		return -ENOMEM;
	minor = strchr(major, ':');
	if (!minor)
		return -EINVAL;
	*minor++ = '\0';
	if (num_parse_u64(major, UINT32_MAX, &a) < 0 || num_parse_u64(minor, UINT32_MAX, &b) < 0)
		return -EINVAL;
	e->major = (unsigned)a;
	e->minor = (unsigned)b;
	return 0;
}

/* The words between the mount's options and the dash, joined by blanks again. */
static int parse_optional(char **p, char **ret)
{
	_cleanup_free_ char *all = strdup("");
	char *word;

	while (all && (word = next_word(p))) {
		char *longer;

		if (str_eq(word, "-")) {
			*ret = TAKE_PTR(all);
			return 0;
		}
		if (str_printf(&longer, "%s%s%s", all, *all ? " " : "", word) < 0)
			return -ENOMEM;
		free(all);
		all = longer;
	}
	return all ? -EINVAL : -ENOMEM;
}

static int parse_line(char *line, struct mountinfo_entry *e)
{
	char *words[6], *tail[3];
	uint64_t id, parent;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		words[i] = next_word(&line);
		if (!words[i])
			return -EINVAL;
	}
	if (num_parse_u64(words[0], INT32_MAX, &id) < 0 ||
		num_parse_u64(words[1], INT32_MAX, &parent) < 0)
		return -EINVAL;
	e->id = (int)id;
	e->parent = (int)parent;
	r = parse_device(words[2], e);
	if (r < 0)
		return r;
	r = parse_optional(&line, &e->optional);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(tail); i++) {
		tail[i] = next_word(&line);
		/* a file system without a source has an empty word there */
		if (!tail[i] && i == 0)
			return -EINVAL;
	}
	if (copy_word(&e->root, words[3]) < 0 || copy_word(&e->point, words[4]) < 0 ||
		copy_word(&e->options, words[5]) < 0 || copy_word(&e->fstype, tail[0]) < 0 ||
		copy_word(&e->source, tail[1] ? tail[1] : "") < 0 ||
		copy_word(&e->super, tail[2] ? tail[2] : "") < 0)
		return -ENOMEM;
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (const char *p = text; (p = strchr(p, '\n')); p++)
		n++;
	return n + 1;
}

static int parse_lines(char *line, struct mountinfo *t, struct err *err)
{
	for (size_t number = 1; line && *line; number++) {
		char *end = strchr(line, '\n');
		int r;

		if (end)
			*end++ = '\0';
		r = parse_line(line, &t->entries[t->n]);
		t->n++; /* before the check: what was copied of a bad line is freed too */
		if (r == -ENOMEM)
			return err_sysf(err, ENOMEM, "mount table");
		if (r < 0)
			return err_setf(err, ERR_INVALID, EBADMSG,
				"mount table: line %zu is no mountinfo line", number);
		line = end;
	}
	return 0;
}

int mountinfo_parse(const char *text, struct mountinfo *ret_table, struct err *err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct mountinfo t = {.entries = calloc(count_lines(text), sizeof(*t.entries))};
	int r;

	if (copy && t.entries)
		r = parse_lines(copy, &t, err);
	else
		r = err_sysf(err, ENOMEM, "mount table");
	if (r < 0)
		mountinfo_done(&t);
	else
		*ret_table = t;
	return r;
}

int mountinfo_read(int dirfd, const char *path, struct mountinfo *ret_table, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = file_read_at(dirfd, path, MOUNTINFO_MAX, &text, NULL, err);

	if (r < 0)
		return r;
	return mountinfo_parse(text ? text : "", ret_table, err);
}

/* ---- what can be reached ---- */

struct place {
	const struct mountinfo_entry *entry;
};

/* The entries by parent and mount point: a node with many pods has thousands. */
struct by_place {
	struct place *v;
	size_t n;
};

static int compare_place(const struct mountinfo_entry *e, int parent, const char *point, size_t len)
{
	int r;

	if (e->parent != parent)
		return e->parent < parent ? -1 : 1;
	r = strncmp(e->point, point, len);
	return r != 0 ? r : e->point[len] != '\0';
}

static int sort_places(const void *a, const void *b)
{
	const struct mountinfo_entry *l = ((const struct place *)a)->entry;
	const struct mountinfo_entry *r = ((const struct place *)b)->entry;

	return compare_place(l, r->parent, r->point, strlen(r->point));
}

/* The first that is not before this place: index->n if there is none. */
static size_t lower_bound(const struct by_place *index, int parent, const char *point, size_t len)
{
	size_t low = 0, high = index->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_place(index->v[middle].entry, parent, point, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct mountinfo_entry *find_place(
	const struct by_place *index, int parent, const char *point, size_t len)
{
	size_t at = lower_bound(index, parent, point, len);

	return at < index->n && compare_place(index->v[at].entry, parent, point, len) == 0
		       ? index->v[at].entry
		       : NULL;
}

static int make_index(const struct mountinfo *t, struct by_place *ret)
{
	ret->v = calloc(t->n + 1, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++)
		ret->v[i].entry = &t->entries[i];
	ret->n = t->n;
	if (t->n > 0)
		qsort(ret->v, t->n, sizeof(*ret->v), sort_places);
	return 0;
}

/*
 * The mount that is on top at the point of `e`: one mounted over another at the same point has the
 * covered one as its parent. A root may be its own parent. The kernel gives a table in pieces, and
 * ids that are free again to new mounts meanwhile: two may stand on each other then, and the walk
 * ends when it has had as many as there are.
 */
static const struct mountinfo_entry *topmost(
	const struct by_place *index, const struct mountinfo_entry *e)
{
	size_t len = strlen(e->point);

	for (size_t turns = 0; turns < index->n; turns++) {
		size_t at = lower_bound(index, e->id, e->point, len);

		if (at < index->n && index->v[at].entry == e)
			at++;
		if (at == index->n || compare_place(index->v[at].entry, e->id, e->point, len) != 0)
			break;
		e = index->v[at].entry;
	}
	return e;
}

/* The namespace's root: its parent is not in the table. */
static const struct mountinfo_entry *find_root(const struct mountinfo *t)
{
	for (size_t i = 0; i < t->n; i++) {
		bool has_parent = false;

		for (size_t j = 0; j < t->n && !has_parent; j++)
			has_parent = j != i && t->entries[j].id == t->entries[i].parent;
		if (!has_parent)
			return &t->entries[i];
	}
	return NULL;
}

/* Whether a sibling is mounted above the point of `e`, so that no walk gets there. */
static bool below_sibling(const struct by_place *index, const struct mountinfo_entry *e)
{
	for (size_t len = strlen(e->point); len > 1; len--) {
		const struct mountinfo_entry *s;

		if (e->point[len - 1] != '/')
			continue;
		s = find_place(index, e->parent, e->point, len - 1);
		if (s && s->id != e->parent)
			return true;
	}
	return false;
}

/* Breadth first from the root: `order` grows while it is walked. */
static size_t walk(
	const struct mountinfo *t, const struct by_place *index, bool *kept, size_t *order)
{
	const struct mountinfo_entry *root = find_root(t);
	size_t n = 0;

	if (!root)
		return 0;
	order[n] = (size_t)(topmost(index, root) - t->entries);
	kept[order[n++]] = true;
	for (size_t at = 0; at < n; at++) {
		int id = t->entries[order[at]].id;

		for (size_t i = lower_bound(index, id, "", 0);
			i < index->n && index->v[i].entry->parent == id; i++) {
			size_t top;

			if (kept[index->v[i].entry - t->entries] ||
				below_sibling(index, index->v[i].entry))
				continue;
			top = (size_t)(topmost(index, index->v[i].entry) - t->entries);
			if (kept[top])
				continue;
			kept[top] = true;
			order[n++] = top;
		}
	}
	return n;
}

int mountinfo_keep_visible(struct mountinfo *t, struct err *err)
{
	_cleanup_free_ size_t *order = calloc(t->n + 1, sizeof(*order));
	_cleanup_free_ bool *kept = calloc(t->n + 1, sizeof(*kept));
	struct mountinfo_entry *sorted = calloc(t->n + 1, sizeof(*sorted));
	struct by_place index = {.n = 0};
	size_t n;

	if (!order || !kept || !sorted || make_index(t, &index) < 0) {
		free(sorted);
		return err_sysf(err, ENOMEM, "mount table");
	}
	n = walk(t, &index, kept, order);
	free(index.v);
	for (size_t i = 0; i < n; i++)
		sorted[i] = t->entries[order[i]];
	for (size_t i = 0; i < t->n; i++) {
		if (!kept[i])
			entry_done(&t->entries[i]);
	}
	free(t->entries);
	t->entries = sorted;
	t->n = n;
	return 0;
}

bool mountinfo_has_option(const char *options, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = options; p && *p;) {
		const char *end = strchrnul(p, ',');

		if (strncmp(p, word, len) == 0 && (p + len == end || p[len] == '='))
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

const struct mountinfo_entry *mountinfo_find(const struct mountinfo *t, const char *point)
{
	for (size_t i = t->n; i-- > 0;) {
		if (str_eq(t->entries[i].point, point))
			return &t->entries[i];
	}
	return NULL;
}

bool mountinfo_is_point(int proc_fd, const char *point)
{
	_cleanup_(mountinfo_done) struct mountinfo t = MOUNTINFO_INIT;
	struct statx st;

	if (statx(AT_FDCWD, point, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0,
		    &st) < 0)
		return false;
	if (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
		return st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	/* before Linux 5.8 the table has to be read */
	return mountinfo_read(proc_fd, "self/mountinfo", &t, NULL) == 0 &&
	       mountinfo_keep_visible(&t, NULL) == 0 && mountinfo_find(&t, point) != NULL;
}
