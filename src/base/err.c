#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[_ERR_KIND_MAX] = {
#define X(kind, name) [ERR_##kind] = (name),
	ERR_KINDS(X)
#undef X
};

const char *err_kind_name(enum err_kind kind)
{
	if ((unsigned)kind >= _ERR_KIND_MAX)
		return "unknown";
	return kind_names[kind];
}

enum err_kind err_kind_of(int errnum)
{
	static const struct {
		int errnum;
		enum err_kind kind;
	} table[] = {
		{ENOENT, ERR_NOT_FOUND},
		{ESRCH, ERR_NOT_FOUND},
		{EEXIST, ERR_EXISTS},
		{EPERM, ERR_PERMISSION},
		{EACCES, ERR_PERMISSION},
		{EINVAL, ERR_INVALID},
		{ENOMEM, ERR_EXHAUSTED},
		{EMFILE, ERR_EXHAUSTED},
		{ENFILE, ERR_EXHAUSTED},
		{ENOSPC, ERR_EXHAUSTED},
		{EDQUOT, ERR_EXHAUSTED},
		{EAGAIN, ERR_EXHAUSTED},
		{ETIMEDOUT, ERR_DEADLINE},
		{ENOSYS, ERR_UNAVAILABLE},
		{EOPNOTSUPP, ERR_UNAVAILABLE},
		{ECANCELED, ERR_CANCELED},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].errnum == errnum)
			return table[i].kind;
	}
	return ERR_UNKNOWN;
}

/* Values in a text come from outside; a line break in one must not look like a second message. */
static void one_line(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

/* A caller that has no errno at hand still fails: err_negative() in the header builds on it. */
static int positive(int errnum)
{
	return errnum > 0 ? errnum : EIO;
}

PRINTF_LIKE(4, 0)
static void fill(struct err *err, enum err_kind kind, int errnum, const char *fmt, va_list ap)
{
	err->kind = (uint32_t)kind;
	err->errnum = errnum;
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	one_line(err->text);
}

int(err_setf)(struct err *err, enum err_kind kind, int errnum, const char *fmt, ...)
{
	va_list ap;

	errnum = positive(errnum);
	if (!err)
		return -errnum;
	va_start(ap, fmt);
	fill(err, kind, errnum, fmt, ap);
	va_end(ap);
	return -errnum;
}

int(err_sysf)(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t used;

	errnum = positive(errnum);
	if (!err)
		return -errnum;
	va_start(ap, fmt);
	fill(err, err_kind_of(errnum), errnum, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	/* strerrordesc_np: constant strings, safe after fork; strerror may load a message catalogue
	 */
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		strerrordesc_np(errnum) ? strerrordesc_np(errnum) : "unknown error");
	return -errnum;
}

int(err_wrapf)(struct err *err, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	size_t used;

	if (!err)
		return -EIO;
	memcpy(old, err->text, sizeof(old));
	old[sizeof(old) - 1] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	one_line(err->text);
	used = strlen(err->text);
	(void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
	return -positive(err->errnum);
}
