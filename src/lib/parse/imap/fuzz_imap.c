/* SPDX-License-Identifier: MIT
 * Any bytes as one command: sets come out sorted and disjoint, trees within the depth, slices inside
 * the input or readable, the work within a bound. */
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/imap/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile uint8_t sink;

static void
read_all(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		sink = (uint8_t)(sink ^ slice_at(s, i));
}

static void
check_set(const struct imap_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		PN_ASSERT(s->r[i].lo >= 1 && s->r[i].lo <= s->r[i].hi);
		PN_ASSERT(i == 0 || s->r[i].lo > s->r[i - 1].hi + 1);
	}
	PN_ASSERT(s->n > 0 || s->star);
}

static void
check_key(const struct imap_search_key *k, unsigned depth)
{
	PN_ASSERT(depth <= LIMIT_IMAP_DEPTH + 1);
	for (; k != NULL; k = k->next) {
		if (k->key == IMAP_KEY_SEQ || k->key == IMAP_KEY_UID)
			check_set(&k->set);
		if (k->key == IMAP_KEY_OR)
			PN_ASSERT(k->first->next != NULL && k->first->next->next == NULL);
		read_all(k->field);
		read_all(k->text);
		check_key(k->first, depth + 1);
	}
}

static void
check_mailbox(const struct imap_mailbox *m)
{
	read_all(m->name);
}

static void
check_fetch(const struct imap_fetch *f)
{
	check_set(&f->set);
	PN_ASSERT(f->items != 0 || f->n_sections > 0);
	PN_ASSERT(f->n_sections <= LIMIT_IMAP_SECTIONS);
	for (size_t i = 0; i < f->n_sections; i++) {
		PN_ASSERT(f->section[i].n_part <= LIMIT_MIME_DEPTH);
		for (size_t j = 0; j < f->section[i].n_fields; j++)
			read_all(f->section[i].field[j]);
	}
}

static void
check_command(const struct imap_command *c)
{
	read_all(c->tag);
	switch (c->verb) {
	case IMAP_SEARCH: check_key(c->u.search.first, 1); break;
	case IMAP_FETCH: check_fetch(&c->u.fetch); break;
	case IMAP_STORE: check_set(&c->u.store.set); break;
	case IMAP_COPY: check_set(&c->u.copy.set); check_mailbox(&c->u.copy.to); break;
	case IMAP_SELECT: check_mailbox(&c->u.mailbox); break;
	case IMAP_APPEND: check_mailbox(&c->u.append.mailbox); break;
	case IMAP_LOGIN: read_all(c->u.login.user); read_all(c->u.login.password); break;
	case IMAP_LIST:
		for (size_t i = 0; i < c->u.list.n_patterns; i++)
			check_mailbox(&c->u.list.pattern[i]);
		break;
	default: break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", LIMIT_ARENA_IMAP);
	struct cursor c = cur_of(slice_of(data, n));
	struct imap_command cmd = { .uid = false };
	uint64_t size;

	if (n > LIMIT_IMAP_LINE)
		return 0;
	(void)imap_literal_at_end(slice_of(data, n), &size);
	if (imap_parse(&c, a, &cmd) == IMAP_FINE)
		check_command(&cmd);
#ifdef PN_FUZZ
	PN_ASSERT(c.steps <= 64 * (n + 1)); /* a word is tried against a table, a byte read twice */
#endif
	PN_ASSERT(arena_used(a) <= LIMIT_ARENA_IMAP);
	return 0;
}
