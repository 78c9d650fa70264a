#include "shim/seccomp_agent.h"

#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/macro.h"
#include "oci/features.h"
#include "oci/state.h"
#include "shim/container.h"

/* Of one message; the descriptor goes with the first. */
enum { PIECE = 16384 };

static const char *status(const struct process *p)
{
	if (p->exec_id)
		return "running";
	return p->state == PROCESS_CREATING ? "creating" : "created";
}

static int write_state(
	const struct process *p, const struct oci_spec *spec, char **ret_text, size_t *ret_len)
{
	static char *const fds[] = {(char *)"seccompFd", NULL};
	const struct container *c = p->container;
	const struct oci_state state = {
		.id = c->id,
		.status = status(p),
		.pid = (pid_t)c->init.pid,
		.bundle = c->bundle,
		.annotations = &spec->annotations,
	};
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct json_object *inner = oci_state_object(&state);
	int r = json_put_str(o, "ociVersion", OCI_VERSION_MAX);

	r |= json_put_strv(o, "fds", fds);
	r |= json_put_i64(o, "pid", (int64_t)p->pid);
	r |= json_put_str(o, "metadata", spec->seccomp_metadata);
	if (!inner || json_put_consume(o, "state", inner) < 0 || r < 0)
		return -ENOMEM;
	return json_write(o, JSON_COMPACT, ret_text, ret_len);
}

static int connect_to(const char *path, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sysf(err, errno, "socket");
	if (strlen(path) >= sizeof(address.sun_path))
		return err_sysf(err, ENAMETOOLONG, "linux.seccomp.listenerPath: %.200s", path);
	memcpy(address.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sysf(err, errno, "linux.seccomp.listenerPath: %s", path);
	return TAKE_FD(fd);
}

static int send_all(int sock, const char *text, size_t len, int fd)
{
	size_t first = len < PIECE ? len : PIECE;
	int r = fd_send(sock, text, first, fd);

	for (text += first, len -= first; r == 0 && len > 0;) {
		ssize_t n = RETRY_EINTR(send(sock, text, len, MSG_NOSIGNAL));

		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return r;
}

int seccomp_agent_tell(const struct process *p, int number, struct err *err)
{
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	_cleanup_close_ int sock = -EBADF, listener = -EBADF;
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = oci_spec_load(p->container->bundle, &spec, err);

	if (r < 0)
		return r;
	listener = pidfd_getfd(p->proc.pidfd, number, 0);
	if (listener < 0)
		return err_sysf(err, errno, "taking the seccomp listener");
	if (!spec.seccomp_listener)
		return err_setf(err, ERR_INVALID, EINVAL, "linux.seccomp.listenerPath: missing");
	sock = connect_to(spec.seccomp_listener, err);
	if (sock < 0)
		return sock;
	r = write_state(p, &spec, &text, &len);
	if (r == 0)
		r = send_all(sock, text, len, listener);
	return r < 0 ? err_sysf(err, -r, "linux.seccomp.listenerPath: %s", spec.seccomp_listener)
		     : 0;
}
