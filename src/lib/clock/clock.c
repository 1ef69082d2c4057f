/* SPDX-License-Identifier: MIT */
#include "lib/clock/clock.h"

#include <stdbool.h>
#include <time.h>

static bool fake;
static uint64_t fake_mono_ms;
static int64_t fake_wall_us;

uint64_t
clock_mono_ms(void)
{
	struct timespec t;

	if (fake)
		return fake_mono_ms;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int64_t
clock_wall_us(void)
{
	struct timespec t;

	if (fake)
		return fake_wall_us;
	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void
clock_fake(uint64_t mono_ms, int64_t wall_us)
{
	fake = true;
	fake_mono_ms = mono_ms;
	fake_wall_us = wall_us;
}

void
clock_real(void)
{
	fake = false;
}
