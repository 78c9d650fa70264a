#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"
#include "cgroup/freeze.h"
#include "cgroup/kill.h"
#include "groups/containers.h"
#include "groups/groups.h"
#include "oci/spec.h"
#include "proto/task.pb-c.h"
#include "shim/actions.h"
#include "shim/delete_hooks.h"
#include "shim/history.h"
#include "shim/socket.h"
#include "store/record.h"
#include "systemd/scope.h"

enum {
	/* containerd kills this program after 5 s (io.containerd.timeout.shim.cleanup) */
	BUDGET_USEC = 4000000,
	LOGGER_USEC = 1000000, /* for loggers to end by themselves, all together */
	KILLED = 128 + 9,
};

/* What is wrong on the way is said and gone past: every further piece that is cleaned up counts. */
static void complain(const struct shim_options *opts, const struct err *err)
{
	(void)fprintf(stderr, "containerd-shim-reaper-v2: delete %s: %s\n", opts->id, err->text);
}

static const char *bundle_of(const struct shim_options *opts)
{
	return opts->bundle ? opts->bundle : ".";
}

/* Ends the first process; with a pid namespace of its own everything else ends with it. */
static void kill_init(const struct shim_options *opts, const struct store_record *record,
	const struct cgroup *cgroup, uint64_t deadline)
{
	_cleanup_(proc_done) struct proc init = PROC_INIT;
	struct err err = ERR_INIT;
	struct pollfd p;
	uint64_t now;

	if (record->exited || record->init_pid <= 0)
		return;
	if (proc_open(record->init_pid, record->init_start_ticks, &init, NULL) < 0)
		return; /* gone */
	if (proc_signal(&init, SIGKILL) < 0)
		return;
	if (cgroup_freeze_holds_the_dead(cgroup)) /* it may be paused */
		(void)cgroup_freeze(cgroup, false, NULL);
	p = (struct pollfd) {.fd = init.pidfd, .events = POLLIN};
	now = clock_boot_usec();
	if (now < deadline && poll(&p, 1, (int)((deadline - now) / 1000U)) == 0) {
		(void)err_setf(&err, ERR_DEADLINE, ETIMEDOUT, "process %d does not end, continuing",
			record->init_pid);
		complain(opts, &err);
	}
}

/* Whether its program runs at this moment. */
static bool runs(const struct store_record *record)
{
	_cleanup_(proc_done) struct proc init = PROC_INIT;
	char path[32], program;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)record->init_pid);
	/* one that is about to end has no program any more, and did not need one at the gate */
	return !record->exited && record->init_pid > 0 &&
	       proc_open(record->init_pid, record->init_start_ticks, &init, NULL) == 0 &&
	       !containers_waits_at_gate(record->init_pid) && readlink(path, &program, 1) > 0;
}

/*
 * Their pipes are at their end now that the workload is gone: one that is at work gets a moment to
 * write what it has read and to go by itself, and one that does not see it is killed.
 */
static void end_loggers(const struct store_record *record, uint64_t deadline)
{
	uint64_t patience = clock_boot_usec() + LOGGER_USEC;

	if (patience > deadline)
		patience = deadline;
	for (size_t i = 0; i < record->n_loggers; i++) {
		_cleanup_(proc_done) struct proc logger = PROC_INIT;
		const struct store_process *l = &record->loggers[i];
		uint64_t now = clock_boot_usec();
		struct pollfd p;

		if (proc_open(l->pid, l->start_ticks, &logger, NULL) < 0)
			continue; /* gone */
		p = (struct pollfd) {.fd = logger.pidfd, .events = POLLIN};
		if (poll(&p, 1, now < patience ? (int)((patience - now) / 1000U) : 0) == 0)
			(void)proc_signal(&logger, SIGKILL); /* ended by itself: as good */
	}
}

/*
 * The cgroup of a container whose record is there and cannot be read: a newer version wrote it (the
 * package was downgraded under a running pod), or it is damaged. The record is written before the
 * cgroup is made, so that what config.json names is ours; without a record it may be anybody's.
 */
static int cgroup_of_config(
	const struct shim_options *opts, struct cgroup *ret_cgroup, struct err *err)
{
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	_cleanup_(cgroup_path_done) struct cgroup_path path = CGROUP_PATH_INIT;
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	int r = oci_spec_load(bundle_of(opts), &spec, err);

	if (r == 0)
		r = cgroup_path_parse(spec.cgroups_path, opts->ns, opts->id, &path, err);
	if (r == 0)
		r = cgroup_host_detect(&host, err);
	if (r == 0)
		r = cgroup_plan(&host, &path, ret_cgroup, err);
	return r;
}

