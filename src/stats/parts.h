/* What the two Metrics messages have in common: for the files of this room only. */
#pragma once

#include "cgroup/cgroup.h"
#include "stats/wire.h"

/* A number of a kernel text and the field that it becomes. The key is in the table itself: a
 * pointer would be a relocation. */
struct stats_field {
	char key[27];
	uint8_t number;
};

/* The fields for which the text has a "key number" line (or, `line`, one line a key=number). */
void stats_fields(struct wire *w, const char *text, const struct stats_field *fields, size_t n);
void stats_line_fields(
	struct wire *w, const char *line, const struct stats_field *fields, size_t n);

/* The same from a file, as the message `field`; without the file there is none. */
void stats_file_message(struct wire *w, unsigned field, const struct cgroup *cg,
	enum cgroup_controller c, const char *file, const struct stats_field *fields, size_t n);

/* A field from a file that is one number; without the file there is no field. */
void stats_file_field(struct wire *w, unsigned field, const struct cgroup *cg,
	enum cgroup_controller c, const char *file);

/* Calls `add` with each line of `text`, without its newline. The text is cut up. */
void stats_each_line(struct wire *w, char *text, void (*add)(struct wire *w, const char *line));

/* A message RdmaStat as `field`, where the host counts that. */
void stats_rdma(struct wire *w, unsigned field, const struct cgroup *cg);

/* How the files of one page size are called, and the fields of a HugetlbStat. */
struct stats_hugetlb {
	const char *usage, *max, *failcnt; /* "current" … */
	unsigned usage_field, max_field, failcnt_field, size_field;
	const char *failcnt_key; /* the number's key in that file; NULL: the file is the number */
};

/* A message HugetlbStat per page size as the repeated `field`, where the host counts that. */
void stats_hugetlb(
	struct wire *w, unsigned field, const struct cgroup *cg, const struct stats_hugetlb *names);

/* All of a Metrics message. */
void stats_v1(struct wire *w, const struct cgroup *cg);
void stats_v2(struct wire *w, const struct cgroup *cg);
