#include <criterion/criterion.h>
#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include "mount/options.h"

static struct mount_options parsed(const char *const *words)
{
	struct mount_options o = MOUNT_OPTIONS_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(mount_options_parse((char *const *)words, &o, &err), 0, "%s", err.text);
	return o;
}

Test(mount_options, words_are_flags_propagation_or_data)
{
	const char *const words[] = {
		"nosuid", "strictatime", "mode=755", "rslave", "size=65536k", "ro", NULL};
	struct mount_options o = parsed(words);

	cr_expect_eq(o.set, (unsigned long)(MS_NOSUID | MS_STRICTATIME | MS_RDONLY));
	cr_expect_eq(o.propagation, (unsigned long)MS_SLAVE);
	cr_expect(o.propagation_recursive);
	cr_expect_not(o.bind);
	cr_expect_str_eq(o.data.data, "mode=755,size=65536k");
	mount_options_done(&o);
}

Test(mount_options, the_last_word_counts)
{
	const char *const words[] = {"ro", "rw", "nodev", "dev", "nodev", "rbind", NULL};
	struct mount_options o = parsed(words);

	cr_expect_eq(o.set, (unsigned long)MS_NODEV);
	cr_expect(o.clear & MS_RDONLY);
	cr_expect(o.bind && o.recursive_bind);
	mount_options_done(&o);
}

Test(mount_options, rro_is_read_only_for_all_below_and_other_words_with_r_stay)
{
	const char *const words[] = {"rbind", "rro", "rnosuid", "relatime", NULL};
	struct mount_options o = parsed(words);

	cr_expect_eq(o.rec_set, (unsigned long)(MS_RDONLY | MS_NOSUID));
	cr_expect_eq(o.set, (unsigned long)MS_RELATIME);
	cr_expect_eq(o.data.len, 0U);
	mount_options_done(&o);
}

Test(mount_options, what_is_not_done_is_refused_by_name)
{
	const char *const words[] = {"rbind", "idmap", NULL};
	struct mount_options o = MOUNT_OPTIONS_INIT;
	struct err err = ERR_INIT;

	cr_expect_eq(mount_options_parse((char *const *)words, &o, &err), -EOPNOTSUPP);
	cr_expect(strstr(err.text, "\"idmap\""), "%s", err.text);
}

Test(mount_options, too_much_data_is_an_error)
{
	char word[5000];
	const char *const words[] = {word, NULL};
	struct mount_options o = MOUNT_OPTIONS_INIT;

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	cr_expect_eq(mount_options_parse((char *const *)words, &o, NULL), -EMSGSIZE);
}

Test(mount_options, access_time_modes_are_one_field_for_the_kernel)
{
	uint64_t set, clear;

	mount_options_attr(MS_NOATIME | MS_RDONLY, 0, &set, &clear);
	cr_expect_eq(set, (uint64_t)(MOUNT_ATTR_NOATIME | MOUNT_ATTR_RDONLY));
	cr_expect_eq(clear, (uint64_t)MOUNT_ATTR__ATIME);
	mount_options_attr(MS_NODEV, MS_NOSUID, &set, &clear);
	cr_expect_eq(set, (uint64_t)MOUNT_ATTR_NODEV);
	cr_expect_eq(clear, (uint64_t)MOUNT_ATTR_NOSUID);
}
