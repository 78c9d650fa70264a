#include "base/title.h"

#include <string.h>

/* The one region of its kind that a process has. */
static struct {
	char *start;
	size_t len;
} area;

void title_init(int argc, char **argv)
{
	char *end;

	if (argc < 1 || !argv[0])
		return;
	/* the kernel lays the strings out one behind the other; stop where something has moved one
	 */
	end = argv[0] + strlen(argv[0]) + 1;
	for (int i = 1; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	area.start = argv[0];
	area.len = (size_t)(end - argv[0]);
}

void title_set(const char *title)
{
	size_t n = strlen(title);

	if (area.len == 0)
		return;
	if (n >= area.len)
		n = area.len - 1;
	memset(area.start, 0, area.len);
	memcpy(area.start, title, n);
}
