#include "node/daemon.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/num.h"
#include "base/str.h"
#include "cli/child.h"
#include "node/distro.h"
#include "node/root.h"
#include "node/unit.h"

void daemon_done(struct daemon *d)
{
	free(d->root_buf);
	free(d->unit);
	free(d->kill_mode);
	strv_free(d->dependants);
	free(d->program);
	free(d->config);
	*d = (struct daemon)DAEMON_INIT;
}

bool daemon_at_least(const struct daemon *d, unsigned major, unsigned minor, unsigned patch)
{
	if (d->major != major)
		return d->major > major;
	if (d->minor != minor)
		return d->minor > minor;
	return d->patch >= patch;
}

unsigned daemon_max_config_version(const struct daemon *d)
{
	if (daemon_at_least(d, 2, 3, 0))
		return 4;
	return d->major >= 2 ? 3 : 2;
}

int daemon_parse_version(const char *line, struct daemon *d)
{
	const char *word = line;
	unsigned parts[3] = {0};
	char *end;
	size_t len;

	for (int i = 0; i < 2 && word; i++) {
		word = strchr(word, ' ');
		word += word != NULL;
	}
	if (!word)
		return -EINVAL;
	len = strcspn(word, " \r\n");
	if (len == 0 || len >= sizeof(d->version))
		return -EINVAL;
	memcpy(d->version, word, len);
	d->version[len] = '\0';
	word = d->version + (d->version[0] == 'v');
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		unsigned long v;

		if (!isdigit((unsigned char)*word))
			return -EINVAL;
		v = strtoul(word, &end, 10);
		if (v > 10000)
			return -EINVAL;
		parts[i] = (unsigned)v;
		if (*end != '.')
			break;
		word = end + 1;
	}
	d->major = parts[0];
	d->minor = parts[1];
	d->patch = parts[2];
	return d->major > 0 ? 0 : -EINVAL;
}

const char *daemon_config_of(char *const *words)
{
	static const char *const names[] = {"--config", "-config", "-c", "--c"};

	for (size_t i = 1; words && words[0] && words[i]; i++) {
		for (size_t n = 0; n < ARRAY_LEN(names); n++) {
			size_t len = strlen(names[n]);

			if (str_eq(words[i], names[n]))
				return words[i + 1];
			if (str_has_prefix(words[i], names[n]) && words[i][len] == '=')
				return words[i] + len + 1;
		}
	}
	return NULL;
}

int daemon_parse_exec_start(const char *value, char **ret_path, char ***ret_argv)
{
	/* { path=/usr/bin/containerd ; argv[]=/usr/bin/containerd --config X ; ignore_errors=no ; …
	 * } */
	const char *path = strstr(value, "path="), *argv = strstr(value, "argv[]=");
	const char *path_end = path ? strstr(path, " ; ") : NULL;
	const char *argv_end = argv ? strstr(argv, " ; ") : NULL;
	_cleanup_free_ char *program = NULL, *line = NULL;
	int r;

	if (!path_end || !argv_end)
		return 0;
	path += strlen("path=");
	argv += strlen("argv[]=");
	program = strndup(path, (size_t)(path_end - path));
	line = strndup(argv, (size_t)(argv_end - argv));
	if (!program || !line)
		return -ENOMEM;
	r = strv_split(ret_argv, line, " ");
	if (r < 0)
		return r;
	*ret_path = TAKE_PTR(program);
	return 1;
}

/* What one `systemctl show` says about the unit. */
struct unit_words {
	char *exec_path;
	char **exec_argv;
};

static int take_property(struct daemon *d, struct unit_words *w, const char *line)
{
	const char *value = strchr(line, '=');
	uint64_t n;
	int r = 0;

	if (!value)
		return 0;
	value++;
	if (str_has_prefix(line, "LoadState=")) {
		d->loaded = str_eq(value, "loaded");
	} else if (str_has_prefix(line, "ActiveState=")) {
		d->active = str_eq(value, "active") || str_eq(value, "reloading");
	} else if (str_has_prefix(line, "MainPID=")) {
		d->main_pid = num_parse_u64(value, INT32_MAX, &n) == 0 ? (pid_t)n : 0;
	} else if (str_has_prefix(line, "NRestarts=")) {
		if (num_parse_u64(value, UINT64_MAX, &n) == 0)
			d->restarts = n;
	} else if (str_has_prefix(line, "KillMode=")) {
		free(d->kill_mode);
		r = str_dup(&d->kill_mode, value);
	} else if (str_has_prefix(line, "ExecStart=") && !w->exec_path) {
		r = daemon_parse_exec_start(value, &w->exec_path, &w->exec_argv);
	}
	return r < 0 ? r : 0;
}

