/*
 * What is made of the command tables besides help texts: shell completions and the man page. They
 * are printed by the program itself, at build time for the packages.
 */
#pragma once

#include <stdio.h>
#include "cli/cli.h"

/* Completions, to be sourced by bash, or to lie in a directory of $fpath or of fish. */
void cli_print_bash(const struct cli *cli, FILE *out);
void cli_print_zsh(const struct cli *cli, FILE *out);
void cli_print_fish(const struct cli *cli, FILE *out);

/*
 * The page of section 8. `tail` is roff text behind the commands: files, see also. The date is that
 * of the tables, not of the build: the same sources give the same bytes.
 */
void cli_print_man(const struct cli *cli, const char *date, const char *tail, FILE *out);
