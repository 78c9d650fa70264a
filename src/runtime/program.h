/* What a program file is, from its first bytes: why an execve fails that says only an errno. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/macro.h"

enum program_kind {
	PROGRAM_UNKNOWN, /* not readable for this user, or of no kind that is known here */
	PROGRAM_EMPTY,
	PROGRAM_TEXT,   /* without a #! line */
	PROGRAM_SCRIPT, /* `interpreter` is the program of its #! line, NULL: none is named */
	PROGRAM_ELF,    /* `machine`; `interpreter` is its dynamic loader, NULL: static */
};

struct program {
	enum program_kind kind;
	uint16_t machine; /* EM_* */
	bool dos;         /* PROGRAM_SCRIPT: the line ends in a carriage return */
	char *interpreter;
};

/* Reads it, with the caller's rights. Always fills *ret_program; program_done frees it. */
void program_look(const char *path, struct program *ret_program);
void program_done(struct program *program);

/* "x86-64", or "machine 42". In `buf` when it has no name here. */
const char *program_machine_name(uint16_t machine, char *buf, size_t size);
