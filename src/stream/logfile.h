/* Output that is appended to a file (file:///PATH, contract §5.5). */
#pragma once

#include "base/err.h"

/*
 * Opens `path` for appending; the file is made (0644) where there is none, and so are the
 * directories above it (0755). Returns the descriptor or -errno; a FIFO or socket of that name is
 * refused, for opening it could wait.
 */
int logfile_open(const char *path, struct err *err);
