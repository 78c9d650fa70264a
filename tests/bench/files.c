/*
 * What a process does with files, timed: bench-files FILE TREE DIRECTORY
 *
 * For each letter on stdin it does one kind of work and prints how many nanoseconds it took, of a
 * process as warm as one that runs for long: r reads FILE to its end, w writes a new file of the
 * same size in DIRECTORY, s asks for the status of each file below TREE, o opens, reads and closes
 * each, d lists each directory, c writes the first byte of a file of TREE, each time another (a
 * container copies it up).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 2000, DIRS_MAX = 300, LISTINGS = 100, BLOCK = 64 << 10 };

static char *files[FILES_MAX], *dirs[DIRS_MAX], block[BLOCK];
static const char *large;
static size_t n_files, n_dirs;

static void fail(const char *what)
{
	(void)fprintf(stderr, "bench-files: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int collect(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type == FTW_F && S_ISREG(st->st_mode) && n_files < FILES_MAX)
		files[n_files++] = strdup(path);
	else if (type == FTW_D && n_dirs < DIRS_MAX)
		dirs[n_dirs++] = strdup(path);
	return n_files == FILES_MAX && n_dirs == DIRS_MAX;
}

static off_t read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = 0;
	ssize_t n;

	if (fd < 0)
		fail(path);
	while ((n = read(fd, block, sizeof(block))) > 0)
		size += n;
	(void)close(fd);
	if (n < 0)
		fail(path);
	return size;
}

static void write_file(const char *dir, off_t size)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/written", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(path);
	for (; size > 0; size -= BLOCK) {
		if (write(fd, block, size < BLOCK ? (size_t)size : BLOCK) < 0)
			fail(path);
	}
	(void)close(fd);
	(void)unlink(path);
}

static void list(const char *path)
{
	DIR *d = opendir(path);

	if (!d)
		fail(path);
	while (readdir(d))
		;
	(void)closedir(d);
}

static void write_first_byte(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, "x", 1, 0) != 1)
		fail(path);
	(void)close(fd);
}

static void work(int what, char **argv)
{
	static size_t next, size;
	struct stat st;

	switch (what) {
	case 'r':
		size = (size_t)read_file(argv[1]);
		break;
	case 'w':
		write_file(argv[3], (off_t)size);
		break;
	case 's':
		for (size_t i = 0; i < n_files; i++)
			(void)lstat(files[i], &st);
		break;
	case 'o':
		for (size_t i = 0; i < n_files; i++)
			(void)read_file(files[i]);
		break;
	case 'd':
		for (size_t i = 0; i < LISTINGS; i++)
			list(large);
		break;
	case 't':
		for (size_t i = 0; i < n_dirs; i++)
			list(dirs[i]);
		break;
	case 'c':
		write_first_byte(files[next++ % n_files]);
		break;
	default:
		errno = EINVAL;
		fail("this work");
	}
}

int main(int argc, char **argv)
{
	int what;

	if (argc != 4)
		return 2;
	(void)mkdir(argv[3], 0700);
	large = dirname(strdup(argv[1]));
	(void)nftw(argv[2], collect, 64, FTW_PHYS);
	if (!n_files || !n_dirs)
		fail(argv[2]);
	while ((what = getchar()) != EOF) {
		struct timespec a, b;

		if (what == '\n')
			continue;
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
		work(what, argv);
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
		(void)printf(
			"%lld\n", (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec);
		(void)fflush(stdout);
	}
	(void)rmdir(argv[3]);
	return 0;
}
