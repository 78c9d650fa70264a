/*
 * `reaperctl errors`: what a message means, and what to do. The messages that shim, runtime and
 * reaperctl give are rows of errors_table.c; the reasons of `reaperctl containerd` and the checks
 * of the doctor, which have tables of their own (cli/report.h, doctor/check.h), are told with them.
 * docs/ERRORS.md is made from all three.
 */
#pragma once

#include <stddef.h>
#include "cli/cli.h"

struct error_row {
	const char *code;  /* stable */
	const char *words; /* what stands in its messages: parts with '|' between them */
	const char *cause, *remedy;
	const char *heading; /* a row with nothing else: of the rows below it */
};

const struct error_row *errors_table(size_t *ret_n);

/* The row of a text; NULL: none has its words. */
const struct error_row *errors_find(const char *text);

/* `reaperctl errors [CODE|TEXT]`: one code, the code of a text, or all. */
int errors_command(const struct cli_args *args);

/* docs/ERRORS.md. */
int errors_page_command(const struct cli_args *args);
