/* SPDX-License-Identifier: MIT */
#include "rooms/mailbox/match.h"

#include "lib/base/fold.h"
#include "lib/parse/mime/search.h"

bool
match_fold(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p = arena_alloc(a, in.n, 1);

	if (p == NULL)
		return false;
	memcpy(p, in.p, in.n);
	fold_utf8(p, in.n);
	*out = slice_of(p, in.n);
	return true;
}

static enum match_result
result(bool hit)
{
	return hit ? MATCH_YES : MATCH_NO;
}

enum match_result
match_header(struct message *m, struct slice field, struct slice needle)
{
	struct slice block;
	struct search s;
	bool hit;

	if (!message_header(m, &block))
		return MATCH_FAILED;
	search_begin(&s, needle);
	hit = search_header(&s, block, field, message_arena(m));
	search_end(&s);
	return result(hit);
}

/* The header too when block is not NULL. */
static enum match_result
match(struct message *m, const struct slice *block, struct slice needle)
{
	const struct mime *tree;
	struct search s;
	bool hit;

	search_begin(&s, needle);
	hit = block != NULL && search_block(&s, *block);
	if (!hit && !message_tree(m, &tree)) {
		search_end(&s);
		return MATCH_FAILED;
	}
	hit = hit || needle.n == 0 || search_body(&s, tree, message_arena(m));
	search_end(&s);
	return result(hit);
}

enum match_result
match_body(struct message *m, struct slice needle)
{
	return match(m, NULL, needle);
}

enum match_result
match_text(struct message *m, struct slice needle)
{
	struct slice block;

	return message_header(m, &block) ? match(m, &block, needle) : MATCH_FAILED;
}
