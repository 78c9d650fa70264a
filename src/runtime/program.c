#include "runtime/program.h"

#include <ctype.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

void program_done(struct program *program)
{
	if (!program)
		return;
	free(program->interpreter);
	*program = (struct program) {0};
}

/* "#! /bin/sh -e\n": the kernel takes what stands between blanks. */
static void look_at_script(const char *head, struct program *p)
{
	const char *begin = head + 2 + strspn(head + 2, " \t");
	size_t len = strcspn(begin, " \t\r\n");

	p->kind = PROGRAM_SCRIPT;
	p->dos = begin[len] == '\r';
	if (len > 0)
		(void)str_printf(&p->interpreter, "%.*s", (int)len, begin);
}

/* A part of the file: of its beginning, which was read already, or from further back. */
static bool take(int fd, const unsigned char *head, size_t len, void *to, size_t size, uint64_t at)
{
	if (at < len && size <= len - at) {
		memcpy(to, head + at, size);
		return true;
	}
	return at <= INT64_MAX && pread(fd, to, size, (off_t)at) == (ssize_t)size;
}

/* PT_INTERP. The headers are as wide as this program's only if the file's class is: of others only
 * the machine is known. */
static void look_at_elf(int fd, const unsigned char *head, size_t len, struct program *p)
{
	const ElfW(Ehdr) *e = (const void *)head;

	p->kind = PROGRAM_ELF;
	p->machine = e->e_machine; /* at the same place in both classes */
	if (head[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
		e->e_phentsize != sizeof(ElfW(Phdr)))
		return;
	for (unsigned i = 0; i < e->e_phnum; i++) {
		char path[PATH_MAX];
		ElfW(Phdr) h;

		if (!take(fd, head, len, &h, sizeof(h), e->e_phoff + i * sizeof(h)))
			return;
		if (h.p_type != PT_INTERP)
			continue;
		if (h.p_filesz == 0 || h.p_filesz > sizeof(path))
			return;
		if (take(fd, head, len, path, h.p_filesz, h.p_offset) &&
			path[h.p_filesz - 1] == '\0' && path[0] == '/')
			(void)str_dup(&p->interpreter, path);
		return;
	}
}

static bool is_text(const unsigned char *head, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (head[i] < 0x80 && !isprint(head[i]) && !isspace(head[i]))
			return false;
	}
	return true;
}

void program_look(const char *path, struct program *ret_program)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_Alignas(ElfW(Ehdr)) unsigned char head[PATH_MAX + 4];
	struct program *p = ret_program;
	struct stat st;
	ssize_t n;

	*p = (struct program) {.kind = PROGRAM_UNKNOWN};
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	n = pread(fd, head, sizeof(head) - 1, 0);
	if (n < 0)
		return;
	head[n] = '\0';
	if (n == 0)
		p->kind = PROGRAM_EMPTY;
	else if (n >= 2 && head[0] == '#' && head[1] == '!')
		look_at_script((const char *)head, p);
	else if (n >= (ssize_t)sizeof(ElfW(Ehdr)) && memcmp(head, ELFMAG, SELFMAG) == 0)
		look_at_elf(fd, head, (size_t)n, p);
	else if (is_text(head, (size_t)n))
		p->kind = PROGRAM_TEXT;
}

const char *program_machine_name(uint16_t machine, char *buf, size_t size)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = {
		{EM_386, "i386"},
		{EM_X86_64, "x86-64"},
		{EM_ARM, "arm"},
		{EM_AARCH64, "aarch64"},
		{EM_PPC64, "ppc64"},
		{EM_S390, "s390x"},
		{EM_RISCV, "riscv"},
		{EM_MIPS, "mips"},
		{EM_LOONGARCH, "loongarch"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].machine == machine)
			return names[i].name;
	}
	(void)snprintf(buf, size, "machine %u", machine);
	return buf;
}
