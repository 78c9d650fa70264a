#include "confine/seccomp_enosys.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

/* x32 calls carry this bit and the audit architecture of x86-64: they are the profile's own
 * business. */
#define X32_BIT 0x40000000U

size_t seccomp_enosys_stub(const struct enosys_arch *archs, size_t n, struct sock_filter *out)
{
	struct sock_filter *p = out;

	for (size_t i = 0; i < n; i++) {
		const struct sock_filter test[ENOSYS_INSNS_PER_ARCH] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, archs[i].audit_arch, 0, 4),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
			BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, archs[i].highest, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		};

		for (size_t k = 0; k < ENOSYS_INSNS_PER_ARCH; k++)
			*p++ = test[k];
	}
	return (size_t)(p - out);
}
