/* SPDX-License-Identifier: MIT
 * A file of rules and a message, with a NUL between, both from the fuzzer: edits stand in order inside the
 * message, what is put in ends no line too early, and every refusal has its words. */
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/filter/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
late(void *ctx)
{
	return (*(unsigned *)ctx)++ > 200;
}

static bool
printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_print(slice_at(s, i)) && slice_at(s, i) != '\t')
			return false;
	return true;
}

/* Fields or lines, each with its end, none empty: nothing can end the header. */
static void
check_insert(struct slice s)
{
	struct slice line, rest = s;

	PN_ASSERT(slice_ends(s, S("\n")));
	while (slice_cut(rest, '\n', &line, &rest)) {
		if (slice_ends(line, S("\r")))
			line = slice_head(line, line.n - 1);
		PN_ASSERT(slice_find_byte(line, '\r') == SLICE_NONE);
	}
	PN_ASSERT(rest.n == 0);
}

static void
check(const struct filter_outcome *o, struct slice mail)
{
	uint64_t at = 0;

	PN_ASSERT(o->n_edits <= FILTER_EDITS);
	for (size_t i = 0; i < o->n_edits; i++) {
		const struct filter_edit *e = &o->edit[i];

		PN_ASSERT(e->at >= at && e->at <= mail.n && e->remove <= mail.n - e->at);
		PN_ASSERT(e->remove > 0 || e->insert.n > 0);
		at = e->at + e->remove;
		if (e->insert.n > 0)
			check_insert(e->insert);
	}
	PN_ASSERT(printable(o->text) && printable(o->hold) && printable(o->junk) && printable(o->redirect));
	if (o->verdict == FILTER_REFUSE || o->verdict == FILTER_LATER)
		PN_ASSERT(o->text.n > 0 && o->enhanced.n >= 5 &&
		    o->code / 100 == (o->verdict == FILTER_LATER ? 4u : 5u) &&
		    slice_at(o->enhanced, 0) == (o->verdict == FILTER_LATER ? '4' : '5'));
	for (size_t i = 0; i < o->n_hits && i < FILTER_HITS; i++)
		PN_ASSERT(o->hit[i].rule != NULL && o->hit[i].line.n <= FILTER_LINE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct filter_errors errors;
	own(arena_p) a = arena_new("fuzz", 2 * LIMIT_ARENA_MESSAGE);
	struct slice text, mail;
	struct filter *f;

	if (!slice_cut(slice_of(data, n), '\0', &text, &mail))
		return 0;
	errors.n = 0;
	f = filter_compile(text, &errors);
	PN_ASSERT((f == NULL) == (errors.n > 0));
	for (int d = FILTER_IN; f != NULL && d <= FILTER_OUT; d++) {
		struct filter_outcome *o = ARENA_NEW(a, struct filter_outcome);
		unsigned asked = 0;

		PN_ASSERT(o != NULL);
		filter_run(f, mail, (enum filter_direction)d, late, &asked, a, o);
		check(o, mail);
	}
	filter_free(&f);
	return 0;
}
