/* Runs a function in a child and gives its exit status: what confine/ does cannot be undone. */
#pragma once

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/str.h"

static inline uint32_t in_child(int (*run)(void *), void *arg)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	uint32_t status = 0;

	spec.run = run;
	spec.run_arg = arg;
	cr_assert_eq(proc_spawn(&spec, &p, &err), 0, "%s", err.text);
	cr_assert_eq(proc_wait(&p, &status), 0);
	proc_done(&p);
	return status;
}
