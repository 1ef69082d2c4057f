/* SPDX-License-Identifier: MIT
 * The attachment of a report mail: gzip, zip (its first file) or neither, told apart by the bytes and
 * not by what the mail says. Output comes in pieces and is bounded twice: in bytes, and in relation
 * to the input, so that a bomb ends early. Nothing inside is unpacked again. */
#pragma once

#include "lib/base/slice.h"

#define LIMIT_REPORT_OUT ((size_t)10485760)	/* bytes of one unpacked report */
#define LIMIT_REPORT_IN ((size_t)10485760)	/* bytes of one packed report */
#define LIMIT_UNPACK_RATIO ((size_t)250)	/* out : in, beyond the first MiB of output */

enum unpack_status {
	UNPACK_MORE, /* a piece was given */
	UNPACK_END,
	UNPACK_BAD,  /* broken, encrypted, empty archive */
	UNPACK_BIG,  /* over a limit */
};

struct unpack;

/* Begins. packed is borrowed until unpack_free(). NULL when memory is gone. */
struct unpack *unpack_new(struct slice packed);
/* Ends; *u becomes NULL; accepts NULL. */
void unpack_free(struct unpack **u);
/* The next piece, at most 64 KiB, borrowed until the next call. After anything but UNPACK_MORE the
 * answer stays the same. */
enum unpack_status unpack_next(struct unpack *u, struct slice *piece);
