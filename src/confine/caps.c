#include "confine/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"

#define CAP_MASK(n) (1ULL << (unsigned)(n))

/* By number. (linux/capability.h; libcap, which has them too, asks the kernel
 * half a dozen questions at the start of each program that it is linked to) */
static const char *const names[] = {
#define NAME(cap) [CAP_##cap] = "CAP_" #cap
	NAME(CHOWN),
	NAME(DAC_OVERRIDE),
	NAME(DAC_READ_SEARCH),
	NAME(FOWNER),
	NAME(FSETID),
	NAME(KILL),
	NAME(SETGID),
	NAME(SETUID),
	NAME(SETPCAP),
	NAME(LINUX_IMMUTABLE),
	NAME(NET_BIND_SERVICE),
	NAME(NET_BROADCAST),
	NAME(NET_ADMIN),
	NAME(NET_RAW),
	NAME(IPC_LOCK),
	NAME(IPC_OWNER),
	NAME(SYS_MODULE),
	NAME(SYS_RAWIO),
	NAME(SYS_CHROOT),
	NAME(SYS_PTRACE),
	NAME(SYS_PACCT),
	NAME(SYS_ADMIN),
	NAME(SYS_BOOT),
	NAME(SYS_NICE),
	NAME(SYS_RESOURCE),
	NAME(SYS_TIME),
	NAME(SYS_TTY_CONFIG),
	NAME(MKNOD),
	NAME(LEASE),
	NAME(AUDIT_WRITE),
	NAME(AUDIT_CONTROL),
	NAME(SETFCAP),
	NAME(MAC_OVERRIDE),
	NAME(MAC_ADMIN),
	NAME(SYSLOG),
	NAME(WAKE_ALARM),
	NAME(BLOCK_SUSPEND),
	NAME(AUDIT_READ),
	NAME(PERFMON),
	NAME(BPF),
	NAME(CHECKPOINT_RESTORE),
#undef NAME
};

int confine_caps_add(uint64_t *set, const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcasecmp(name, names[i]) == 0) {
			*set |= CAP_MASK(i);
			return 0;
		}
	}
	return err_setf(err, ERR_INVALID, EINVAL, "capability %.64s: unknown here", name);
}

int confine_caps_format(uint64_t set, char **ret_text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(4096);
	int r = 0;

	for (size_t n = 0; r == 0 && n < 63; n++) {
		const char *comma = b.len > 0 ? ", " : "";

		if (!(set & CAP_MASK(n)))
			continue;
		if (n < ARRAY_LEN(names))
			r = buf_printf(&b, "%s%s", comma, names[n]);
		else
			r = buf_printf(&b, "%s%zu", comma, n);
	}
	if (r == 0 && b.len == 0)
		r = buf_append_str(&b, "none");
	if (r < 0)
		return r;
	*ret_text = TAKE_PTR(b.data);
	return 0;
}

/* capget/capset in their 64-bit form: two words of 32 bits. */
struct cap_words {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
};

static int get_words(struct cap_words *w)
{
	*w = (struct cap_words) {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};
	return syscall(SYS_capget, &w->header, w->data) < 0 ? -errno : 0;
}

int confine_caps_available(uint64_t *ret_set, struct err *err)
{
	struct cap_words w;
	uint64_t permitted, inheritable;
	int r = get_words(&w);

	if (r < 0)
		return err_sysf(err, -r, "capget");
	permitted = w.data[0].permitted | (uint64_t)w.data[1].permitted << 32;
	inheritable = w.data[0].inheritable | (uint64_t)w.data[1].inheritable << 32;
	/* exec lets nothing through that is neither in the bounding set nor inheritable
	 * (capabilities(7)): only of these the bounding set has to be asked */
	for (int n = 0; n < 63; n++) {
		if ((permitted & inheritable & CAP_MASK(n)) &&
			prctl(PR_CAPBSET_READ, n, 0, 0, 0) != 1)
			permitted &= ~CAP_MASK(n);
	}
	*ret_set = permitted;
	return 0;
}

void confine_caps_fit(struct confine_caps *caps, uint64_t available, uint64_t *ret_missing)
{
	uint64_t *sets[] = {&caps->effective, &caps->permitted, &caps->inheritable, &caps->bounding,
		&caps->ambient};

	*ret_missing = 0;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		*ret_missing |= *sets[i] & ~available;
		*sets[i] &= available;
	}
}

bool confine_caps_is_all(const struct confine_caps *caps, uint64_t available)
{
	return (caps->bounding & available) == available;
}

int confine_caps_bound(const struct confine_caps *caps, struct err *err)
{
	for (int n = 0; n < 63; n++) {
		if ((caps->bounding & CAP_MASK(n)) || prctl(PR_CAPBSET_DROP, n, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL) /* the kernel knows none from here on */
			break;
		/* who may drop none may still have none to drop */
		if (errno == EPERM && prctl(PR_CAPBSET_READ, n, 0, 0, 0) == 0)
			continue;
		return err_sysf(err, errno, "dropping capability %d from the bounding set", n);
	}
	return 0;
}

static int raise_ambient(uint64_t ambient, struct err *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sysf(err, errno, "clearing the ambient capabilities");
	for (int n = 0; n < 63; n++) {
		if ((ambient & CAP_MASK(n)) &&
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0) < 0)
			return err_sysf(err, errno, "raising ambient capability %d", n);
	}
	return 0;
}

int confine_caps_apply(const struct confine_caps *caps, struct err *err)
{
	struct cap_words w = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};
	uint64_t stray = caps->ambient & ~(caps->permitted & caps->inheritable);

	if (stray)
		return err_setf(err, ERR_INVALID, EINVAL,
			"ambient capabilities %#llx: not in the permitted and inheritable sets",
			(unsigned long long)stray);
	for (int i = 0; i < 2; i++) {
		w.data[i].effective = (uint32_t)(caps->effective >> (32 * i));
		w.data[i].permitted = (uint32_t)(caps->permitted >> (32 * i));
		w.data[i].inheritable = (uint32_t)(caps->inheritable >> (32 * i));
	}
	if (syscall(SYS_capset, &w.header, w.data) < 0)
		return err_sysf(err, errno, "setting the capabilities");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_sysf(err, errno, "PR_SET_KEEPCAPS");
	return raise_ambient(caps->ambient, err);
}
