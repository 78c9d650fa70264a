#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "base/macro.h"
#include "cgroup/devices.h"
#include "cgroup/devices_bpf.h"
#include "fake.h"

enum { R = CGROUP_DEVICE_READ, W = CGROUP_DEVICE_WRITE, M = CGROUP_DEVICE_MKNOD, ANY = -1 };

/* Runs the few instructions that the assembler uses, as the kernel would. */
static int run(const struct bpf_insn *prog, size_t n, uint32_t type, uint32_t access,
	uint32_t major, uint32_t minor)
{
	uint32_t ctx[3] = {access << 16 | type, major, minor}, reg[10] = {0};

	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *i = &prog[pc];
		uint32_t *dst = &reg[i->dst_reg], imm = (uint32_t)i->imm;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			*dst = ctx[i->off / 4];
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			*dst &= imm;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			*dst >>= imm;
			break;
		case BPF_ALU | BPF_MOV | BPF_K:
			*dst = imm;
			break;
		case BPF_ALU | BPF_MOV | BPF_X:
			*dst = reg[i->src_reg];
			break;
		case BPF_JMP | BPF_JNE | BPF_K:
			pc += *dst != imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += *dst == imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)reg[0];
		default:
			cr_assert_fail("instruction %#x", i->code);
		}
	}
	cr_assert_fail("ran past the end");
	return -1;
}

static const struct cgroup_device_rule rules[] = {
	{false, 'a', ANY, ANY, R | W | M},
	{true, 'c', ANY, ANY, M},
	{true, 'c', 1, 3, R | W | M},
	{true, 'c', 1, 8, R},
	{true, 'c', 1, 8, W},
	{true, 'b', 8, ANY, R | W},
	{false, 'b', 8, 1, W},
	{true, 'c', 300, 1000, R},
};

static const struct {
	uint32_t type, access, major, minor;
	int allowed;
} asks[] = {
	{BPF_DEVCG_DEV_CHAR, R, 1, 3, 1},
	{BPF_DEVCG_DEV_CHAR, R | W, 1, 3, 1},
	{BPF_DEVCG_DEV_CHAR, M, 1, 4, 1},
	{BPF_DEVCG_DEV_CHAR, R, 1, 4, 0},
	{BPF_DEVCG_DEV_CHAR, R | M, 1, 4, 0},
	{BPF_DEVCG_DEV_BLOCK, M, 1, 3, 0},
	/* each access is decided by itself: two rules together allow both */
	{BPF_DEVCG_DEV_CHAR, R | W, 1, 8, 1},
	{BPF_DEVCG_DEV_BLOCK, R | W, 8, 0, 1},
	{BPF_DEVCG_DEV_BLOCK, R, 8, 1, 1},
	{BPF_DEVCG_DEV_BLOCK, W, 8, 1, 0},
	{BPF_DEVCG_DEV_BLOCK, R | W, 8, 1, 0},
	{BPF_DEVCG_DEV_BLOCK, R, 9, 1, 0},
	{BPF_DEVCG_DEV_CHAR, R, 300, 1000, 1},
	{BPF_DEVCG_DEV_CHAR, R, 300, 1001, 0},
};

Test(cgroup_devices, the_last_rule_that_matches_decides_each_access)
{
	struct bpf_insn prog[ARRAY_LEN(rules) * CGROUP_BPF_PER_RULE + CGROUP_BPF_FRAME];
	size_t n = cgroup_bpf_assemble(rules, ARRAY_LEN(rules), prog);

	cr_assert_leq(n, ARRAY_LEN(prog));
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		cr_assert_eq(
			run(prog, n, asks[i].type, asks[i].access, asks[i].major, asks[i].minor),
			asks[i].allowed, "ask %zu", i);
}

