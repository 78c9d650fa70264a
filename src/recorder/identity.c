#include "recorder/identity.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"

enum { STATUS_MAX = 64 << 10 };

/* The first word behind `name` in lines of "Name:\tword …". */
static bool find_word(const char *text, const char *name, char *buf, size_t size)
{
	const char *p = strstr(text, name);
	size_t n;

	if (!p)
		return false;
	p += strlen(name);
	p += strspn(p, "\t ");
	n = strcspn(p, "\t \n");
	if (n == 0 || n >= size)
		return false;
	memcpy(buf, p, n);
	buf[n] = '\0';
	return true;
}

void identity_read(pid_t pid, struct identity *ret)
{
	_cleanup_free_ char *text = NULL, *path = NULL, *gate = NULL, *gate_path = NULL;
	char uid[24], gid[24], caps[24];
	uint64_t u, g;

	*ret = (struct identity)IDENTITY_INIT;
	if (str_printf(&path, "/proc/%d/status", (int)pid) < 0 ||
		str_printf(&gate_path, "/proc/%d/personality", (int)pid) < 0)
		return;
	/* its descriptors are closed an instant before it gets the credentials of its program; this
	 * file is read under the lock that exec holds for both (fs/proc/base.c lock_trace) */
	(void)file_read_at(AT_FDCWD, gate_path, 64, &gate, NULL, NULL);
	if (file_read_at(AT_FDCWD, path, STATUS_MAX, &text, NULL, NULL) < 0 ||
		!find_word(text, "\nUid:", uid, sizeof(uid)) ||
		!find_word(text, "\nGid:", gid, sizeof(gid)) ||
		!find_word(text, "\nCapEff:", caps, sizeof(caps)) ||
		num_parse_u64(uid, UINT32_MAX, &u) < 0 || num_parse_u64(gid, UINT32_MAX, &g) < 0 ||
		str_dup(&ret->capabilities, caps) < 0)
		return;
	ret->uid = (uid_t)u;
	ret->gid = (gid_t)g;
	ret->known = true;
}

void identity_done(struct identity *i)
{
	free(i->capabilities);
	i->capabilities = NULL;
}
