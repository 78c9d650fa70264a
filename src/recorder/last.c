#include "recorder/last.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "recorder/file.h"

static void take_start(struct recorder *r, const struct json_ref *o)
{
	r->before = (struct recorder_usage) {.known = false};
	r->before.known =
		json_get_u64(o, "group_bytes", 0, INT64_MAX, &r->before.bytes, NULL) > 0 &&
		json_get_u64(o, "group_files", 0, INT64_MAX, &r->before.files, NULL) > 0;
}

struct search {
	struct recorder *r;
	char created[CLOCK_TEXT_SIZE];
	bool reaches; /* back to when it was created */
	enum recorder_last last;
};

static void look_at(struct search *s, const char *line, size_t len)
{
	_cleanup_free_ char *time = NULL, *id = NULL, *ns = NULL, *event = NULL;
	_cleanup_json_ struct json_ref root = {.value = NULL};

	/* the id may stand in a command as well: what it is, only the parser knows */
	if ((s->reaches && !memmem(line, len, s->r->id, strlen(s->r->id))) ||
		json_parse(line, len, "history", &root, NULL) < 0 ||
		json_get_str(&root, "time", &time, NULL) <= 0)
		return;
	s->reaches |= strncmp(time, s->created, strcspn(s->created, "Z")) < 0;
	if (json_get_str(&root, "id", &id, NULL) <= 0 || !str_eq(id, s->r->id) ||
		json_get_str(&root, "containerd_namespace", &ns, NULL) <= 0 ||
		!str_eq(ns, s->r->ns) || json_get_str(&root, "event", &event, NULL) <= 0)
		return;
	if (str_eq(event, "start")) {
		s->last = RECORDER_LAST_STARTED;
		take_start(s->r, &root);
	} else if (str_eq(event, "exit") || str_eq(event, "refused")) {
		s->last = RECORDER_LAST_ENDED;
	}
}

/* Whether there is nothing before the part that was looked through. */
static bool look_through(struct search *s, const char *path)
{
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	off_t from = size > LAST_BYTES_MAX ? size - LAST_BYTES_MAX : 0;
	const char *p, *newline;
	size_t len = 0;

	/* others write meanwhile: a little more than there was */
	if (size < 0 || lseek(fd, from, SEEK_SET) < 0 ||
		file_read_fd(fd, path, LAST_BYTES_MAX * 2, &text, &len, NULL) < 0)
		return false;
	for (p = text; p && (newline = memchr(p, '\n', len - (size_t)(p - text))); p = newline + 1)
		look_at(s, p, (size_t)(newline - p));
	return from == 0;
}

enum recorder_last recorder_find_last(struct recorder *r, time_t created)
{
	struct search s = {.r = r, .last = RECORDER_LAST_UNKNOWN};
	_cleanup_free_ char *old = NULL;
	bool has_old;

	clock_text(created, s.created);
	if (!r->file || !r->id || !r->ns || str_printf(&old, "%s" RECORDER_OLD_SUFFIX, r->file) < 0)
		return RECORDER_LAST_UNKNOWN;
	has_old = access(old, F_OK) == 0;
	if (has_old)
		(void)look_through(&s, old);
	/* with one file only, nothing has ever been forgotten */
	s.reaches |= look_through(&s, r->file) && !has_old;
	return s.last == RECORDER_LAST_UNKNOWN && s.reaches ? RECORDER_LAST_NONE : s.last;
}
