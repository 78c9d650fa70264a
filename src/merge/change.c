#include "merge/change.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/str.h"
#include "node/dependants.h"
#include "node/health.h"
#include "node/root.h"
#include "merge/write.h"

/* ---- lock ---- */

static void on_alarm(int sig)
{
	(void)sig;
}

/* flock has no time-out: a repeating timer interrupts it, so that no tick can be missed. */
static int flock_until(int fd, uint64_t timeout_s)
{
	struct sigaction sa = {.sa_handler = on_alarm}, old;
	struct itimerval tick = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}},
			 off = {0};
	uint64_t deadline = clock_boot_usec() + timeout_s * USEC_PER_SEC;
	int r = 0;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	(void)sigaction(SIGALRM, &sa, &old);
	(void)setitimer(ITIMER_REAL, &tick, NULL);
	while (flock(fd, LOCK_EX) < 0) {
		r = -errno;
		if (r != -EINTR)
			break;
		r = -ETIMEDOUT;
		if (clock_boot_usec() >= deadline)
			break;
		r = 0;
	}
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigaction(SIGALRM, &old, NULL);
	return r;
}

int change_lock(const char *root, const char *config, uint64_t timeout_s, struct err *err)
{
	_cleanup_free_ char *dir = strdup(config);
	_cleanup_close_ int fd = -ENOENT;
	int r;

	if (!dir)
		return err_sysf(err, ENOMEM, "lock");
	while (fd == -ENOENT) {
		char *slash = strrchr(dir, '/');

		if (!slash)
			break;
		slash[slash == dir] = '\0';
		fd = root_open(root, dir, O_RDONLY | O_DIRECTORY);
		if (slash == dir)
			break;
	}
	if (fd < 0)
		return err_sysf(err, -fd, "%s%s", root, dir);
	r = flock_until(fd, timeout_s);
	if (r == -ETIMEDOUT)
		return err_setf(err, ERR_DEADLINE, ETIMEDOUT,
			"another reaperctl has held the lock of %s%s for %llu seconds", root, dir,
			(unsigned long long)timeout_s);
	if (r < 0)
		return err_sysf(err, -r, "locking %s%s", root, dir);
	return TAKE_FD(fd);
}

/* ---- journal and file ---- */

/* The hash of the daemon's file, "" if there is none; the real path too if asked for. */
static int hash_of(const char *root, const char *config, char ret_hash[65], char **ret_path)
{
	_cleanup_close_ int fd = root_open(root, config, O_RDONLY | O_NONBLOCK);
	_cleanup_free_ char *path = NULL;
	int r;

	ret_hash[0] = '\0';
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r = root_real_path(fd, &path);
	if (r == 0)
		r = write_hash(path, ret_hash);
	if (r == 0 && ret_path)
		*ret_path = TAKE_PTR(path);
	return r;
}

/* The directories that were made for a file that is not there (any more). */
static void remove_dirs(const char *root, const struct journal *j)
{
	_cleanup_free_ char *dir = strdup(j->config);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!j->created || !slash || slash == dir)
		return;
	*slash = '\0';
	root_rmdirs(root, dir, j->dirs_made);
}

/* A file that bytes were written into, with the bytes from before and more behind them. */
static int trim(const char *root, const struct journal *j, const char *path, char hash[65])
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!j->backup || str_eq(hash, j->before) || str_eq(hash, j->after) ||
		journal_read_backup(root, j->backup, &text, &len, NULL) < 0)
		return 0;
	r = write_trim(path, j->before, len);
	if (r > 0)
		memcpy(hash, j->before, sizeof(j->before));
	return r;
}

int change_recover(const struct daemon *d, const char *handler, struct journal *j, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	char hash[65];
	int r, made = 0;

	journal_sweep(d->root);
	if (hash_of(d->root, d->config, hash, &path) == 0 && path)
		write_sweep(path);
	free(path);
	path = NULL;
	r = journal_load(d->root, handler, j, err);
	if (r == -EBADMSG) /* the markers say enough */
		return 0;
	if (r <= 0)
		return r;
	r = hash_of(d->root, j->config, hash, &path);
	if (r == 0 && path)
		r = trim(d->root, j, path, hash);
	else if (r == 0)
		r = root_path(d->root, j->config, &path);
	if (r < 0)
		return err_sysf(err, -r, "%s%s", d->root, j->config);
	write_sweep(path);
	if (hash[0] == '\0')
		remove_dirs(d->root, j);
	if (j->phase != JOURNAL_INTENT)
		return 0;
	if (str_eq(hash, j->after)) {
		j->phase = JOURNAL_WRITTEN;
		return journal_save(d->root, j, &made, err);
	}
	/* it was not written, or somebody has been there since */
	journal_remove(d->root, handler, 0);
	journal_done(j);
	return 0;
}

