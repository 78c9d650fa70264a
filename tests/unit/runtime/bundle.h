/* A bundle for tests: config.json as `ctr run` writes it, with what a test wants to change; and the
 * shim's part of init's contract. */
#pragma once

#include <stdbool.h>
#include "base/buf.h"
#include "base/proc.h"
#include "oci/init_contract.h"

#define BUNDLE "/run/unit-bundle"

/* Puts the test into a mount namespace of its own with a private /run; skips it without root. */
void own_host(void);

struct bundle {
	const char *dir;
	const char *args;    /* JSON: "\"/bin/true\"" */
	const char *process; /* further members of process, each with a comma behind it, or NULL */
	const char *mounts;  /* further elements of mounts, each with a comma before it, or NULL */
	const char *linux_part; /* further members of linux, each with a comma behind it, or NULL */
	const char *top; /* further members of the top, each with a comma behind it, or NULL */
	const char *namespaces; /* instead of the usual ones, or NULL */
	const char *resources;  /* further members of resources, each with a comma behind it */
	bool no_pidns;
};

/* config.json as text; freed by the caller. */
char *bundle_config(const struct bundle *b);

/* Writes config.json and a record without cgroups into b->dir (made if missing). */
void bundle_write(const struct bundle *b);

/* One run of init: what it said, and what the workload wrote. */
struct run {
	struct proc proc;
	int control, output;
	bool ready;
	struct err err;   /* of INIT_FAILED */
	char notes[2048]; /* texts of INIT_NOTE, a line each */
	int console;      /* -EBADF: none came */
	uint32_t status;  /* exit status */
	char text[65536]; /* standard output and error */
};

/* Starts init in a new pid namespace (unless no_pidns) and waits for READY or FAILED. */
void run_create(const struct bundle *b, struct run *r);
/* The same for an exec in the container of `target`; `process` is the process object's JSON. */
void run_exec(const struct bundle *b, const struct run *target, const char *process, struct run *r);
/* Opens the gate and returns when exec happened or was refused. */
void run_start(struct run *r);
/* Reads all output and reaps. */
void run_finish(struct run *r);
/* All of it; returns the exit status. */
uint32_t run_all(const struct bundle *b, struct run *r);
/* Runs one line of shell in a container and returns what it wrote (in r->text). */
const char *shell(struct run *r, struct bundle b, const char *script);