/* `systemctl show`: 1 if there is a service manager that answers, else 0. */
static int ask_systemd(struct daemon *d, struct unit_words *w, struct err *err)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_free_ char *systemctl = NULL;
	_cleanup_strv_ char **lines = NULL;
	char *argv[] = {(char *)"systemctl", (char *)"show", (char *)"--no-pager",
		(char *)"--property=LoadState,ActiveState,MainPID,NRestarts,KillMode,ExecStart",
		(char *)"--", d->unit, NULL};
	struct child_spec spec = {.argv = argv, .timeout_s = 30};
	int r;

	/* sd_booted(3): the directory exists exactly when systemd runs this machine */
	if (access("/run/systemd/system", F_OK) < 0 ||
		child_find("systemctl", &systemctl, NULL) < 0)
		return 0;
	spec.path = systemctl;
	r = child_run(&spec, &res, err);
	if (r < 0)
		return r;
	if (res.status != 0 || !res.out.data)
		return 0; /* there, but its bus does not answer */
	r = strv_split(&lines, res.out.data, "\n");
	for (char **l = lines; r == 0 && l && *l; l++)
		r = take_property(d, w, *l);
	if (r < 0)
		return err_sysf(err, -r, "systemctl show");
	d->systemd = true;
	return 1;
}

int daemon_refresh(struct daemon *d, struct err *err)
{
	struct unit_words w = {0};
	int r;

	d->loaded = d->active = false;
	d->main_pid = 0;
	r = ask_systemd(d, &w, err);
	free(w.exec_path);
	strv_free(w.exec_argv);
	return r < 0 ? r : 0;
}

/* The command line of the running daemon, or NULL. */
static char **running_argv(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char path[64], **argv = NULL;
	size_t len;

	if (pid <= 0)
		return NULL;
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (file_read_at(AT_FDCWD, path, 1 << 20, &text, &len, NULL) < 0)
		return NULL;
	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		if (strv_append(&argv, text + at) < 0)
			return strv_free(argv);
	}
	return argv;
}

/* The program of the running daemon if its file is still the one on disk. */
static char *running_program(pid_t pid)
{
	char path[64], target[PATH_MAX];
	ssize_t n;

	if (pid <= 0)
		return NULL;
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return NULL;
	target[n] = '\0';
	/* replaced by an upgrade ("… (deleted)"): the file that the next start takes is asked
	 * instead */
	return access(target, X_OK) == 0 ? strdup(target) : NULL;
}

/* The containerd that a distribution brings along. */
static int find_bundled(struct daemon *d, const struct distro *distro)
{
	return root_program(d->root, distro->program, &d->program);
}

/* The first of the distribution's units that runs, else its first: 0 with or without a service
 * manager. */
static int ask_units(
	struct daemon *d, const struct distro *distro, struct unit_words *w, struct err *err)
{
	int r = 0;

	for (size_t i = 0; distro->units[i]; i++) {
		free(d->unit);
		d->unit = NULL;
		r = str_dup(&d->unit, distro->units[i]);
		if (r == 0 && !*d->root)
			r = ask_systemd(d, w, err);
		if (r < 0 || d->active)
			return r < 0 ? r : 0;
	}
	free(d->unit);
	d->unit = NULL;
	r = str_dup(&d->unit, distro->units[0]);
	return r < 0 ? err_sysf(err, -r, "containerd") : 0;
}

static int find_program(const struct cli_args *args, struct daemon *d, const char *exec_path,
	const struct distro *distro)
{
	static const char *const places[] = {"/usr/bin/containerd", "/usr/local/bin/containerd"};

	if (args->containerd)
		return str_dup(&d->program, args->containerd);
	if (distro)
		return find_bundled(d, distro);
	d->program = running_program(d->main_pid);
	if (d->program)
		return 0;
	if (exec_path && access(exec_path, X_OK) == 0)
		return str_dup(&d->program, exec_path);
	for (size_t i = 0; i < ARRAY_LEN(places) && !d->program; i++) {
		int r = root_program(d->root, places[i], &d->program);

		if (r < 0)
			return r;
	}
	return 0;
}

static int ask_version(struct daemon *d, struct err *err)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	char *argv[] = {(char *)"containerd", (char *)"--version", NULL};
	struct child_spec spec = {.path = d->program, .argv = argv, .timeout_s = 30};
	int r = child_must(&spec, &res, err);

	if (r < 0)
		return r;
	if (!res.out.data || daemon_parse_version(res.out.data, d) < 0)
		return err_setf(err, ERR_INVALID, EINVAL,
			"%s --version says \"%s\", which is no version of containerd", d->program,
			child_last_line(&res.out));
	return 0;
}

