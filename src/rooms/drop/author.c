/* SPDX-License-Identifier: MIT
 * The header of a message of a local program. scan says who is in From and whether that is one author;
 * here a From that is missing, or that names a user of the machine without a domain ("root (Cron
 * Daemon)"), becomes the program's own address, as every sendmail does it. */
#include <sys/mman.h>

#include "lib/base/chars.h"
#include "lib/edits/edits.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/header.h"
#include "rooms/drop/drop.h"

/* Full name, if it is printable ASCII, as a quoted string. */
static void
put_name(struct buf *b, struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ch_is_print(slice_at(name, i)))
			return;
	if (name.n == 0 || name.n > 200)
		return;
	(void)buf_byte(b, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (slice_at(name, i) == '"' || slice_at(name, i) == '\\')
			(void)buf_byte(b, '\\');
		(void)buf_byte(b, slice_at(name, i));
	}
	(void)buf_add(b, S("\" "));
}

/* Does the field name one user without a domain, or nobody? *name is what he is called. */
static bool
is_local(struct arena *a, struct slice body, struct slice *name)
{
	struct address_reader r = address_reader_of(body, a);
	struct address one, more;

	if (!address_next(&r, &one))
		return !r.c.bad;
	*name = one.name.n > 0 ? one.name : one.local;
	return one.kind == ADDRESS_MAILBOX && one.domain.n == 0 && !address_next(&r, &more) && !r.c.bad;
}

/* The edit that gives the message a From of the program's own, where it needs one. */
static bool
own_from(struct drop_mail *m, const struct header *h, struct smtp_scan_edit *e, bool *needed)
{
	size_t at = header_find(h, S("From"), 0);
	struct slice name = m->name;
	own(buf_t) b = { .max = 1024 };

	*e = (struct smtp_scan_edit){ .at = m->trace };
	*needed = at == SLICE_NONE;
	if (at != SLICE_NONE && is_local(m->a, h->field[at].body, &name)) {
		*needed = true;
		for (size_t i = 0; i < at; i++)
			e->at += h->field[i].raw.n;
		e->remove = h->field[at].raw.n;
	}
	if (!*needed)
		return true;
	(void)buf_add(&b, S("From: "));
	put_name(&b, name);
	(void)buf_byte(&b, '<');
	(void)buf_add(&b, drop_default_sender(&m->app));
	(void)buf_add(&b, S(">\r\n"));
	return !b.bad && arena_copy(m->a, buf_slice(&b), &e->insert);
}

static bool
add_rcpts(struct drop_mail *m, struct slice body, struct drop_answer *an)
{
	struct address_reader r = address_reader_of(body, m->a);
	struct address one;

	while (address_next(&r, &one)) {
		own(buf_t) b = { .max = 2 * LIMIT_SMTP_ADDRESS };

		if (one.kind != ADDRESS_MAILBOX)
			continue;
		(void)buf_add(&b, one.local);
		if (one.domain.n > 0 && buf_byte(&b, '@'))
			(void)buf_add(&b, one.domain);
		if (b.bad || !drop_address_ok(buf_slice(&b)))
			return drop_say(an, 501, "5.1.3", "the header names a recipient that is no address");
		if (m->n_rcpts == DROP_RCPTS)
			return drop_say(an, 552, "5.5.3", "more than %zu recipients", DROP_RCPTS);
		if (!arena_copy(m->a, buf_slice(&b), &m->rcpts[m->n_rcpts++]))
			return drop_say(an, 452, "4.3.1", "no room now, try later");
	}
	return !r.c.bad || drop_say(an, 452, "4.3.1", "no room now, try later");
}

/* Loops: hops, and a program that answers its own mail. */
static bool
no_loop(const struct drop_mail *m, const struct header *h, struct drop_answer *an)
{
	unsigned hops = 0;
	bool loop = false;

	for (size_t i = 0; i < h->n; i++) {
		hops += slice_ieq(h->field[i].name, S("Received"));
		for (size_t k = 0; k < m->n_rcpts; k++)
			loop = loop || (slice_ieq(h->field[i].name, S("Delivered-To")) &&
			    slice_ieq(slice_trim(h->field[i].body), m->rcpts[k]));
	}
	return (hops <= LIMIT_RECEIVED && !loop) || drop_say(an, 554, "5.4.6", "this message goes in circles");
}

static bool
look(struct drop_mail *m, struct slice message, struct smtp_scan_edit *e, bool *needed, struct drop_answer *an)
{
	static const struct slice names[] = { S_INIT("To"), S_INIT("Cc"), S_INIT("Bcc") };
	struct header h;

	if (!header_split(message, m->a, &h))
		return drop_say(an, 552, "5.3.4", "header too big");
	for (size_t i = 0; m->from_header && i < h.n; i++)
		for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
			if (slice_ieq(h.field[i].name, names[k]) && !add_rcpts(m, h.field[i].body, an))
				return false;
	if (!no_loop(m, &h, an))
		return false;
	return own_from(m, &h, e, needed) || drop_say(an, 452, "4.3.1", "no room now, try later");
}

bool
drop_header(struct drop_mail *m, struct drop_answer *an)
{
	struct smtp_scan_edit e;
	bool needed = false, ok;
	void *p;

	if (!edits_seal(m->fd))
		return drop_say(an, 452, "4.3.1", "no room now, try later");
	p = mmap(NULL, (size_t)m->size, PROT_READ, MAP_SHARED, m->fd, 0);
	if (p == MAP_FAILED)
		return drop_say(an, 452, "4.3.1", "no room now, try later");
	ok = look(m, slice_from(slice_of(p, (size_t)m->size), (size_t)m->trace), &e, &needed, an);
	(void)munmap(p, (size_t)m->size);
	if (!ok)
		return false;
	return edits_apply(&m->fd, &m->size, &e, needed, UINT32_MAX) ||
	    drop_say(an, 452, "4.3.1", "no room now, try later");
}
