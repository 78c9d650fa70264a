#include "confine/sched.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "base/str.h"

/* The kernel's headers for these clash with libc's sched.h; this is struct sched_attr as of 3.14.
 */
enum { POLICY_OTHER = 0, POLICY_DEADLINE = 6 };

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

enum { TIMER_SLACK_NSEC = 50000 }; /* what pid 1 has */

struct word {
	const char *name;
	uint64_t value;
};

static int find_word(const struct word *table, size_t n, const char *name, const char *what,
	uint64_t *ret_value, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(table[i].name, name)) {
			*ret_value = table[i].value;
			return 0;
		}
	}
	return err_setf(err, ERR_INVALID, EINVAL, "%s %.64s: unknown", what, name);
}

int confine_sched_policy(const char *name, uint32_t *ret_policy, struct err *err)
{
	static const struct word table[] = {
		{"SCHED_OTHER", 0},
		{"SCHED_FIFO", 1},
		{"SCHED_RR", 2},
		{"SCHED_BATCH", 3},
		{"SCHED_IDLE", 5},
		{"SCHED_DEADLINE", POLICY_DEADLINE},
	};
	uint64_t value;
	int r = find_word(table, ARRAY_LEN(table), name, "scheduling policy", &value, err);

	if (r == 0)
		*ret_policy = (uint32_t)value;
	return r;
}

int confine_sched_flag(const char *name, uint64_t *flags, struct err *err)
{
	static const struct word table[] = {
		{"SCHED_FLAG_RESET_ON_FORK", 0x01},
		{"SCHED_FLAG_RECLAIM", 0x02},
		{"SCHED_FLAG_DL_OVERRUN", 0x04},
		{"SCHED_FLAG_KEEP_POLICY", 0x08},
		{"SCHED_FLAG_KEEP_PARAMS", 0x10},
		{"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
		{"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
	};
	uint64_t value;
	int r = find_word(table, ARRAY_LEN(table), name, "scheduling flag", &value, err);

	if (r == 0)
		*flags |= value;
	return r;
}

int confine_io_priority(const char *class_name, int level, int *ret_priority, struct err *err)
{
	static const struct word table[] = {
		{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
		{"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
		{"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
	};
	uint64_t value;
	int r = find_word(table, ARRAY_LEN(table), class_name, "I/O class", &value, err);

	if (r == 0)
		*ret_priority = (int)value << IOPRIO_CLASS_SHIFT | level;
	return r;
}

int confine_persona(const char *domain, unsigned long *ret_persona, struct err *err)
{
	static const struct word table[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};
	uint64_t value;
	int r = find_word(table, ARRAY_LEN(table), domain, "execution domain", &value, err);

	if (r == 0)
		*ret_persona = (unsigned long)value;
	return r;
}

static int add_range(const char *word, cpu_set_t *set)
{
	_cleanup_free_ char *from = NULL;
	const char *dash = strchr(word, '-');
	uint64_t first, last;
	int r;

	if (str_printf(&from, "%.*s", dash ? (int)(dash - word) : (int)strlen(word), word) < 0)
		return -ENOMEM;
	r = num_parse_u64(from, CPU_SETSIZE - 1, &first);
	last = first;
	if (r == 0 && dash)
		r = num_parse_u64(dash + 1, CPU_SETSIZE - 1, &last);
	if (r < 0 || last < first)
		return -EINVAL;
	for (uint64_t cpu = first; cpu <= last; cpu++)
		CPU_SET((size_t)cpu, set);
	return 0;
}

int confine_cpus_parse(const char *list, struct confine_cpus *ret_cpus, struct err *err)
{
	_cleanup_strv_ char **words = NULL;
	struct confine_cpus cpus;
	int r = strv_split(&words, list, ",");

	CPU_ZERO(&cpus.set);
	for (size_t i = 0; r == 0 && words && words[i]; i++)
		r = add_range(words[i], &cpus.set);
	if (r == -ENOMEM)
		return err_sysf(err, ENOMEM, "list of CPUs");
	if (r < 0 || CPU_COUNT(&cpus.set) == 0)
		return err_setf(err, ERR_INVALID, EINVAL,
			"\"%.80s\": not a list of CPUs below %d (\"0-3,7\")", list, CPU_SETSIZE);
	*ret_cpus = cpus;
	return 0;
}

/* Raw: libc has no wrapper before 2.41. */
static int set_attr(const struct confine_sched *s)
{
	struct attr attr = {
		.size = sizeof(attr),
		.policy = s->policy,
		.flags = s->flags,
		.nice = s->nice,
		.priority = s->priority,
		.runtime = s->runtime,
		.deadline = s->deadline,
		.period = s->period,
	};

	return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? -errno : 0;
}

static bool is_usual(const struct confine_sched *s)
{
	return s->policy == POLICY_OTHER && s->nice == 0 && s->flags == 0;
}

int confine_sched_apply(const struct confine_sched *s, bool *ret_kept, struct err *err)
{
	bool kept = false;
	int r = set_attr(s);

	if (r < 0 && !is_usual(s))
		return err_sysf(err, -r, "scheduling policy %u, nice %d, priority %u", s->policy,
			s->nice, s->priority);
	kept = r < 0;
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, s->io_priority) < 0) {
		if (s->io_priority != 0)
			return err_sysf(err, errno, "I/O class %d, priority %d",
				s->io_priority >> IOPRIO_CLASS_SHIFT,
				s->io_priority & ((1 << IOPRIO_CLASS_SHIFT) - 1));
		kept = true;
	}
	if (personality(s->persona) < 0)
		return err_sysf(err, errno, "execution domain %#lx", s->persona);
	/* kernels without them have nothing to inherit */
	(void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NSEC, 0, 0, 0);
	(void)syscall(SYS_set_mempolicy, 0 /* MPOL_DEFAULT */, NULL, 0);
	if (ret_kept)
		*ret_kept = kept;
	return 0;
}

int confine_cpus_apply(const struct confine_cpus *cpus, struct err *err)
{
	cpu_set_t all;

	if (!cpus) {
		/* the kernel cuts it to the cpuset. EINVAL: a machine with more CPUs than the set
		 * has bits takes it all the same, so nothing is left that could be done */
		memset(&all, 0xff, sizeof(all));
		(void)sched_setaffinity(0, sizeof(all), &all);
		return 0;
	}
	if (sched_setaffinity(0, sizeof(cpus->set), &cpus->set) < 0)
		return err_sysf(err, errno, "CPU affinity%s",
			errno == EINVAL ? ": none of these CPUs is in the container's cpuset" : "");
	return 0;
}
