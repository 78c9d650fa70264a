#include "node/confset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/str.h"
#include "cli/child.h"
#include "node/root.h"

static void file_done(struct conf_file *f)
{
	free(f->name);
	free(f->path);
	free(f->text);
	free(f->masked);
	toml_doc_free(f->doc);
	free(f->imports);
}

void confset_done(struct confset *s)
{
	for (size_t i = 0; i < s->n; i++)
		file_done(&s->files[i]);
	free(s->files);
	*s = (struct confset)CONFSET_INIT;
}

/* The index of a file, added to the end if it is new. -E2BIG, -ENOMEM. */
static int add_file(struct confset *s, const char *root, const char *name, size_t *ret_index)
{
	struct conf_file *more, *f;

	for (size_t i = 0; i < s->n; i++) {
		if (str_eq(s->files[i].name, name)) {
			*ret_index = i;
			return 0;
		}
	}
	if (s->n == CONFSET_FILES_MAX)
		return -E2BIG;
	more = reallocarray(s->files, s->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->files = more;
	f = &s->files[s->n];
	*f = (struct conf_file) {0};
	if (str_dup(&f->name, name) < 0 || str_printf(&f->path, "%s%s", root, name) < 0) {
		free(f->name);
		return -ENOMEM;
	}
	*ret_index = s->n++;
	return 0;
}

int confset_add_import(
	struct confset *s, size_t importer, const char *root, const char *name, size_t *ret_index)
{
	size_t index, n = s->files[importer].n_imports, *more;
	int r = add_file(s, root, name, &index);

	if (r < 0)
		return r;
	more = reallocarray(s->files[importer].imports, n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	more[n] = index;
	s->files[importer].imports = more;
	s->files[importer].n_imports = n + 1;
	*ret_index = index;
	return 0;
}

void confset_drop_last(struct confset *s)
{
	s->n--;
	for (size_t i = 0; i < s->n; i++) {
		struct conf_file *f = &s->files[i];

		while (f->n_imports > 0 && f->imports[f->n_imports - 1] == s->n)
			f->n_imports--;
	}
	file_done(&s->files[s->n]);
}

/* Go's filepath.Clean for an absolute path, in place: "." and "" go, ".." takes a name with it. */
static void clean_path(char *path)
{
	char *out = path;

	for (const char *p = path; *p;) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			*out++ = '/';
			memmove(out, p, n);
			out += n;
		}
		p += n;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

int confset_absolute(const char *importer, const char *import, char **ret)
{
	const char *slash = strrchr(importer, '/');
	int r;

	if (import[0] == '/')
		r = str_dup(ret, import);
	else
		r = str_printf(ret, "%.*s/%s", (int)(slash - importer), importer, import);
	if (r == 0)
		clean_path(*ret);
	return r;
}

/* Older releases look for a relative pattern where the daemon works, which is "/" for a service. */
static bool pattern_is_of_root(const struct daemon *d)
{
	return d->major == 1 && !daemon_at_least(d, 1, 7, 16) && (d->minor != 6 || d->patch < 30);
}

/* A link that leads nowhere is missing with no flags, and is there with O_NOFOLLOW. */
static bool is_missing(const char *root, const char *name, int flags)
{
	_cleanup_close_ int fd = root_open(root, name, O_PATH | flags);

	return fd == -ENOENT;
}

static int resolve_import(const struct daemon *d, struct confset *s, size_t importer,
	const struct toml_node *item, bool *ret_imports, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_strv_ char **names = NULL;
	const char *from = s->files[importer].name, *root = d->root;
	size_t index;
	int r;

	*ret_imports = true;
	if (item->type != TOML_STRING || str_empty(item->text))
		return err_setf(err, ERR_INVALID, EINVAL, "%s, line %u: an import is no file name",
			s->files[importer].name, item->line);
	if (strchr(item->text, '*') && pattern_is_of_root(d))
		from = "/";
	r = confset_absolute(from, item->text, &name);
	if (r == 0 && strchr(item->text, '*')) {
		r = glob_expand(root, name, CONFSET_FILES_MAX, &names);
		for (char **n = names; r == 0 && n && *n; n++)
			r = confset_add_import(s, importer, root, *n, &index);
	} else if (r == 0) {
		if (is_missing(root, name, 0))
			return err_setf(err, ERR_INVALID, ENOENT,
				"%s, line %u: imports \"%s\", which does not exist",
				s->files[importer].name, item->line, item->text);
		r = confset_add_import(s, importer, root, name, &index);
	}
	if (r < 0)
		return err_sysf(err, -r, "%s: imports \"%s\"", s->files[importer].name, item->text);
	*ret_imports = false;
	return 0;
}

/* Link of a drop-in that somebody has switched off. */
static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* `off`: /dev/null in its place is an empty file. */
static int read_text(struct conf_file *f, const char *root, bool off, struct err *err)
{
	_cleanup_close_ int fd = root_open(root, f->name, O_RDONLY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return err_sysf(err, -fd, "%s", f->path);
	if (fstat(fd, &st) < 0)
		return err_sysf(err, errno, "%s", f->path);
	if (off && is_null(&st))
		f->exists = true;
	else if (!S_ISREG(st.st_mode))
		return err_setf(err, ERR_UNKNOWN, EISDIR, "%s is no regular file", f->path);
	if (f->exists)
		return 0;
	r = file_read_fd(fd, f->path, CONFSET_FILE_MAX, &f->text, &f->len, err);
	if (r == 0)
		f->exists = true;
	return r;
}

static int read_file(struct conf_file *f, const char *root, bool off, struct err *err)
{
	int r = read_text(f, root, off, err);

	return r < 0 ? r
		     : toml_parse(
			       f->path, f->text ? f->text : "", f->len, TOML_LENIENT, &f->doc, err);
}

int confset_add_file(const struct daemon *d, struct confset *s, const char *name, size_t *ret_index,
	struct err *err)
{
	int r = add_file(s, d->root, name, ret_index);

	if (r < 0)
		return err_sysf(err, -r, "%s", name);
	if (s->files[*ret_index].exists)
		return 1;
	r = read_file(&s->files[*ret_index], d->root, false, err);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static bool is_marker(const char *line, size_t len)
{
	return len > 3 && (memcmp(line, "#>>", 3) == 0 || memcmp(line, "#<<", 3) == 0);
}

int confset_add_template(const struct daemon *d, struct confset *s, const char *name,
	size_t *ret_index, struct err *err)
{
	int r = add_file(s, d->root, name, ret_index);
	struct conf_file *f;

	if (r < 0)
		return err_sysf(err, -r, "%s", name);
	f = &s->files[*ret_index];
	r = read_text(f, d->root, false, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	f->masked = malloc(f->len + 1);
	if (!f->masked)
		return err_sysf(err, ENOMEM, "%s", name);
	for (size_t at = 0, n; at < f->len; at += n) {
		const char *line = f->text + at, *nl = memchr(line, '\n', f->len - at);

		n = nl ? (size_t)(nl - line) + 1 : f->len - at;
		if (is_marker(line, n))
			memcpy(f->masked + at, line, n);
		else
			memset(f->masked + at, ' ', n - (nl != NULL));
		if (nl)
			f->masked[at + n - 1] = '\n';
	}
	f->masked[f->len] = '\0';
	r = toml_parse(f->path, f->masked, f->len, TOML_LENIENT, &f->doc, err);
	return r < 0 ? r : 1;
}

int confset_cut(struct conf_file *f, size_t begin, size_t end, struct err *err)
{
	memmove(f->text + begin, f->text + end, f->len - end + 1);
	f->len -= end - begin;
	f->doc = toml_doc_free(f->doc);
	return toml_parse(f->path, f->text, f->len, TOML_LENIENT, &f->doc, err);
}

int confset_load(const struct daemon *d, struct confset *s, bool *ret_imports, struct err *err)
{
	size_t root;
	int r = add_file(s, d->root, d->config, &root);

	*ret_imports = false;
	if (r < 0)
		return err_sysf(err, -r, "%s", d->config);
	if (is_missing(d->root, d->config, O_NOFOLLOW))
		return 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct toml_node *imports;

		r = read_file(&s->files[i], d->root, i > 0, err);
		if (r < 0)
			return r;
		imports = toml_get(s->files[i].doc, toml_root(s->files[i].doc), "imports");
		if (imports && imports->type != TOML_ARRAY) {
			*ret_imports = true;
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s, line %u: imports is no array", s->files[i].path,
				imports->line);
		}
		for (const struct toml_node *n = imports ? imports->first : NULL; n; n = n->next) {
			r = resolve_import(d, s, i, n, ret_imports, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* The bytes of one file with its imports replaced by the descriptors that stand for them. */
static int write_file(int fd, const struct conf_file *f, const char *text, size_t len,
	const struct toml_node *imports, const int *fds)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(CONFSET_FILE_MAX + (1UL << 20));
	int r;

	if (!imports)
		return file_write_all(fd, text, len);
	r = buf_append(&b, text, imports->begin);
	if (r == 0)
		r = buf_append_str(&b, "[");
	for (size_t i = 0; i < f->n_imports && r == 0; i++)
		r = buf_printf(
			&b, "%s\"/proc/%d/fd/%d\"", i ? ", " : "", getpid(), fds[f->imports[i]]);
	if (r == 0)
		r = buf_append_str(&b, "]");
	if (r == 0)
		r = buf_append(&b, text + imports->end, len - imports->end);
	return r < 0 ? r : file_write_all(fd, b.data, b.len);
}

/*
 * `imports` in a text that may be the file's own or a candidate: where the text up to its end is
 * the file's, it need not be read again.
 */
static int find_imports(const struct conf_file *f, const char *text, size_t len,
	struct toml_doc **doc, const struct toml_node **ret, struct err *err)
{
	const struct toml_node *n = f->doc ? toml_get(f->doc, toml_root(f->doc), "imports") : NULL;
	int r;

	*ret = n;
	if (!n || (f->text && n->end <= len && memcmp(text, f->text, n->end) == 0))
		return 0;
	r = toml_parse(f->path, text, len, TOML_LENIENT, doc, err);
	if (r == 0)
		*ret = toml_get(*doc, toml_root(*doc), "imports");
	return r;
}

static int fill_file(const struct conf_file *f, const char *text, size_t len, const int *fds,
	int fd, struct err *err)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc = NULL;
	const struct toml_node *imports;
	int r = find_imports(f, text, len, &doc, &imports, err);

	if (r < 0)
		return r;
	r = write_file(fd, f, text, len, imports, fds);
	return r < 0 ? err_sysf(err, -r, "%s: candidate in memory", f->path) : 0;
}

/*
 * All files as memory files that /proc/PID/fd names: the program reads them like any other file,
 * wherever the real ones lie (--root) and whatever is to be tried.
 */
static int fill_files(const struct confset *s, size_t index, const char *text, size_t len, int *fds,
	struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		fds[i] = memfd_create("config.toml", MFD_CLOEXEC);
		if (fds[i] < 0)
			return err_sysf(err, errno, "memfd_create");
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_file *f = &s->files[i];
		bool other = text && i == index;
		int r;

		if (f->masked) /* nobody imports a template */
			continue;
		r = fill_file(f,
			other     ? text
			: f->text ? f->text
				  : "",
			other ? len : f->len, fds, fds[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_dump(const struct daemon *d, char *const *argv, char **ret_text,
	struct toml_doc **ret_doc, struct err *err)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_(toml_doc_freep) struct toml_doc *doc = NULL;
	struct child_spec spec = {.path = d->program, .argv = argv, .timeout_s = 180};
	int r = child_must(&spec, &res, err);

	if (r < 0)
		return r;
	if (!res.out.data)
		return err_setf(
			err, ERR_PRECONDITION, EIO, "%s config dump says nothing", d->program);
	r = toml_parse("containerd config dump", res.out.data, res.out.len, 0, &doc, err);
	if (r < 0)
		return r;
	*ret_text = TAKE_PTR(res.out.data);
	*ret_doc = TAKE_PTR(doc);
	return 0;
}

int confset_dump(const struct daemon *d, const struct confset *s, size_t index, const char *text,
	size_t len, char **ret_text, struct toml_doc **ret_doc, struct err *err)
{
	_cleanup_free_ int *fds = NULL;
	char path[64];
	char *dump[] = {(char *)"containerd", (char *)"--config", path, (char *)"config",
		(char *)"dump", NULL};
	char *defaults[] = {(char *)"containerd", (char *)"config", (char *)"default", NULL};
	int r;

	if (!text && !s->files[0].exists)
		return run_dump(d, defaults, ret_text, ret_doc, err);
	fds = malloc(s->n * sizeof(*fds));
	if (!fds)
		return err_sysf(err, ENOMEM, "containerd config dump");
	for (size_t i = 0; i < s->n; i++)
		fds[i] = -EBADF;
	r = fill_files(s, index, text, len, fds, err);
	if (r == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fds[0]);
		r = run_dump(d, dump, ret_text, ret_doc, err);
	}
	for (size_t i = 0; i < s->n; i++)
		fd_close(&fds[i]);
	return r;
}
