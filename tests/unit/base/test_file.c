#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/file.h"

Test(file, of_sysfs_is_as_long_as_what_is_in_it)
{
	static const char path[] = "/sys/devices/system/cpu/online";
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_gt(st.st_size, 256, "sysfs says the size of a page");
	cr_assert_eq(file_read_at(AT_FDCWD, path, 256, &text, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(text[0], '0');
}
