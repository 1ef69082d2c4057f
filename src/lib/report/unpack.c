/* SPDX-License-Identifier: MIT */
#include "lib/report/unpack.h"

#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#define PIECE ((size_t)65536)
#define FREE_OUTPUT ((size_t)1048576) /* the ratio does not matter below this */

struct unpack {
	struct archive *archive; /* NULL: plain bytes */
	struct slice in;
	size_t out;
	enum unpack_status status;
	uint8_t piece[PIECE];
};

/* Opens the archive and stands at its first regular file. */
static bool
open_archive(struct unpack *u, bool zip)
{
	struct archive_entry *entry;

	u->archive = archive_read_new();
	if (u->archive == NULL)
		return false;
	if (zip) {
		(void)archive_read_support_format_zip(u->archive);
	} else {
		(void)archive_read_support_filter_gzip(u->archive);
		(void)archive_read_support_format_raw(u->archive);
	}
	if (archive_read_open_memory(u->archive, u->in.p, u->in.n) != ARCHIVE_OK)
		return false;
	for (int skipped = 0; skipped < 16; skipped++) {
		if (archive_read_next_header(u->archive, &entry) != ARCHIVE_OK)
			return false;
		if (!zip || (archive_entry_filetype(entry) == AE_IFREG &&
				!archive_entry_is_data_encrypted(entry)))
			return true;
	}
	return false;
}

struct unpack *
unpack_new(struct slice packed)
{
	struct unpack *u = calloc(1, sizeof *u);

	if (u == NULL)
		return NULL;
	u->in = packed;
	u->status = UNPACK_MORE;
	if (packed.n > LIMIT_REPORT_IN)
		u->status = UNPACK_BIG;
	else if (slice_starts(packed, S("\x1f\x8b")))
		u->status = open_archive(u, false) ? UNPACK_MORE : UNPACK_BAD;
	else if (slice_starts(packed, S("PK\x03\x04")))
		u->status = open_archive(u, true) ? UNPACK_MORE : UNPACK_BAD;
	return u;
}

void
unpack_free(struct unpack **u)
{
	if (*u != NULL && (*u)->archive != NULL)
		(void)archive_read_free((*u)->archive);
	free(*u);
	*u = NULL;
}

enum unpack_status
unpack_next(struct unpack *u, struct slice *piece)
{
	la_ssize_t got;

	if (u->status != UNPACK_MORE)
		return u->status;
	if (u->archive == NULL) {
		*piece = slice_sub(u->in, u->out, u->in.n - u->out < PIECE ? u->in.n - u->out : PIECE);
		u->out += piece->n;
		if (piece->n == 0)
			u->status = UNPACK_END;
		return u->status;
	}
	got = archive_read_data(u->archive, u->piece, PIECE);
	if (got <= 0) {
		u->status = got == 0 ? UNPACK_END : UNPACK_BAD;
		return u->status;
	}
	u->out += (size_t)got;
	if (u->out > LIMIT_REPORT_OUT ||
	    (u->out > FREE_OUTPUT && u->out / LIMIT_UNPACK_RATIO > u->in.n))
		u->status = UNPACK_BIG;
	*piece = slice_of(u->piece, (size_t)got);
	return u->status;
}
