/* docs/CONFIGURATION.md, made from the tables of conf/: what can be set, by whom, and when it takes
 * effect. The page in docs/ is this text; a test compares them. */
#pragma once

#include <stdio.h>

void conf_print_doc(FILE *out);
