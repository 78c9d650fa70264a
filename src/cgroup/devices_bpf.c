#include "cgroup/devices_bpf.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"

/* How our programs are told from others' on the same cgroup; at most 15 bytes. */
#define PROG_NAME "reaper_devices"

enum { PROGS_MAX = 64 };

static struct bpf_insn insn(int code, int dst, int src, size_t off, int32_t imm)
{
	return (struct bpf_insn) {.code = (__u8)code,
		.dst_reg = (__u8)(dst & 0xf),
		.src_reg = (__u8)(src & 0xf),
		.off = (__s16)off,
		.imm = imm};
}

#define LOAD_CTX(dst, field)                              \
	insn(BPF_LDX | BPF_MEM | BPF_W, (dst), BPF_REG_1, \
		offsetof(struct bpf_cgroup_dev_ctx, field), 0)
#define ALU(op, dst, imm)     insn(BPF_ALU | (op) | BPF_K, (dst), 0, 0, (int32_t)(imm))
#define MOVE(dst, src)        insn(BPF_ALU | BPF_MOV | BPF_X, (dst), (src), 0, 0)
#define JUMP(op, dst, imm, n) insn(BPF_JMP | (op) | BPF_K, (dst), 0, (n), (int32_t)(imm))
#define EXIT                  insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* The program's registers, loaded by the frame. */
enum { R_TYPE = BPF_REG_2, R_WANT = BPF_REG_3, R_MAJOR = BPF_REG_4, R_MINOR = BPF_REG_5 };

/*
 * One rule. It decides only the accesses it names: an allowed one is taken out of R_WANT, and when
 * none is left the answer is yes; a denied one that is still in R_WANT is a no. As rules are put in
 * last first, the last rule that matches decides each access, exactly as with v1's lists.
 */
static size_t assemble_rule(const struct cgroup_device_rule *rule, struct bpf_insn *out)
{
	struct bpf_insn tests[3], body[6];
	size_t n_tests = 0, n_body = 0;
	int left = rule->allow ? (int)R_WANT : (int)BPF_REG_6;

	/* allowed: yes, unless something else is still wanted; denied: no, unless nothing of it is
	 */
	if (!rule->allow)
		body[n_body++] = MOVE(BPF_REG_6, R_WANT);
	body[n_body++] = ALU(BPF_AND, left, rule->allow ? ~rule->access : rule->access);
	body[n_body++] = JUMP(rule->allow ? BPF_JNE : BPF_JEQ, left, 0, 2);
	body[n_body++] = ALU(BPF_MOV, BPF_REG_0, rule->allow);
	body[n_body++] = EXIT;
	if (rule->type != 'a')
		tests[n_tests++] = JUMP(BPF_JNE, R_TYPE,
			rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, 0);
	if (rule->major != CGROUP_DEVICE_ANY)
		tests[n_tests++] = JUMP(BPF_JNE, R_MAJOR, rule->major, 0);
	if (rule->minor != CGROUP_DEVICE_ANY)
		tests[n_tests++] = JUMP(BPF_JNE, R_MINOR, rule->minor, 0);
	for (size_t i = 0; i < n_tests; i++) { /* no match: behind the body */
		tests[i].off = (__s16)(n_tests - i - 1 + n_body);
		out[i] = tests[i];
	}
	memcpy(out + n_tests, body, n_body * sizeof(*body));
	return n_tests + n_body;
}

size_t cgroup_bpf_assemble(const struct cgroup_device_rule *rules, size_t n, struct bpf_insn *prog)
{
	size_t len = 0;

	/* access_type is the access in the upper half and the type in the lower */
	prog[len++] = LOAD_CTX(R_TYPE, access_type);
	prog[len++] = MOVE(R_WANT, R_TYPE);
	prog[len++] = ALU(BPF_AND, R_TYPE, 0xffff);
	prog[len++] = ALU(BPF_RSH, R_WANT, 16);
	prog[len++] = LOAD_CTX(R_MAJOR, major);
	prog[len++] = LOAD_CTX(R_MINOR, minor);
	for (size_t i = n; i-- > 0;) {
		len += assemble_rule(&rules[i], prog + len);
		/* what stands before a rule for everything is never reached, and the verifier
		 * refuses dead code */
		if (rules[i].type == 'a' && rules[i].major == CGROUP_DEVICE_ANY &&
			rules[i].minor == CGROUP_DEVICE_ANY &&
			rules[i].access ==
				(CGROUP_DEVICE_MKNOD | CGROUP_DEVICE_READ | CGROUP_DEVICE_WRITE))
			break;
	}
	prog[len++] = ALU(BPF_MOV, BPF_REG_0, 0);
	prog[len++] = EXIT;
	return len;
}

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int load(const struct bpf_insn *prog, size_t n)
{
	union bpf_attr attr = {0};
	long fd;

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)prog;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0"; /* no GPL-only helper is called */
	memcpy(attr.prog_name, PROG_NAME, sizeof(PROG_NAME));
	fd = bpf(BPF_PROG_LOAD, &attr); /* close-on-exec by itself */
	return fd < 0 ? -errno : (int)fd;
}

/* Whether the program of this id is one of ours; *ret_fd is open then. */
static bool is_ours(uint32_t id, int *ret_fd)
{
	_cleanup_close_ int fd = -EBADF;
	struct bpf_prog_info info = {0};
	union bpf_attr attr = {0};

	attr.prog_id = id;
	fd = (int)bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	if (fd < 0)
		return false;
	attr = (union bpf_attr) {0};
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0 ||
		strncmp(info.name, PROG_NAME, sizeof(info.name)) != 0)
		return false;
	*ret_fd = TAKE_FD(fd);
	return true;
}

/* A descriptor of our program on `dir`, or -EBADF. */
static int find_ours(int dir)
{
	uint32_t ids[PROGS_MAX];
	union bpf_attr attr = {0};
	int fd = -EBADF;

	attr.query.target_fd = (uint32_t)dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = PROGS_MAX;
	if (bpf(BPF_PROG_QUERY, &attr) < 0)
		return -EBADF;
	for (uint32_t i = 0; i < attr.query.prog_cnt && i < PROGS_MAX; i++)
		if (is_ours(ids[i], &fd))
			return fd;
	return -EBADF;
}

int cgroup_bpf_attach(int dir, const struct bpf_insn *prog, size_t n)
{
	_cleanup_close_ int fd = load(prog, n), old = -EBADF;
	union bpf_attr attr = {0};

	if (fd < 0)
		return fd;
	old = find_ours(dir);
	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (old >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)old;
	}
	return bpf(BPF_PROG_ATTACH, &attr) < 0 ? -errno : 0;
}