static int set_root(const struct cli_args *args, struct daemon *d)
{
	size_t len;
	int r;

	if (!args->root)
		return 0;
	r = str_dup(&d->root_buf, args->root);
	if (r < 0)
		return r;
	len = strlen(d->root_buf);
	while (len > 0 && d->root_buf[len - 1] == '/')
		d->root_buf[--len] = '\0';
	d->root = d->root_buf;
	return 0;
}

/* A unit that does not run: what its files say, with variables put in. */
static int read_command(struct daemon *d, struct unit_words *w)
{
	char **argv = NULL;
	int r;

	if (d->main_pid > 0)
		return 0;
	r = unit_command(d->root, d->unit, &argv);
	if (r <= 0)
		return r;
	strv_free(w->exec_argv);
	w->exec_argv = argv;
	if (w->exec_path || argv[0][0] != '/')
		return 0; /* systemctl has said it */
	return root_program(d->root, argv[0], &w->exec_path);
}

/* What --config names, else what the running daemon was started with, else the unit says. */
static int find_config(const struct cli_args *args, struct daemon *d, const struct unit_words *w,
	const struct distro *distro)
{
	_cleanup_strv_ char **running = distro ? NULL : running_argv(d->main_pid);
	const char *config = args->config;

	if (!config && distro)
		config = distro->config;
	if (!config)
		config = running ? daemon_config_of(running) : daemon_config_of(w->exec_argv);
	/* what --config names is where the daemon looks: the default is not explicit there */
	d->config_explicit = config && !str_eq(config, DAEMON_CONFIG_DEFAULT);
	return str_dup(&d->config, config ? config : DAEMON_CONFIG_DEFAULT);
}

int daemon_resolve(const struct cli_args *args, struct daemon *d, struct err *err)
{
	const char *unit = args->unit ? args->unit : "containerd.service";
	const struct distro *distro;
	struct unit_words w = {0};
	int r;

	r = set_root(args, d);
	if (r == 0)
		r = strchr(unit, '.') ? str_dup(&d->unit, unit)
				      : str_printf(&d->unit, "%s.service", unit);
	if (r < 0)
		return err_sysf(err, -r, "containerd");
	if (args->root && access(args->root, X_OK) < 0)
		return err_sysf(err, errno, "--root %s", args->root);
	if (args->containerd && access(args->containerd, X_OK) < 0)
		return err_sysf(err, errno, "--containerd %s", args->containerd);
	distro = args->unit || args->config ? NULL : distro_find(d->root);
	if (distro)
		r = ask_units(d, distro, &w, err);
	else if (!args->root)
		r = ask_systemd(d, &w, err);
	if (r < 0)
		goto out;
	if (!distro)
		r = read_command(d, &w);
	if (r == 0)
		r = find_program(args, d, w.exec_path, distro);
	if (r == 0)
		r = find_config(args, d, &w, distro);
	if (r < 0)
		(void)err_sysf(err, -r, "containerd");
out:
	free(w.exec_path);
	strv_free(w.exec_argv);
	if (r < 0)
		return r;
	return d->program ? ask_version(d, err) : 0;
}

int daemon_restart(const struct daemon *d, uint64_t timeout_s, struct err *err)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_free_ char *systemctl = NULL;
	char *reset[] = {(char *)"systemctl", (char *)"reset-failed", (char *)"--", d->unit, NULL};
	char *restart[] = {(char *)"systemctl", (char *)"restart", (char *)"--", d->unit, NULL};
	struct child_spec spec = {.argv = reset, .timeout_s = 30};
	int r = child_find("systemctl", &systemctl, err);

	if (r < 0)
		return r;
	spec.path = systemctl;
	(void)child_run(&spec, &res, NULL); /* fails when nothing had failed: fine */
	child_result_done(&res);
	spec.argv = restart;
	spec.timeout_s = timeout_s;
	return child_must(&spec, &res, err);
}

int daemon_journal(const struct daemon *d, unsigned seconds, char **ret_text)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_free_ char *journalctl = NULL;
	char since[32];
	char *argv[] = {(char *)"journalctl", (char *)"--no-pager", (char *)"--quiet", (char *)"-n",
		(char *)"8", (char *)"-o", (char *)"cat", (char *)"--since", since, (char *)"-u",
		d->unit, NULL};
	/* what was said a moment ago may still be on its way */
	char *sync[] = {(char *)"journalctl", (char *)"--sync", NULL};
	struct child_spec spec = {.argv = sync, .timeout_s = 5};

	(void)snprintf(since, sizeof(since), "-%us", seconds);
	if (d->systemd && child_find("journalctl", &journalctl, NULL) == 0) {
		spec.path = journalctl;
		(void)child_run(&spec, &res, NULL);
		child_result_done(&res);
		spec.argv = argv;
		spec.timeout_s = 15;
		(void)child_run(&spec, &res, NULL);
	}
	return str_dup(ret_text, res.out.data ? res.out.data : "");
}
