/* SPDX-License-Identifier: MIT
 * For tests that bound effort. */
#pragma once

#include <time.h>

#include "lib/clock/clock.h"

/* CPU time of this process and its threads, in ms: what a busy machine does not stretch. */
static inline uint64_t
cpu_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
