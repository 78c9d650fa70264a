/*
 * OCI hooks (runtime-spec config.md#posix-platform-hooks): programs that CDI, NRI or an
 * administrator put into the spec, each run with the container's state on its standard input.
 *
 * Blocking: only for processes that have nothing else to do (reaper-runtime's hook runner, init
 * before its gate), never in the shim's loop.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "oci/spec.h"

/* A hook without a timeout in the spec is killed after this. */
enum { HOOK_TIMEOUT_DEFAULT_S = 60 };

struct hooks_context {
	const struct oci_spec *spec;
	const char *id;
	const char *status; /* of the state */
	pid_t pid;          /* of the first process, as the hook numbers it; 0: it is gone */
	const char *bundle; /* as the hook finds it */
	const char *root;   /* the view as the hook finds it; NULL: it is gone */
	const char *cwd;    /* of the hook */
	int bundle_fd;      /* >= 0: becomes the hook's descriptor HOOK_FD_BUNDLE */
	int watch_fd;       /* >= 0: its end of file or hang-up ends the running hook */
	bool go_on;         /* a hook that fails is noted, and the others run all the same */
	/* Called for a hook that is skipped by the table in hooks.c, or failed with go_on. */
	void (*note)(void *note_arg, const char *text);
	void *note_arg;
};

/* In the container's namespaces the bundle is reachable by a descriptor only. */
enum { HOOK_FD_BUNDLE = 3 };
#define HOOK_BUNDLE_PATH "/proc/self/fd/3"

/*
 * Runs the hooks of one point in their order, in the namespaces and with the rights of the caller,
 * each with exactly the environment of the spec, a session of its own, and no descriptor but the
 * state, its output and the bundle. The first that fails ends it: ERR_PRECONDITION "hooks.prestart
 * [0]: PATH: exit status 1: <tail of its output>"; ERR_DEADLINE when it was killed with its process
 * group; ERR_CANCELED when watch_fd ended.
 */
int hooks_run(const struct hooks_context *c, enum oci_hook_point point, struct err *err);

/*
 * A bundle for hooks in the container's namespaces, where the real one is hidden: a detached tmpfs
 * with the spec as config.json, whose root.path is the view ("/"). A close-on-exec descriptor of
 * the caller's, or -errno.
 */
int hooks_bundle(const char *config, size_t len, struct err *err);
