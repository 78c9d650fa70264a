/* Time: what the workload's exit is stamped with, and deadlines that a suspended machine does not
 * stretch. */
#pragma once

#include <stdint.h>
#include <time.h>

#define USEC_PER_SEC 1000000ULL

/* Wall clock, for what people and containerd read. */
struct timespec clock_wall(void);

/* CLOCK_BOOTTIME in microseconds: for deadlines; goes on while the machine sleeps. */
uint64_t clock_boot_usec(void);
