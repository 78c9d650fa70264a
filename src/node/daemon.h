/*
 * Which containerd this node runs: its unit, its program, its version and its configuration file.
 * The service manager is asked first (the running process, then the unit), never "the first
 * containerd on PATH" (NVIDIA/nvidia-container-toolkit#982).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "cli/cli.h"

#define DAEMON_CONFIG_DEFAULT  "/etc/containerd/config.toml"
#define DAEMON_ADDRESS_DEFAULT "/run/containerd/containerd.sock"

struct daemon {
	const char *root; /* "" or --root without a slash at its end */
	char *root_buf;
	char *unit;          /* "containerd.service" */
	bool systemd;        /* the unit's state below is known */
	bool loaded, active; /* unit */
	pid_t main_pid;      /* 0: not running */
	uint64_t restarts;   /* NRestarts */
	char *kill_mode;
	char **dependants;    /* units that were active with it before a restart; NULL: not asked */
	char *program;        /* on this machine (root included); NULL: there is none */
	char *config;         /* as the daemon names it (without root) */
	bool config_explicit; /* named on its command line: a missing file stops the daemon */
	unsigned major, minor, patch;
	char version[64]; /* as it says it: "1.6.20~ds1" */
};

#define DAEMON_INIT        \
	{                  \
		.root = "" \
	}

/*
 * Finds all that can be found. A node without containerd is no error: `program` is NULL then.
 * Errors are a program that does not answer, or a version that cannot be read.
 */
int daemon_resolve(const struct cli_args *args, struct daemon *d, struct err *err);
void daemon_done(struct daemon *d);

/* Asks the service manager again: active, main_pid, restarts. */
int daemon_refresh(struct daemon *d, struct err *err);

/* Whether the version is at least major.minor.patch. */
bool daemon_at_least(const struct daemon *d, unsigned major, unsigned minor, unsigned patch);

/* The highest `version` of a configuration file that it reads. */
unsigned daemon_max_config_version(const struct daemon *d);

/* Takes "containerd github.com/containerd/containerd 1.6.20~ds1 …" apart; -EINVAL. */
int daemon_parse_version(const char *line, struct daemon *d);

/* The value of -c/--config in a command line, or NULL; `words` is NULL-terminated. */
const char *daemon_config_of(char *const *words);

/* Where the command lines of an ExecStart= property of `systemctl show` have their words: program
 * in *ret_path, argv in *ret_argv (both new). 0 when there is none. */
int daemon_parse_exec_start(const char *value, char **ret_path, char ***ret_argv);

/*
 * Restarts the unit and returns when it says that it is ready (Type=notify) or failed; resets a
 * start limit first.
 */
int daemon_restart(const struct daemon *d, uint64_t timeout_s, struct err *err);

/* The last lines of the unit's journal since `seconds` ago in *ret_text; "" if there is none. */
int daemon_journal(const struct daemon *d, unsigned seconds, char **ret_text);
