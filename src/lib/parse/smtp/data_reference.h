/* SPDX-License-Identifier: MIT
 * The end of DATA as the RFC says it, one byte at a time and in no hurry: what tests and fuzzing hold
 * against data.c. */
#pragma once

#include <string.h>

#include "lib/parse/smtp/data.h"

struct data_reference {
	bool end;
	unsigned faults; /* BARE and NUL only */
	size_t used, n;	 /* bytes consumed; bytes of content */
	uint64_t longest, header_size;
};

/* content has room for in.n bytes. */
static struct data_reference
data_reference(struct slice in, uint8_t *content)
{
	struct data_reference r = { 0 };
	bool header = true;
	uint64_t line = 0;

	for (size_t i = 0; i < in.n && !r.end; i++) {
		struct slice rest = slice_from(in, i), done = slice_head(in, i);
		uint8_t b = slice_at(in, i);
		bool start = i == 0 || slice_ends(done, S("\r\n"));

		r.end = start && slice_starts(rest, S(".\r\n"));
		r.used = r.end ? i + 3 : i + 1;
		if (r.end || (start && b == '.'))
			continue;
		content[r.n++] = b;
		if (b == 0)
			r.faults |= SMTP_DATA_NUL;
		if (b == '\r' && rest.n > 1 && slice_at(rest, 1) != '\n')
			r.faults |= SMTP_DATA_BARE;
		if (b == '\n' && !slice_ends(done, S("\r")))
			r.faults |= SMTP_DATA_BARE;
		if (header)
			r.header_size = r.n;
		line++;
		if (b != '\n' || !slice_ends(done, S("\r")))
			continue;
		if (line - 2 > r.longest)
			r.longest = line - 2;
		if (line == 2)
			header = false;
		line = 0;
	}
	return r;
}
