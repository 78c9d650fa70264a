/* Gives files, or all files of directories, to a fuzz target, one after the other: the corpus as a
 * test in builds without libFuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* nomem.c has itself called between. */
#ifndef REPLAY_ONE_INPUT
#	define REPLAY_ONE_INPUT LLVMFuzzerTestOneInput
#endif

int REPLAY_ONE_INPUT(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "re");
	uint8_t *data;
	size_t size;

	if (!f || fstat(fileno(f), &st) < 0) {
		perror(path);
		return -1;
	}
	/* exactly as large as the input: the sanitizer sees each byte that is read beyond */
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	size = fread(data, 1, (size_t)st.st_size, f);
	(void)fclose(f);
	(void)REPLAY_ONE_INPUT(data, size);
	free(data);
	return 1;
}

/* The number of inputs that were run, or -1. */
static int replay(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	char inner[4096];
	int n = 0;

	if (!dir)
		return errno == ENOTDIR ? replay_file(path) : -1;
	while (n >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		n = replay_file(inner) < 0 ? -1 : n + 1;
	}
	(void)closedir(dir);
	return n;
}

int main(int argc, char *argv[])
{
	int i, n, total = 0;

	for (i = 1; i < argc; i++) {
		n = replay(argv[i]);
		if (n < 0) {
			(void)fprintf(stderr, "%s: cannot be replayed\n", argv[i]);
			return 1;
		}
		total += n;
	}
	(void)printf("%d inputs\n", total);
	return total > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
