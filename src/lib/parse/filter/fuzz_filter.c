/* SPDX-License-Identifier: MIT
 * What is read holds what its rules promise; what is not has a place for its first error. */
#include "lib/base/own.h"
#include "lib/parse/filter/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(const struct filter_file *f, size_t i)
{
	const struct filter_rule *r = &f->rule[i];

	PN_ASSERT(r->lines != 0 && r->direction != 0 && r->at.line > 0);
	PN_ASSERT(r->pattern.n <= LIMIT_FILTER_PATTERN);
	PN_ASSERT((r->pattern.n > 0) == (r->kind == FILTER_RULE || r->kind == FILTER_IF));
	if (r->kind == FILTER_IF)
		PN_ASSERT(r->past > i + 1 && r->past <= f->n && f->rule[r->past - 1].kind == FILTER_ENDIF);
	if (r->kind == FILTER_RULE && r->action == FILTER_REDIRECT)
		PN_ASSERT(slice_count_byte(r->text, '@') == 1 && slice_find_byte(r->text, '$') == SLICE_NONE &&
		    slice_find_byte(r->text, ' ') == SLICE_NONE);
	if (r->action == FILTER_REJECT && r->code != 0)
		PN_ASSERT(r->code >= 400 && r->code <= 599 &&
		    (r->enhanced.n == 0 || slice_at(r->enhanced, 0) == '0' + r->code / 100));
	for (size_t k = 0; k < r->text.n; k++)
		PN_ASSERT(slice_at(r->text, k) >= 0x20 || slice_at(r->text, k) == '\t');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct filter_errors errors;
	own(arena_p) a = arena_new("fuzz", LIMIT_ARENA_FILTER);
	struct cursor c = cur_of(slice_of(data, n));
	struct filter_file f;

	errors.n = 0;
	if (filter_parse(&c, a, &f, &errors)) {
		PN_ASSERT(errors.n == 0 && f.n <= LIMIT_FILTER_RULES);
		for (size_t i = 0; i < f.n; i++)
			check(&f, i);
	} else {
		PN_ASSERT(errors.n > 0 && errors.v[0].at.line > 0 && errors.v[0].at.column > 0 &&
		    errors.v[0].text[0] != '\0');
	}
	return 0;
}
