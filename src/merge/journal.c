#include "merge/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/sha256.h"
#include "base/str.h"
#include "node/confset.h"
#include "node/root.h"
#include "merge/stanza.h"
#include "toml/toml.h"

enum { JOURNAL_SIZE_MAX = 64 << 10 };

static const char *const phase_names[] = {
	[JOURNAL_NONE] = "none",
	[JOURNAL_INTENT] = "intent",
	[JOURNAL_WRITTEN] = "written",
	[JOURNAL_DONE] = "done",
};

void journal_done(struct journal *j)
{
	free(j->handler);
	free(j->config);
	free(j->backup);
	free(j->containerd);
	free(j->unit);
	free(j->time);
	*j = (struct journal)JOURNAL_INIT;
}

static int path_of(const char *root, const char *handler, char **ret)
{
	bool usual = !handler || str_eq(handler, STANZA_HANDLER);
	_cleanup_free_ char *name = NULL;
	int r = str_printf(
		&name, JOURNAL_DIR "/journal%s%s", usual ? "" : "-", usual ? "" : handler);

	return r < 0 ? r : root_path(root, name, ret);
}

static int backup_path(const char *root, const char *file, char **ret)
{
	_cleanup_free_ char *name = NULL;
	int r = str_printf(&name, JOURNAL_DIR "/backups/%s", file);

	return r < 0 ? r : root_path(root, name, ret);
}

/* ---- reading: the file is TOML, for we have a reader ---- */

static bool get_number(const struct toml_doc *doc, const char *key, int64_t max, int64_t *ret)
{
	const struct toml_node *n = toml_get(doc, toml_root(doc), key);

	if (!n || n->type != TOML_INTEGER || n->integer < 0 || n->integer > max)
		return false;
	*ret = n->integer;
	return true;
}

static bool get_hash(const struct toml_doc *doc, const char *key, char ret[65])
{
	const char *s = toml_get_string(doc, toml_root(doc), key);

	if (!s || (strlen(s) != 64 && *s))
		return false;
	memcpy(ret, s, strlen(s) + 1);
	return true;
}

static int from_doc(const struct toml_doc *doc, struct journal *j)
{
	const struct toml_node *root = toml_root(doc);
	const char *phase = toml_get_string(doc, root, "phase");
	const char *backup = toml_get_string(doc, root, "backup");
	const struct toml_node *created = toml_get(doc, root, "created");
	int64_t format, mode, uid, gid, dirs;

	if (!phase || !get_number(doc, "format", JOURNAL_FORMAT, &format) ||
		!get_number(doc, "mode", 07777, &mode) ||
		!get_number(doc, "uid", UINT32_MAX, &uid) ||
		!get_number(doc, "gid", UINT32_MAX, &gid) ||
		!get_number(doc, "dirs_made", 100, &dirs) || !get_hash(doc, "before", j->before) ||
		!get_hash(doc, "after", j->after) || !created || created->type != TOML_BOOL ||
		str_empty(toml_get_string(doc, root, "config")) || (backup && strchr(backup, '/')))
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(phase_names); i++) {
		if (str_eq(phase, phase_names[i]))
			j->phase = (enum journal_phase)i;
	}
	j->created = created->boolean;
	j->mode = (mode_t)mode;
	j->uid = (uid_t)uid;
	j->gid = (gid_t)gid;
	j->dirs_made = (int)dirs;
	if (str_dup(&j->config, toml_get_string(doc, root, "config")) < 0 ||
		str_dup(&j->backup, str_empty(backup) ? NULL : backup) < 0 ||
		str_dup(&j->containerd, toml_get_string(doc, root, "containerd")) < 0 ||
		str_dup(&j->unit, toml_get_string(doc, root, "unit")) < 0 ||
		str_dup(&j->time, toml_get_string(doc, root, "time")) < 0)
		return -ENOMEM;
	return 1;
}

int journal_load(const char *root, const char *handler, struct journal *ret, struct err *err)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc = NULL;
	_cleanup_(journal_done) struct journal j = JOURNAL_INIT;
	_cleanup_free_ char *path = NULL, *text = NULL;
	size_t len = 0;
	int r = path_of(root, handler, &path);

	if (r < 0 && r != -ENOENT)
		return err_sysf(err, -r, "%s" JOURNAL_DIR, root);
	if (r == 0)
		r = file_read_at(AT_FDCWD, path, JOURNAL_SIZE_MAX, &text, &len, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r; /* none of ours: the markers say enough */
	if (toml_parse(path, text ? text : "", len, 0, &doc, err) < 0)
		return -EBADMSG;
	r = from_doc(doc, &j);
	if (r < 0)
		return err_setf(err, ERR_INVALID, -r,
			"%s is incomplete or of a newer reaperctl, and is not used", path);
	r = str_dup(&j.handler, handler);
	if (r < 0)
		return err_sysf(err, -r, "journal");
	*ret = j;
	j = (struct journal)JOURNAL_INIT;
	return 1;
}

/* ---- writing ---- */

static int put_string(struct buf *b, const char *key, const char *s)
{
	int r = buf_printf(b, "%s = \"", key);

	for (const char *p = s ? s : ""; *p && r == 0; p++) {
		if (*p == '"' || *p == '\\')
			r = buf_printf(b, "\\%c", *p);
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			r = buf_printf(b, "\\u%04x", (unsigned char)*p);
		else
			r = buf_append(b, p, 1);
	}
	return r < 0 ? r : buf_append_str(b, "\"\n");
}

