/*
 * sysfault: runs a command and kills it, or makes a system call fail, at an exact place.
 *
 * Programs here are static, so nothing can be preloaded: the command is traced (ptrace). Calls are
 * counted from 1, from the first after execve. Where a process is killed the call has not been made
 * yet; so `--at 1 --kill` to `--at CALLS --kill` leave every state that kill -9 can leave. A call
 * that is made to fail is not made either.
 *
 * A report is one line of words, to be read by a test:
 *
 *	calls=812 hit=40 call=openat action=kill status=137
 *
 * `calls` counts what was chosen by --call and --comm, `hit` is the number of the first call that
 * was hit (0: none was), `status` the exit status of the command as a shell has it.
 */
#include <errno.h>
#include <getopt.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/sysfault/regs.h"

enum { EXIT_OWN = 125, PROCESSES_MAX = 4096 };

static const char help[] =
	"Usage: sysfault [OPTIONS] [--] COMMAND [ARGUMENT]...\n"
	"\n"
	"Runs COMMAND, kills it or makes a call fail, and exits as COMMAND does (128 + signal if\n"
	"it was killed). 125: sysfault itself failed.\n"
	"\n"
	"Which calls:\n"
	"  --call NAME      only calls of this name; may be given several times\n"
	"  --comm NAME      only calls of processes that have this name (see --follow)\n"
	"  --follow         descendants too: then calls are counted in the order they are seen,\n"
	"                   which differs from run to run\n"
	"  --at N           the Nth of them; N+ from the Nth on, all of them\n"
	"What is done there (without it calls are only counted):\n"
	"  --kill           kills the process with SIGKILL before the call is made\n"
	"  --run SCRIPT     before the call is made \"sh -c SCRIPT\" is run to its end\n"
	"  --errno NAME     the call is not made and fails: ENOSPC, EROFS, EIO, EMFILE ...\n"
	"What is said:\n"
	"  --report FILE    the report, instead of on standard error\n"
	"  --list FILE      a line for each call that was chosen: number, pid, name\n"
	"\n"
	"When it ends:\n"
	"  Without options when COMMAND has ended; with --follow when all that is traced has.\n"
	"  --reap           when every descendant has ended, also one that was left behind\n"
	"  --detach         when COMMAND has ended; what goes on (a shim behind its \"start\") is\n"
	"                   traced in the background, and the report comes when all has ended\n";

struct process {
	pid_t pid;
	bool started; /* behind its execve */
	long result;  /* for the call it is in, when that was taken away from it; else 1 */
};

static struct {
	int calls[128];
	size_t n_calls;
	bool by_name;
	const char *comm;
	bool follow, reap, detach, onwards;
	unsigned long at;
	enum { NOTHING, KILL, RUN, FAIL } action;
	const char *script;
	int fault;
	const char *report;
	FILE *list;
} want;

static struct process processes[PROCESSES_MAX];
static size_t n_processes;
static unsigned long counted, hit;
static int hit_call = -1;

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "sysfault: %s: %s\n", what, why);
	exit(EXIT_OWN);
}

static struct process *find(pid_t pid, bool make)
{
	for (size_t i = 0; i < n_processes; i++) {
		if (processes[i].pid == pid)
			return &processes[i];
	}
	if (!make)
		return NULL;
	if (n_processes == PROCESSES_MAX)
		die("processes", "too many");
	processes[n_processes] = (struct process) {.pid = pid, .result = 1};
	return &processes[n_processes++];
}

static void forget(pid_t pid)
{
	struct process *p = find(pid, false);

	if (p)
		*p = processes[--n_processes];
}

static int errno_of(const char *name)
{
	for (int e = 1; e < 256; e++) {
		const char *known = strerrorname_np(e);

		if (known && strcmp(known, name) == 0)
			return e;
	}
	die(name, "no such error");
	return 0;
}

static bool has_comm(pid_t pid)
{
	char path[64], comm[32] = "";
	FILE *f;

	if (!want.comm)
		return true;
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = '\0';
	(void)fclose(f);
	return strcmp(comm, want.comm) == 0;
}

static bool is_chosen(const struct process *p, int call)
{
	bool named = !want.by_name;

	for (size_t i = 0; i < want.n_calls && !named; i++)
		named = want.calls[i] == call;
	return named && has_comm(p->pid);
}

