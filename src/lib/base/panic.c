/* SPDX-License-Identifier: MIT */
#include "lib/base/panic.h"

#include <stdio.h>
#include <stdlib.h>

void
pn_panic(const char *file, int line, const char *what)
{
	/* stderr of a room is a pipe to warden, which turns the line into an event. */
	(void)fprintf(stderr, "panic: %s:%d: %s\n", file, line, what);
	abort();
}