static void stop_scope(
	const struct shim_options *opts, const struct store_record *record, uint64_t deadline)
{
	struct err err = ERR_INIT;

	if (record->unit && systemd_runs() && systemd_end_scope(record->unit, deadline, &err) < 0)
		complain(opts, &err);
}

/* Lets the shim end the container if there is one that lives, removes its socket if not. */
static enum socket_release release(int bundle, const char *id)
{
	_cleanup_free_ char *address = NULL;

	if (bundle < 0 ||
		file_read_at(bundle, "address", SOCKET_PATH_MAX + 64, &address, NULL, NULL) < 0)
		return SOCKET_OF_NOBODY;
	address[strcspn(address, "\n")] = '\0';
	if (!str_has_prefix(address, "unix:///"))
		return SOCKET_OF_NOBODY;
	return socket_release(address + strlen("unix://"), id);
}

/* Before kubelet takes the volumes away. */
static void sweep_view(const struct shim_options *opts, const struct store_record *record)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	struct err err = ERR_INIT;

	if (store_layout_init(&layout, NULL, NULL, &err) < 0 ||
		groups_sweep(&layout, record->view, record->swept, &err) < 0)
		complain(opts, &err);
}

/* The group that goes with the pod, which is over: its shim is dead. One that another container of
 * it still uses is left to that one's delete. */
static void remove_view(const struct shim_options *opts, const struct store_record *record)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	struct err err = ERR_INIT;

	if (!record->view || !store_group_is_of_pod(record->view))
		return;
	if (store_layout_init(&layout, NULL, NULL, &err) < 0 ||
		groups_remove(&layout, record->view, &err) < 0)
		complain(opts, &err);
}

static int answer(const struct store_record *record)
{
	Task__DeleteResponse response = TASK__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct timespec when = record->exited ? record->exited_at : clock_wall();
	uint8_t out[128];
	size_t len;

	at.seconds = when.tv_sec;
	at.nanos = (int32_t)when.tv_nsec;
	response.pid = (uint32_t)record->init_pid;
	response.exit_status = record->exited ? record->exit_status : KILLED;
	response.exited_at = &at;
	len = task__delete_response__pack(&response, out);
	return file_write_all(STDOUT_FILENO, out, len);
}

int action_delete(const struct shim_options *opts)
{
	_cleanup_(store_record_done) struct store_record record = STORE_RECORD_INIT;
	_cleanup_(cgroup_done) struct cgroup cgroup = CGROUP_INIT;
	_cleanup_close_ int bundle = -EBADF;
	uint64_t deadline = clock_boot_usec() + BUDGET_USEC;
	struct err err = ERR_INIT;
	bool unreadable = false, ran;
	enum socket_release shim;
	int r;

	bundle = open(bundle_of(opts), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* first: it knows how the container ends, writes it down, and two who end it would do
	 * things twice */
	shim = release(bundle, opts->id);
	if (bundle >= 0) {
		r = store_record_read(bundle, &record, &err);
		/* no record: no process was ever released; a damaged one is worth a line, and what
		 * can be read of it */
		unreadable = r < 0 && r != -ENOENT;
		if (r != 0 && r != -ENOENT)
			complain(opts, &err);
	} else if (errno != ENOENT) {
		(void)err_sysf(&err, errno, "bundle %s", bundle_of(opts));
		complain(opts, &err);
	}
	r = 0;
	if (unreadable)
		r = cgroup_of_config(opts, &cgroup, &err);
	else if (record.cgroups)
		r = cgroup_from_strv(record.cgroups, &cgroup, &err);
	if (r < 0)
		complain(opts, &err);
	ran = runs(&record);
	kill_init(opts, &record, &cgroup, deadline);
	if (cgroup_kill_and_remove(&cgroup, deadline, &err) < 0)
		complain(opts, &err);
	end_loggers(&record, deadline);
	stop_scope(opts, &record, deadline);
	if (bundle >= 0 && record.id && delete_run_poststop(opts, bundle, deadline, &err) < 0)
		complain(opts, &err);
	if (record.id && record.ns && !record.sandbox &&
		history_after_shim(bundle_of(opts), &record, ran, &err) < 0)
		complain(opts, &err);
	sweep_view(opts, &record);
	if (shim != SOCKET_SILENT) /* it may have died since */
		shim = release(bundle, opts->id);
	/* else the shim takes it away when the whole pod ends: containerd calls this for each
	 * container that goes, and the kubelet may be about to start it again */
	if (shim != SOCKET_OF_A_SHIM)
		remove_view(opts, &record);
	return answer(&record) < 0 ? 1 : 0;
}
