/* Time: what the workload's exit is stamped with, and deadlines that a suspended machine does not
 * stretch. */
#pragma once

#include <stdint.h>
#include <time.h>

#define USEC_PER_SEC 1000000ULL

/* Wall clock, for what people and containerd read. */
struct timespec clock_wall(void);

enum { CLOCK_TEXT_SIZE = 64 };

/*
 * `t` in RFC 3339's spelling, in UTC and without a fraction: "2026-11-28T23:17:00Z". gmtime_r(3)
 * and strftime(3) would bring time zones and scanf, 100 kB, into each static program.
 */
void clock_text(time_t t, char ret[CLOCK_TEXT_SIZE]);

/* CLOCK_BOOTTIME in microseconds: for deadlines; goes on while the machine sleeps. */
uint64_t clock_boot_usec(void);
