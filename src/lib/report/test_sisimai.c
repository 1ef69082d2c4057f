/* SPDX-License-Identifier: MIT
 * bounces-sisimai: some 550 bounces and complaints as a hundred mail systems write them. We read no bounces, but they come
 * to the addresses that reports come to: the complaints (ARF) among them are found as such, and nothing else is taken for a
 * report of any kind. All of them also pass the line breaker and the header splitter, which see such mail every day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/make/lines/lines.h"
#include "lib/parse/header/header.h"
#include "lib/report/find.h"

#define FILE_NAME VECTORS "/bounces-sisimai/maildir.tar.zst"
#define MOST ((size_t)1 << 22)

static struct {
	size_t files, found;
} seen;

static bool
put(void *arg, struct slice piece)
{
	return buf_add(arg, piece);
}

static void
one(struct slice name, struct slice mail)
{
	own(arena_p) a = arena_new("mail", MOST);
	own(buf_t) part = { .max = MOST }, broken = { .max = MOST };
	/* four of the arf-* are complaints in words of their own (Hotmail's, a plain text): no report that can be read */
	bool complaint = slice_find(mail, S("message/feedback-report")) != SLICE_NONE;
	enum report_form form;
	struct report_walk w;
	struct header h;
	struct mime m;
	size_t breaks;

	assert_true(mime_parse(mail, a, &m));
	w = report_walk_of(&m);
	form = report_next(&w, &part);
	if (form != (complaint ? REPORT_FORM_ARF : REPORT_FORM_NONE))
		fail_msg("%.*s is taken for form %d", SFMT(name), (int)form);
	seen.files++;
	seen.found += form == REPORT_FORM_ARF;
	assert_true(header_split(mail, a, &h) && h.n > 0);
	assert_true(lines_break(mail, put, &broken, &breaks) && !lines_too_long(buf_slice(&broken)));
}

/* bsd has LF and dos CRLF; mac has CR, which no SMTP server lets in, and err is not mail. */
static bool
wanted(struct slice name)
{
	return slice_find(name, S("bsd/")) != SLICE_NONE || slice_find(name, S("dos/")) != SLICE_NONE ||
	    slice_find(name, S("not/")) != SLICE_NONE;
}

static void
all(void **state)
{
	struct archive *r = archive_read_new();
	struct archive_entry *e;

	(void)state;
	assert_non_null(r);
	assert_int_equal(archive_read_support_filter_zstd(r), ARCHIVE_OK);
	assert_int_equal(archive_read_support_format_tar(r), ARCHIVE_OK);
	assert_int_equal(archive_read_open_filename(r, FILE_NAME, 65536), ARCHIVE_OK);
	while (archive_read_next_header(r, &e) == ARCHIVE_OK) {
		static uint8_t bytes[MOST];
		struct slice name = slice_z(archive_entry_pathname(e));
		la_ssize_t n;

		if (archive_entry_filetype(e) != AE_IFREG || !wanted(name))
			continue;
		n = archive_read_data(r, bytes, sizeof bytes);
		assert_in_range(n, 1, sizeof bytes - 1);
		one(name, slice_of(bytes, (size_t)n));
	}
	assert_int_equal(archive_read_free(r), ARCHIVE_OK);
	assert_true(seen.files == 480 && seen.found == 6);
	(void)printf("%zu mails, %zu complaints\n", seen.files, seen.found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all) };

	if (access(FILE_NAME, R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/bounces-sisimai\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