static int stamp(struct journal *j)
{
	char text[CLOCK_TEXT_SIZE];

	clock_text(clock_wall().tv_sec, text);
	free(j->time);
	j->time = NULL;
	return str_dup(&j->time, text);
}

/*
 * The bytes that an undo gives back: those before the first of our writes if nobody else has
 * written since, else the present ones without our block.
 */
static int keep_original(const struct plan *p, const struct journal *old, struct journal *j,
	int *made, struct err *err)
{
	const struct conf_file *f = plan_file(p);
	char hash[SHA256_HEX_SIZE];
	struct stanza_rest rest = {.text = BUF_INIT(CONFSET_FILE_MAX + 64UL)};
	int r;

	if (p->create) {
		j->created = true;
		return 0;
	}
	sha256_hex(f->text, f->len, hash);
	if (old->phase != JOURNAL_NONE && str_eq(old->config, f->name) &&
		str_eq(old->after, hash)) {
		j->created = old->created;
		j->dirs_made = old->dirs_made;
		memcpy(j->before, old->before, sizeof(j->before));
		return str_dup(&j->backup, old->backup);
	}
	if (p->has_block && !p->block.intact) {
		/* what a user wrote into our block must not be lost with it */
		_cleanup_free_ char *name = NULL;

		r = journal_backup(p->daemon.root, f->text, f->len, &name, made, err);
		if (r < 0)
			return r;
	}
	r = p->has_block ? stanza_cut(f->text, f->len, f->doc, p->handler, &p->block, &rest)
			 : buf_append(&rest.text, f->text, f->len);
	if (r == 0) {
		sha256_hex(rest.text.data, rest.text.len, j->before);
		r = journal_backup(
			p->daemon.root, rest.text.data, rest.text.len, &j->backup, made, err);
	}
	buf_done(&rest.text);
	return r;
}

static int fill_journal(const struct plan *p, const struct write_job *job,
	const struct journal *old, struct journal *j, int *made, struct err *err)
{
	int r = keep_original(p, old, j, made, err);

	if (r == 0)
		r = str_dup(&j->handler, p->handler);
	if (r == 0)
		r = str_dup(&j->config, plan_file(p)->name);
	if (r == 0)
		r = str_dup(&j->containerd, p->daemon.version);
	if (r == 0)
		r = str_dup(&j->unit, p->daemon.unit);
	if (r == 0)
		r = stamp(j);
	if (r < 0)
		return r;
	j->phase = JOURNAL_INTENT;
	j->mode = job->mode;
	j->uid = job->uid;
	j->gid = job->gid;
	j->dirs_made += job->dirs_made;
	sha256_hex(p->after, p->after_len, j->after);
	return journal_save(p->daemon.root, j, made, err);
}

/* The journal as it was, when the write did not come about. */
static void put_back(const char *root, const struct journal *old, const struct journal *j, int made)
{
	int again = 0;
	bool kept = j->backup && old->backup && str_eq(old->backup, j->backup);

	journal_remove_backup(root, kept ? NULL : j->backup);
	if (old->phase == JOURNAL_NONE)
		journal_remove(root, j->handler, made);
	else
		(void)journal_save(root, old, &again, NULL);
}

/* A file of our own that the root stopped to import is replaced by what was written now. */
static void remove_stale(const struct plan *p, const struct journal *old)
{
	_cleanup_free_ char *path = NULL, *dir = NULL;
	const char *root = p->daemon.root;
	char hash[65];

	if (old->phase == JOURNAL_NONE || !old->created ||
		str_eq(old->config, plan_file(p)->name) || !drop_in_is_ours(p, old->config) ||
		hash_of(root, old->config, hash, &path) < 0 || !str_eq(hash, old->after))
		return;
	if (write_unlink(path, NULL) < 0 || str_dup(&dir, old->config) < 0)
		return;
	*strrchr(dir, '/') = '\0';
	root_rmdirs(root, dir, old->dirs_made);
}

