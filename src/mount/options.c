#include "mount/options.h"

#include <errno.h>
#include <linux/mount.h>
#include "base/macro.h"
#include "base/str.h"

/* Flags of one mount (not of its superblock), with what they are for mount_setattr. */
static const struct {
	unsigned long ms;
	uint64_t attr;
} attrs[] = {
	{MS_RDONLY, MOUNT_ATTR_RDONLY},
	{MS_NOSUID, MOUNT_ATTR_NOSUID},
	{MS_NODEV, MOUNT_ATTR_NODEV},
	{MS_NOEXEC, MOUNT_ATTR_NOEXEC},
	{MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
	{MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
};

static const struct {
	const char *word;
	unsigned long set, clear;
} flags[] = {
	{"defaults", 0, 0},
	{"ro", MS_RDONLY, 0},
	{"rw", 0, MS_RDONLY},
	{"nosuid", MS_NOSUID, 0},
	{"suid", 0, MS_NOSUID},
	{"nodev", MS_NODEV, 0},
	{"dev", 0, MS_NODEV},
	{"noexec", MS_NOEXEC, 0},
	{"exec", 0, MS_NOEXEC},
	{"nosymfollow", MS_NOSYMFOLLOW, 0},
	{"symfollow", 0, MS_NOSYMFOLLOW},
	{"noatime", MS_NOATIME, MS_RELATIME | MS_STRICTATIME},
	{"atime", 0, MS_NOATIME},
	{"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME},
	{"norelatime", 0, MS_RELATIME},
	{"strictatime", MS_STRICTATIME, MS_NOATIME | MS_RELATIME},
	{"nostrictatime", 0, MS_STRICTATIME},
	{"nodiratime", MS_NODIRATIME, 0},
	{"diratime", 0, MS_NODIRATIME},
	{"sync", MS_SYNCHRONOUS, 0},
	{"async", 0, MS_SYNCHRONOUS},
	{"dirsync", MS_DIRSYNC, 0},
	{"lazytime", MS_LAZYTIME, 0},
	{"nolazytime", 0, MS_LAZYTIME},
	{"iversion", MS_I_VERSION, 0},
	{"noiversion", 0, MS_I_VERSION},
	{"mand", MS_MANDLOCK, 0},
	{"nomand", 0, MS_MANDLOCK},
	{"silent", MS_SILENT, 0},
	{"loud", 0, MS_SILENT},
};

static const struct {
	const char *word;
	unsigned long propagation;
	bool recursive;
} propagations[] = {
	{"private", MS_PRIVATE, false},
	{"rprivate", MS_PRIVATE, true},
	{"slave", MS_SLAVE, false},
	{"rslave", MS_SLAVE, true},
	{"shared", MS_SHARED, false},
	{"rshared", MS_SHARED, true},
	{"unbindable", MS_UNBINDABLE, false},
	{"runbindable", MS_UNBINDABLE, true},
};

static const char *const refused[] = {"idmap", "ridmap", "tmpcopyup", "copy-symlink"};

static bool add_flag(struct mount_options *o, const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (str_eq(word, flags[i].word)) {
			o->set = (o->set & ~flags[i].clear) | flags[i].set;
			o->clear = (o->clear & ~flags[i].set) | flags[i].clear;
			return true;
		}
	}
	/* "rro": the same word with an r, for the whole tree (runtime-spec, Linux 5.12) */
	for (size_t i = 0; word[0] == 'r' && i < ARRAY_LEN(flags); i++) {
		if (str_eq(word + 1, flags[i].word)) {
			o->rec_set = (o->rec_set & ~flags[i].clear) | flags[i].set;
			o->rec_clear = (o->rec_clear & ~flags[i].set) | flags[i].clear;
			return true;
		}
	}
	return false;
}

int mount_options_add(struct mount_options *o, const char *word)
{
	if (add_flag(o, word))
		return 0;
	if (str_eq(word, "bind") || str_eq(word, "rbind")) {
		o->bind = true;
		o->recursive_bind = word[0] == 'r';
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(propagations); i++) {
		if (str_eq(word, propagations[i].word)) {
			o->propagation = propagations[i].propagation;
			o->propagation_recursive = propagations[i].recursive;
			return 0;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (str_eq(word, refused[i]))
			return -EOPNOTSUPP;
	}
	return buf_printf(&o->data, "%s%s", o->data.len > 0 ? "," : "", word);
}

int mount_options_parse(char *const *words, struct mount_options *ret_options, struct err *err)
{
	struct mount_options o = MOUNT_OPTIONS_INIT;

	for (size_t i = 0; words && words[i]; i++) {
		int r = mount_options_add(&o, words[i]);

		if (r == 0)
			continue;
		mount_options_done(&o);
		if (r == -EOPNOTSUPP)
			return err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP,
				"mount option \"%s\" is not supported", words[i]);
		return err_sysf(err, -r, "mount option \"%s\"", words[i]);
	}
	*ret_options = o;
	return 0;
}

void mount_options_done(struct mount_options *o)
{
	if (o)
		buf_done(&o->data);
}

void mount_options_attr(
	unsigned long set, unsigned long clear, uint64_t *ret_set, uint64_t *ret_clear)
{
	const unsigned long atime = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;
	uint64_t attr_set = 0, attr_clear = 0;

	for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
		if (set & attrs[i].ms)
			attr_set |= attrs[i].attr;
		if (clear & attrs[i].ms)
			attr_clear |= attrs[i].attr;
	}
	if ((set | clear) & atime)
		attr_clear |= MOUNT_ATTR__ATIME;
	if (set & MS_NOATIME)
		attr_set |= MOUNT_ATTR_NOATIME;
	if (set & MS_STRICTATIME)
		attr_set |= MOUNT_ATTR_STRICTATIME;
	*ret_set = attr_set;
	*ret_clear = attr_clear;
}