static void list_call(pid_t pid, int call)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

	(void)fprintf(want.list, "%lu %d %s\n", counted, (int)pid, name ? name : "?");
	free(name);
}

/* The process is about to make a call. */
static void on_entry(struct process *p, int call)
{
	if (!p->started || !is_chosen(p, call))
		return;
	counted++;
	if (want.list)
		list_call(p->pid, call);
	if (want.action == NOTHING || counted < want.at || (counted > want.at && !want.onwards))
		return;
	if (hit == 0) {
		hit = counted;
		hit_call = call;
	}
	if (want.action == KILL) {
		(void)kill(p->pid, SIGKILL);
	} else if (want.action == RUN) {
		if (system(want.script) != 0)
			die(want.script, "failed");
	} else {
		p->result = -want.fault;
		if (regs_skip_call(p->pid) < 0 && errno != ESRCH)
			die("taking the call away", strerrordesc_np(errno));
	}
}

static void on_exit_of_call(struct process *p)
{
	if (p->result == 1)
		return;
	if (regs_set_result(p->pid, p->result) < 0 && errno != ESRCH)
		die("giving the call its error", strerrordesc_np(errno));
	p->result = 1;
}

static void on_call(struct process *p)
{
	struct __ptrace_syscall_info info = {0};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof(info), &info) <= 0)
		return; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		on_entry(p, (int)info.entry.nr);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		on_exit_of_call(p);
}

/* What a stopped process waits for; the signal that it is given. */
static int on_stop(struct process *p, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16;

	if (sig == (SIGTRAP | 0x80)) {
		on_call(p);
		return 0;
	}
	if (event != 0) {
		p->started = p->started || event == PTRACE_EVENT_EXEC;
		return 0;
	}
	return sig;
}

/* A stop of the whole group, to be left alone until SIGCONT comes. Only seized processes tell it
 * from a signal on its way. */
static bool is_group_stop(int status)
{
	int sig = WSTOPSIG(status);

	return status >> 16 == PTRACE_EVENT_STOP &&
	       (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU);
}

static int shell_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* --detach: whoever called us goes on; our streams are not held open any longer. */
static void let_go(int told, int result)
{
	unsigned char byte = (unsigned char)result;

	if (told < 0)
		return;
	if (write(told, &byte, 1) != 1)
		die("pipe", strerrordesc_np(errno));
	(void)close(told);
	for (int fd = 0; fd <= 2; fd++)
		(void)close(fd);
}

/* `told` is for --detach, else -1. */
static int watch(pid_t main_pid, int told)
{
	int result = -1, status;
	pid_t pid;

	for (;;) {
		struct process *p;

		pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return result; /* all have ended */
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			forget(pid);
			if (pid == main_pid) {
				result = shell_status(status);
				let_go(told, result);
			}
			if (pid == main_pid && !want.reap && !want.follow)
				return result;
			continue;
		}
		p = find(pid, false);
		if (!p) {
			p = find(pid, true);
			p->started = true; /* of a process that is */
		}
		if (is_group_stop(status)) {
			(void)ptrace(PTRACE_LISTEN, pid, NULL, NULL);
			continue;
		}
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)on_stop(p, status)) < 0 &&
			errno != ESRCH)
			die("ptrace", strerrordesc_np(errno));
	}
}