int change_write(const struct plan *p, struct journal *j, struct report *rep, struct err *err)
{
	const char *root = p->daemon.root, *name = plan_file(p)->name;
	_cleanup_(write_job_done) struct write_job job = WRITE_JOB_INIT;
	_cleanup_(journal_done) struct journal old = *j;
	int r, made = 0;

	*j = (struct journal)JOURNAL_INIT;
	r = write_prepare(
		&job, root, name, p->create ? NULL : rep->hash_before, p->after, p->after_len, err);
	if (r == -ESTALE)
		return r;
	if (r < 0) {
		(void)report_set(rep, REASON_E_FILE, "%s", err->text);
		return r;
	}
	r = fill_journal(p, &job, &old, j, &made, err);
	if (r < 0) {
		(void)report_set(rep, REASON_E_STATE_DIR, "%s" JOURNAL_DIR ": %s", root,
			err->text[0] ? err->text : strerrordesc_np(-r));
		put_back(root, &old, j, made);
		return r == -ESTALE ? -EIO : r;
	}
	r = write_commit(&job, err);
	if (r == -ENOTRECOVERABLE) {
		/* with the intent on disk the next run finds out how far this one came */
		(void)report_set(rep, REASON_E_UNDO_FAILED, "%s", err->text);
		return r;
	}
	if (r < 0) {
		put_back(root, &old, j, made);
		if (r != -ESTALE)
			(void)report_set(rep, REASON_E_FILE, "%s", err->text);
		return r;
	}
	j->phase = JOURNAL_WRITTEN;
	/* the intent is on disk: with it the next run finds out the same */
	(void)journal_save(root, j, &made, NULL);
	remove_stale(p, &old);
	journal_rotate(root, j->backup);
	return 0;
}

int change_restore(const struct daemon *d, const struct journal *j, struct err *err)
{
	_cleanup_(write_job_done) struct write_job job = WRITE_JOB_INIT;
	_cleanup_free_ char *path = NULL, *text = NULL;
	char hash[65], check[SHA256_HEX_SIZE];
	size_t len;
	int r = hash_of(d->root, j->config, hash, &path);

	if (r < 0)
		return err_sysf(err, -r, "%s%s", d->root, j->config);
	if (!str_eq(hash, j->after))
		return err_setf(err, ERR_PRECONDITION, ESTALE, "%s%s was changed by somebody else",
			d->root, j->config);
	if (j->created) {
		r = write_unlink(path, err);
		if (r == 0)
			remove_dirs(d->root, j);
		return r;
	}
	r = journal_read_backup(d->root, j->backup ? j->backup : "", &text, &len, err);
	if (r < 0)
		return r;
	sha256_hex(text, len, check);
	if (!str_eq(check, j->before))
		return err_setf(err, ERR_INVALID, EBADMSG,
			"backup %s has other bytes than it should", j->backup);
	r = write_prepare(&job, d->root, j->config, j->after, text, len, err);
	return r < 0 ? r : write_commit(&job, err);
}

/* ---- the daemon ---- */

bool change_is_live(const struct cli_args *args, const struct daemon *d)
{
	return !args->root && d->systemd && d->active;
}

static int restart(
	struct daemon *d, const struct health_want *want, uint64_t timeout_s, struct err *err)
{
	uint64_t begin = clock_boot_usec(), used;
	int r = daemon_restart(d, timeout_s, err);

	if (r == 0)
		r = daemon_refresh(d, err);
	if (r < 0)
		return r;
	if (!d->active || d->main_pid <= 0)
		return err_setf(
			err, ERR_PRECONDITION, EIO, "%s is not active after its restart", d->unit);
	used = (clock_boot_usec() - begin) / USEC_PER_SEC;
	return health_wait(d, want, timeout_s > used ? timeout_s - used : 1, err);
}

int change_restart(struct daemon *d, const struct health_want *want, uint64_t timeout_s,
	struct report *rep, struct err *err)
{
	int r;

	if (!d->dependants) /* of before the first restart: a failed one has stopped them */
		d->dependants = dependants_active(d);
	r = restart(d, want, timeout_s, err);
	if (r == 0)
		dependants_start(d->dependants, rep);
	return r;
}

void change_note_journal(const struct daemon *d, struct report *rep)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_strv_ char **lines = NULL;

	if (daemon_journal(d, 120, &text) < 0 || strv_split(&lines, text, "\n") < 0)
		return;
	for (char **l = lines; l && *l; l++)
		report_note(rep, "%s: %s", d->unit, *l);
}
