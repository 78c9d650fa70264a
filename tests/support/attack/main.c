/* attack SECRET MAJOR:MINOR ABSTRACT TERMINAL PID:UID: tries all, says "NAME ERRNO" of each. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "support/attack/attack.h"

int outcome(long result)
{
	return result < 0 ? errno : 0;
}

int read_secret(const struct target *t)
{
	int fd = open(t->secret, O_RDONLY | O_CLOEXEC);
	char byte;

	if (fd < 0)
		return errno;
	/* an empty cover is not the secret */
	return read(fd, &byte, 1) == 1 ? 0 : ENODATA;
}

int open_to_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		(void)close(fd);
	return outcome(fd);
}

/* In a child: some attacks leave the attacker somewhere else. */
static void attempt(const struct attack *a, const struct target *t)
{
	int status, result;
	pid_t pid = fork();

	if (pid == 0)
		_exit(a->fn(t));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(1);
	result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	(void)printf("%s %s\n", a->name,
		result == 0    ? "WORKED"
		: result == -1 ? "KILLED"
			       : strerrorname_np(result));
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct attack *const all[] = {
		mount_attacks, device_attacks, process_attacks, kernel_attacks};
	struct target t = {.secret = argv[1]};

	if (argc != 6 || sscanf(argv[2], "%u:%u", &t.disk_major, &t.disk_minor) != 2 ||
		sscanf(argv[5], "%d:%u", &t.victim, &t.victim_uid) != 2)
		return 2;
	t.parent = dirname(strdup(argv[1]));
	t.abstract = argv[3];
	t.terminal = atoi(argv[4]);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (const struct attack *a = all[i]; a->name; a++)
			attempt(a, &t);
	}
	return 0;
}