static int to_text(const struct journal *j, struct buf *b)
{
	int bad = 0;

	bad |= buf_printf(b,
		"# What reaperctl did to containerd's configuration; `reaperctl containerd undo` "
		"reads it.\nformat = %d\n",
		JOURNAL_FORMAT);
	bad |= put_string(b, "phase", phase_names[j->phase]);
	bad |= put_string(b, "config", j->config);
	bad |= buf_printf(b, "created = %s\ndirs_made = %d\nmode = 0o%o\nuid = %u\ngid = %u\n",
		j->created ? "true" : "false", j->dirs_made, j->mode, j->uid, j->gid);
	bad |= put_string(b, "before", j->before);
	bad |= put_string(b, "after", j->after);
	bad |= put_string(b, "backup", j->backup);
	bad |= put_string(b, "containerd", j->containerd);
	bad |= put_string(b, "unit", j->unit);
	bad |= put_string(b, "time", j->time);
	return bad ? -ENOMEM : 0;
}

int journal_save(const char *root, const struct journal *j, int *ret_made, struct err *err)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(JOURNAL_SIZE_MAX);
	_cleanup_free_ char *path = NULL;
	int made = root_mkdirs(root, JOURNAL_DIR, 0755, 0700), r;

	if (made < 0)
		return err_sysf(err, -made, "%s" JOURNAL_DIR, root);
	*ret_made += made;
	r = path_of(root, j->handler, &path);
	if (r == 0)
		r = to_text(j, &b);
	if (r < 0)
		return err_sysf(err, -r, "journal");
	return file_replace_at(AT_FDCWD, path, b.data, b.len, 0600, err);
}

void journal_remove(const char *root, const char *handler, int made)
{
	_cleanup_free_ char *path = NULL;

	if (path_of(root, handler, &path) == 0)
		(void)unlink(path);
	root_rmdirs(root, JOURNAL_DIR, made);
}

/* ---- backups ---- */

/* Takes the characters of `drop` out of `text`, in place. */
static const char *without(char *text, const char *drop)
{
	char *out = text;

	for (const char *p = text; *p; p++) {
		if (!strchr(drop, *p))
			*out++ = *p;
	}
	*out = '\0';
	return text;
}

int journal_backup(const char *root, const void *data, size_t len, char **ret_name, int *ret_made,
	struct err *err)
{
	_cleanup_free_ char *path = NULL, *name = NULL;
	char stamp[CLOCK_TEXT_SIZE], hash[SHA256_HEX_SIZE];
	int r, made = root_mkdirs(root, JOURNAL_DIR, 0755, 0700);

	if (made >= 0) {
		*ret_made += made;
		made = root_mkdirs(root, JOURNAL_DIR "/backups", 0700, 0700);
	}
	if (made < 0)
		return err_sysf(err, -made, "%s" JOURNAL_DIR, root);
	sha256_hex(data, len, hash);
	clock_text(clock_wall().tv_sec, stamp);
	r = str_printf(&name, "%s-%.12s.bak", without(stamp, "-:"), hash);
	if (r == 0)
		r = backup_path(root, name, &path);
	if (r < 0)
		return err_sysf(err, -r, "backup");
	r = file_replace_at(AT_FDCWD, path, data, len, 0600, err);
	if (r == 0)
		*ret_name = TAKE_PTR(name);
	return r;
}

int journal_read_backup(
	const char *root, const char *name, char **ret_data, size_t *ret_len, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = backup_path(root, name, &path);

	if (r < 0)
		return err_sysf(err, -r, "backup");
	return file_read_at(AT_FDCWD, path, CONFSET_FILE_MAX, ret_data, ret_len, err);
}

void journal_remove_backup(const char *root, const char *name)
{
	_cleanup_free_ char *path = NULL;

	if (name && backup_path(root, name, &path) == 0)
		(void)unlink(path);
	root_rmdirs(root, JOURNAL_DIR "/backups", 1);
}

static void sweep_directory(const char *root, const char *name)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;

	if (root_path(root, name, &path) < 0)
		return;
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		/* the names that file_replace_at gives to what is not complete */
		if (str_has_prefix(e->d_name, ".journal") ||
			(e->d_name[0] == '.' && strstr(e->d_name, ".bak.")))
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
}

void journal_sweep(const char *root)
{
	sweep_directory(root, JOURNAL_DIR);
	sweep_directory(root, JOURNAL_DIR "/backups");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void journal_rotate(const char *root, const char *keep)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_strv_ char **names = NULL;
	struct dirent *e;
	size_t n;

	if (root_path(root, JOURNAL_DIR "/backups", &path) < 0)
		return;
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (str_has_suffix(e->d_name, ".bak") && !(keep && str_eq(keep, e->d_name)))
			(void)strv_append(&names, e->d_name);
	}
	n = strv_len(names);
	if (!names || n <= JOURNAL_BACKUPS)
		return;
	qsort(names, n, sizeof(*names), compare_names); /* the names begin with the time */
	for (size_t i = 0; i + JOURNAL_BACKUPS < n; i++)
		(void)unlinkat(dirfd(dir), names[i], 0);
}
