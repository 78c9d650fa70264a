#include "unit/runtime/bundle.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/init.h"
#include "store/record.h"

void own_host(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	if (unshare(CLONE_NEWNS) < 0)
		cr_skip_test("may not make a mount namespace");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("test", "/run", "tmpfs", 0, "mode=755"), 0);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static const char usual_mounts[] =
	"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	"\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
	"\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid="
	"5\"]},"
	"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
	"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
	"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
	"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
	"{\"destination\":\"/run\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	"\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]}";

#define CAPS                                                                                    \
	"[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_SETUID\",\"CAP_SETGID\",\"CAP_KILL\",\"CAP_" \
	"MKNOD\"]"

static const char usual_namespaces[] =
	"{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"},"
	"{\"type\":\"network\"}";

char *bundle_config(const struct bundle *b)
{
	char *text;

	cr_assert_eq(
		str_printf(&text,
			"{\"ociVersion\":\"1.0.2-dev\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
			"\"args\":[%s],\"env\":[\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"],\"cwd\":\"/"
			"\","
			"\"capabilities\":{\"bounding\":" CAPS ",\"effective\":" CAPS
			",\"permitted\":" CAPS "},%s\"noNewPrivileges\":true},"
			"\"root\":{\"path\":\"rootfs\"},%s\"mounts\":[%s%s],"
			"\"linux\":{%s\"resources\":{%s\"devices\":[{\"allow\":false,\"access\":"
			"\"rwm\"}]},"
			"\"namespaces\":[%s],"
			"\"maskedPaths\":[\"/proc/kcore\",\"/proc/keys\",\"/sys/firmware\"],"
			"\"readonlyPaths\":[\"/proc/sys\",\"/proc/sysrq-trigger\"]}}",
			b->args, or_empty(b->process), or_empty(b->top), usual_mounts,
			or_empty(b->mounts), or_empty(b->linux_part), or_empty(b->resources),
			b->namespaces ? b->namespaces : usual_namespaces),
		0);
	return text;
}

void bundle_write(const struct bundle *b)
{
	struct store_record record = STORE_RECORD_INIT;
	struct err err = ERR_INIT;
	char *text = bundle_config(b);
	char *path;
	int dir;

	cr_assert_eq(file_mkdir_p(b->dir, 0700), 0);
	cr_assert_eq(str_printf(&path, "%s/config.json", b->dir), 0);
	cr_assert_eq(file_replace_at(AT_FDCWD, path, text, strlen(text), 0600, &err), 0);
	free(path);
	free(text);
	dir = open(b->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(str_dup(&record.id, "c1"), 0);
	cr_assert_eq(str_dup(&record.ns, "default"), 0);
	cr_assert_eq(store_record_write(dir, &record, &err), 0, "%s", err.text);
	store_record_done(&record);
	close(dir);
}

static int child(void *arg)
{
	extern char **environ;
	const struct init_args *args = arg;

	/* the shim's child execs the runtime, which closes the shim's own descriptors */
	(void)close_range(args->exec_id ? 6 : 4, ~0U, 0);

	return runtime_init(arg, environ);
}

static void spawn(const struct init_args *args, struct run *r, struct proc_spec *spec, size_t n_fds)
{
	struct err err = ERR_INIT;
	int control[2], output[2];
	struct init_message msg;

	memset(r, 0, sizeof(*r));
	r->console = -EBADF;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	cr_assert_eq(pipe2(output, O_CLOEXEC), 0);
	spec->run = child;
	spec->run_arg = (void *)args;
	spec->fds[0] = -1;
	spec->fds[1] = output[1];
	spec->fds[2] = output[1];
	spec->fds[3] = control[1];
	spec->n_fds = n_fds;
	cr_assert_eq(proc_spawn(spec, &r->proc, &err), 0, "%s", err.text);
	close(control[1]);
	close(output[1]);
	r->control = control[0];
	r->output = output[0];
	for (;;) {
		int fd = -EBADF;
		ssize_t n = fd_recv(r->control, &msg, sizeof(msg), &fd);

		if (n <= 0)
			break;
		cr_assert_eq(n, (ssize_t)sizeof(msg));
		if (msg.type == INIT_CONSOLE) {
			r->console = fd;
			continue;
		}
		if (msg.type == INIT_NOTE) {
			size_t used = strlen(r->notes);

			(void)snprintf(
				r->notes + used, sizeof(r->notes) - used, "%s\n", msg.err.text);
			continue;
		}
		r->ready = msg.type == INIT_READY;
		r->err = msg.err;
		break;
	}
}

void run_create(const struct bundle *b, struct run *r)
{
	static struct init_args args = {.id = "c1", .ns = "default"};
	struct proc_spec spec = PROC_SPEC_INIT;

	args.bundle = b->dir;
	args.exec_id = NULL;
	spec.clone_flags = b->no_pidns ? 0 : CLONE_NEWPID;
	spawn(&args, r, &spec, 4);
}

void run_exec(const struct bundle *b, const struct run *target, const char *process, struct run *r)
{
	static struct init_args args = {.id = "c1", .ns = "default", .exec_id = "e1"};
	struct proc_spec spec = PROC_SPEC_INIT;
	int memory = memfd_create("process", MFD_CLOEXEC);

	cr_assert_geq(memory, 0);
	cr_assert_eq(file_write_all(memory, process, strlen(process)), 0);
	cr_assert_eq(lseek(memory, 0, SEEK_SET), 0);
	args.bundle = b->dir;
	spec.pidns_fd = b->no_pidns ? -EBADF : target->proc.pidfd;
	spec.fds[4] = target->proc.pidfd;
	spec.fds[5] = memory;
	spawn(&args, r, &spec, 6);
	close(memory);
}

void run_start(struct run *r)
{
	char gate = INIT_GATE_OPEN;
	struct init_message msg;
	int fd = -EBADF;
	ssize_t n;

	if (!r->ready)
		return;
	cr_assert_eq(fd_send(r->control, &gate, 1, -EBADF), 0);
	n = fd_recv(r->control, &msg, sizeof(msg), &fd);
	if (n > 0)
		r->err = msg.err;
}

void run_finish(struct run *r)
{
	size_t used = 0;

	close(r->control);
	while (used < sizeof(r->text) - 1) {
		ssize_t n = read(r->output, r->text + used, sizeof(r->text) - 1 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(r->output);
	cr_assert_eq(proc_wait(&r->proc, &r->status), 0);
	proc_done(&r->proc);
}

uint32_t run_all(const struct bundle *b, struct run *r)
{
	bundle_write(b);
	run_create(b, r);
	run_start(r);
	run_finish(r);
	return r->status;
}

const char *shell(struct run *r, struct bundle b, const char *script)
{
	char *args;

	cr_assert_eq(str_printf(&args, "\"/bin/sh\",\"-c\",\"%s\"", script), 0);
	b.dir = BUNDLE;
	b.args = args;
	(void)run_all(&b, r);
	free(args);
	cr_expect(r->ready, "%s", r->err.text);
	return r->text;
}
