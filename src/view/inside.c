#include "view/inside.h"

#include <fcntl.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "view/overlay.h"

bool mount_inside_view(void)
{
	_cleanup_(mountinfo_done) struct mountinfo table = MOUNTINFO_INIT;
	const struct mountinfo_entry *root;

	if (mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &table, NULL) < 0)
		return false;
	root = mountinfo_find(&table, "/");
	return root && str_eq(root->fstype, "overlay") && str_eq(root->source, OVERLAY_SOURCE);
}
