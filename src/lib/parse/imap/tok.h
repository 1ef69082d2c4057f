/* SPDX-License-Identifier: MIT
 * Tokens of the IMAP grammar, private to this folder. Every function consumes what it names and
 * returns true, or returns false and the whole command has failed: alternatives are chosen by a look
 * at the next byte, never by trying. `over` remembers that a limit was the reason. */
#pragma once

#include "lib/parse/imap/imap.h"
#include "lib/base/limits.h"

struct in {
	struct cursor *c;
	struct arena *a;
	enum imap_fault over; /* IMAP_FINE while no limit was met */
};

static inline bool
in_over(struct in *p, enum imap_fault why)
{
	if (p->over == IMAP_FINE)
		p->over = why;
	return cur_fail(p->c);
}

bool imap_is_atom(uint8_t c);
bool imap_is_astring(uint8_t c);
bool imap_is_tag(uint8_t c);
bool imap_is_list(uint8_t c);

static inline bool
in_sp(struct in *p)
{
	return cur_byte(p->c, ' ');
}

bool in_atom(struct in *p, struct slice *out);
/* quoted or literal. */
bool in_string(struct in *p, struct slice *out);
bool in_astring(struct in *p, struct slice *out);
/* NIL gives the empty slice. */
bool in_nstring(struct in *p, struct slice *out);
bool in_mailbox(struct in *p, struct imap_mailbox *out);
/* list-mailbox: an astring in which wildcards are ordinary. */
bool in_pattern(struct in *p, struct imap_mailbox *out);
bool in_set(struct in *p, struct imap_set *out);
/* flag-list in parentheses, or (bare) flags with spaces between up to the end. */
bool in_flags(struct in *p, bool bare, struct imap_flags *out);
bool in_number(struct in *p, uint64_t max, uint64_t *out);
/* The word of A-Z, 0-9, '.' and '-' that comes next, which may be empty. */
struct slice in_keyword(struct in *p);
/* Adds a slice to a growing array in the arena; at max the limit was met. */
bool in_push(struct in *p, struct slice **v, size_t *n, size_t *cap, size_t max, struct slice s);

/* The arguments of one verb each, from the space behind the verb on. */
bool in_fetch(struct in *p, struct imap_command *out);
bool in_search(struct in *p, struct imap_command *out);
bool in_list(struct in *p, struct imap_command *out);
bool in_lsub(struct in *p, struct imap_command *out);
bool in_status_items(struct in *p, uint32_t *items);