static void run_command(int gate, char **argv)
{
	char byte;

	if (read(gate, &byte, 1) != 1)
		_exit(EXIT_OWN);
	(void)close(gate);
	(void)execvp(argv[0], argv);
	(void)fprintf(stderr, "sysfault: %s: %s\n", argv[0], strerrordesc_np(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static pid_t start(char **argv)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int gate[2];
	pid_t pid;

	if (want.follow)
		options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
	if (pipe(gate) < 0)
		die("pipe", strerrordesc_np(errno));
	pid = fork();
	if (pid < 0)
		die("fork", strerrordesc_np(errno));
	if (pid == 0) {
		(void)close(gate[1]);
		run_command(gate[0], argv);
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) < 0 ||
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		die("ptrace", strerrordesc_np(errno));
	(void)find(pid, true);
	(void)close(gate[0]);
	if (write(gate[1], "x", 1) != 1)
		die("pipe", strerrordesc_np(errno));
	(void)close(gate[1]);
	return pid;
}

static void write_report(int status)
{
	static const char *const names[] = {
		[NOTHING] = "none", [KILL] = "kill", [RUN] = "run", [FAIL] = "errno"};
	char *call = hit ? seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, hit_call) : NULL;
	FILE *f = want.report ? fopen(want.report, "we") : stderr;

	if (!f)
		die(want.report, strerrordesc_np(errno));
	(void)fprintf(f, "%scalls=%lu hit=%lu call=%s action=%s status=%d\n",
		want.report ? "" : "sysfault: ", counted, hit, call ? call : "-",
		names[want.action], status);
	free(call);
	if (want.report)
		(void)fclose(f);
}

static void add_call(const char *name)
{
	int call = seccomp_syscall_resolve_name(name);

	want.by_name = true;
	if (call == __NR_SCMP_ERROR)
		die(name, "no such system call");
	if (call < 0)
		return; /* of other architectures: nobody makes it here */
	if (want.n_calls == sizeof(want.calls) / sizeof(want.calls[0]))
		die("--call", "given too often");
	want.calls[want.n_calls++] = call;
}

static void set_at(const char *text)
{
	char *end;

	want.at = strtoul(text, &end, 10);
	want.onwards = *end == '+';
	if (end == text || want.at == 0 || end[want.onwards] != '\0')
		die(text, "not a number from 1, or one with a + behind it");
}

static void open_list(const char *path)
{
	want.list = fopen(path, "we");
	if (!want.list)
		die(path, strerrordesc_np(errno));
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {{"at", 1, NULL, 'a'}, {"call", 1, NULL, 'c'},
		{"comm", 1, NULL, 'm'}, {"detach", 0, NULL, 'd'}, {"errno", 1, NULL, 'e'},
		{"follow", 0, NULL, 'f'}, {"help", 0, NULL, 'h'}, {"kill", 0, NULL, 'k'},
		{"list", 1, NULL, 'l'}, {"reap", 0, NULL, 'w'}, {"report", 1, NULL, 'r'},
		{"run", 1, NULL, 's'}, {NULL, 0, NULL, 0}};
	int o;

	while ((o = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (o) {
		case 'a':
			set_at(optarg);
			break;
		case 'c':
			add_call(optarg);
			break;
		case 'm':
			want.comm = optarg;
			break;
		case 'e':
			want.action = FAIL;
			want.fault = errno_of(optarg);
			break;
		case 'f':
			want.follow = true;
			break;
		case 'h':
			(void)fputs(help, stdout);
			exit(0);
		case 'k':
			want.action = KILL;
			break;
		case 'l':
			open_list(optarg);
			break;
		case 'r':
			want.report = optarg;
			break;
		case 's':
			want.action = RUN;
			want.script = optarg;
			break;
		case 'w':
			want.reap = true;
			break;
		case 'd':
			want.detach = true;
			break;
		default:
			exit(EXIT_OWN);
		}
	}
	if (optind == argc)
		die("COMMAND", "is missing (see --help)");
	if (want.detach && !want.report)
		die("--detach", "needs --report");
	if ((want.action != NOTHING) != (want.at > 0))
		die("--at", "and one of --kill, --run and --errno belong together");
}

/* Goes on in a child; the parent ends as soon as COMMAND has. The end of the pipe for watch(). */
static int detach(void)
{
	unsigned char byte;
	int told[2];
	pid_t pid;

	if (pipe(told) < 0)
		die("pipe", strerrordesc_np(errno));
	pid = fork();
	if (pid < 0)
		die("fork", strerrordesc_np(errno));
	(void)close(told[pid == 0 ? 0 : 1]);
	if (pid == 0)
		return told[1];
	_exit(read(told[0], &byte, 1) == 1 ? byte : EXIT_OWN);
}

int main(int argc, char **argv)
{
	int status, told = -1;

	parse(argc, argv);
	if (want.detach)
		told = detach();
	if (want.reap && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		die("prctl", strerrordesc_np(errno));
	status = watch(start(argv + optind), told);
	if (want.list)
		(void)fclose(want.list);
	write_report(status);
	return status;
}