Test(cgroup_devices, everything_allowed_means_everything)
{
	const struct cgroup_device_rule all[] = {
		{false, 'a', ANY, ANY, R | W | M}, {true, 'a', ANY, ANY, R | W | M}};
	struct bpf_insn prog[2 * CGROUP_BPF_PER_RULE + CGROUP_BPF_FRAME];
	size_t n = cgroup_bpf_assemble(all, 2, prog);

	cr_assert_eq(run(prog, n, BPF_DEVCG_DEV_BLOCK, R | W | M, 8, 0), 1);
	n = cgroup_bpf_assemble(all, 1, prog);
	cr_assert_eq(run(prog, n, BPF_DEVCG_DEV_CHAR, R, 1, 3), 0);
}

Test(cgroup_devices, access_letters_are_checked)
{
	uint32_t bits = 0;

	cr_assert_eq(cgroup_device_access_parse("rwm", &bits), 0);
	cr_assert_eq(bits, R | W | M);
	cr_assert_eq(cgroup_device_access_parse("mr", &bits), 0);
	cr_assert_eq(bits, R | M);
	cr_assert_eq(cgroup_device_access_parse("", &bits), -EINVAL);
	cr_assert_eq(cgroup_device_access_parse("rx", &bits), -EINVAL);
}

Test(cgroup_devices, a_host_without_any_means_says_so)
{
	const struct cgroup cg = CGROUP_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_devices_apply(&cg, rules, ARRAY_LEN(rules), &err), -EOPNOTSUPP);
	cr_assert_eq(err.kind, ERR_UNIMPLEMENTED);
	cr_assert_eq(cgroup_devices_apply(&cg, NULL, 0, &err), 0);
}

Test(cgroup_devices, a_rule_that_is_none_is_named)
{
	const struct cgroup_device_rule bad[] = {{true, 'x', 1, 1, R}, {true, 'c', -2, 1, R},
		{true, 'c', 1, 1, 0}, {true, 'c', 1, 1, 8}};
	const struct cgroup cg = CGROUP_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_eq(cgroup_devices_apply(&cg, &bad[i], 1, &err), -EINVAL);
		cr_assert_not_null(strstr(err.text, "rule 0"));
	}
}

Test(cgroup_devices, v1_refuses_to_take_back_a_part)
{
	static const struct cgroup_device_rule all = {
		false, 'a', CGROUP_DEVICE_ANY, CGROUP_DEVICE_ANY, R | W | M};
	static const struct {
		struct cgroup_device_rule first, second;
		int want;
	} cases[] = {
		{{true, 'c', 1, CGROUP_DEVICE_ANY, R | W | M}, {false, 'c', 1, 9, R | W | M},
			-EINVAL},
		{{true, 'c', 1, 9, R | W | M}, {false, 'c', 1, CGROUP_DEVICE_ANY, R | W | M},
			-EINVAL},
		{{true, 'c', 1, 9, R | W | M}, {false, 'c', 1, 9, CGROUP_DEVICE_READ}, 0},
		{{true, 'c', 1, 9, R | W | M}, {false, 'b', 1, 9, R | W | M}, 0},
		{{true, 'c', 1, 9, R | W | M}, {false, 'c', 2, CGROUP_DEVICE_ANY, R | W | M}, 0},
		{{true, 'a', CGROUP_DEVICE_ANY, CGROUP_DEVICE_ANY, R | W | M},
			{false, 'c', 1, 9, R | W | M}, 0},
	};
	char dir[] = "/tmp/reaper-unit-devices-XXXXXX";
	struct cgroup cg;
	struct err err = ERR_INIT;

	cr_assert_not_null(mkdtemp(dir));
	fake_file(dir, "devices.allow", "");
	fake_file(dir, "devices.deny", "");
	cg = fake_cgroup(dir, CGROUP_BIT(CGROUP_DEVICES), false);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct cgroup_device_rule list[] = {all, cases[i].first, cases[i].second};

		cr_assert_eq(
			cgroup_devices_apply(&cg, list, 3, &err), cases[i].want, "case %zu", i);
	}
	fake_remove(dir);
}
