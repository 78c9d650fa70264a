#include "confine/lsm.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

enum { LABEL_MAX = 4095 };

void confine_lsm_detect(struct confine_lsm *ret_lsm)
{
	_cleanup_free_ char *enabled = NULL;
	struct stat st;

	*ret_lsm = (struct confine_lsm) {0};
	if (file_read_at(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, &enabled, NULL,
		    NULL) == 0)
		ret_lsm->apparmor = enabled[0] == 'Y';
	ret_lsm->selinux = stat("/sys/fs/selinux/enforce", &st) == 0;
}

static int check_label(const char *module, const char *label, struct err *err)
{
	for (const char *p = label; *p; p++) {
		if (iscntrl((unsigned char)*p) || p - label >= LABEL_MAX)
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s label: longer than %d bytes, or with control characters",
				module, LABEL_MAX);
	}
	return 0;
}

static bool wants_apparmor(const char *profile)
{
	return !str_empty(profile) && !str_eq(profile, "unconfined");
}

int confine_lsm_check(
	const struct confine_lsm *lsm, const char *apparmor, const char *selinux, struct err *err)
{
	int r = check_label("AppArmor", apparmor ? apparmor : "", err);

	if (r == 0)
		r = check_label("SELinux", selinux ? selinux : "", err);
	if (r < 0)
		return r;
	if (wants_apparmor(apparmor) && !lsm->apparmor)
		return err_setf(err, ERR_PRECONDITION, EOPNOTSUPP,
			"AppArmor profile %.200s: this kernel has no AppArmor enabled", apparmor);
	if (!str_empty(selinux) && !lsm->selinux)
		return err_setf(err, ERR_PRECONDITION, EOPNOTSUPP,
			"SELinux label %.200s: this kernel has no SELinux enabled", selinux);
	return 0;
}

int confine_apparmor_on_exec(int proc, const char *profile, struct err *err)
{
	char text[LABEL_MAX + 8];
	int r;

	if (str_empty(profile))
		return 0;
	if (str_eq(profile, "unconfined") && faccessat(proc, "self/attr", F_OK, 0) < 0)
		return 0;
	(void)snprintf(text, sizeof(text), "exec %s", profile);
	/* Linux 5.8 has a directory for each module; before, attr/exec belongs to the first major
	 * one */
	if (faccessat(proc, "self/attr/apparmor/exec", W_OK, 0) == 0)
		r = file_put_at(proc, "self/attr/apparmor/exec", text, err);
	else
		r = file_put_at(proc, "self/attr/exec", text, err);
	if (r < 0 && str_eq(profile, "unconfined"))
		return 0; /* a kernel without AppArmor confines nothing by it */
	if (r == -ENOENT)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"AppArmor profile %.200s: not loaded on this node; load it with "
			"apparmor_parser",
			profile);
	return r;
}

int confine_selinux_on_exec(int proc, const char *label, struct err *err)
{
	int r;

	if (str_empty(label))
		return 0;
	r = file_put_at(proc, "self/attr/exec", label, err);
	/* EINVAL: the policy has no such context; EACCES: it has no transition to it */
	return r < 0 ? err_wrapf(err, "SELinux label %.200s: the kernel refuses it", label) : 0;
}
