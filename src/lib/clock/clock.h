/* SPDX-License-Identifier: MIT
 * The one source of time. Tests replace it with clock_fake(); nobody else reads a clock. */
#pragma once

#include <stdint.h>

/* Milliseconds that only go forward, since an arbitrary start: for deadlines. */
uint64_t clock_mono_ms(void);
/* Microseconds since 1970-01-01 00:00 UTC: for people and for what is stored. */
int64_t clock_wall_us(void);
/* Tests only: time stands at these values until changed; clock_real() ends it. */
void clock_fake(uint64_t mono_ms, int64_t wall_us);
void clock_real(void);
