/* SPDX-License-Identifier: MIT */
#include "lib/make/milter.h"

static void
u32be(struct buf *b, size_t v)
{
	for (unsigned shift = 32; shift > 0; shift -= 8)
		(void)buf_byte(b, (uint8_t)(v >> (shift - 8)));
}

static void
begin(struct buf *b, char command, size_t n)
{
	if (n > MILTER_CHUNK)
		b->bad = true;
	u32be(b, n + 1);
	(void)buf_byte(b, (uint8_t)command);
}

static void
text(struct buf *b, struct slice s)
{
	if (slice_find_byte(s, 0) != SLICE_NONE)
		b->bad = true;
	(void)buf_add(b, s);
	(void)buf_byte(b, 0);
}

bool
make_milter_options(struct buf *b, uint32_t version, uint32_t actions, uint32_t steps)
{
	begin(b, 'O', 12);
	u32be(b, version);
	u32be(b, actions);
	u32be(b, steps);
	return !b->bad;
}

bool
make_milter_macros(struct buf *b, char command, const struct milter_macro *m, size_t n)
{
	size_t bytes = 1;

	for (size_t i = 0; i < n; i++)
		if (m[i].value.n > 0)
			bytes += m[i].name.n + m[i].value.n + 2;
	begin(b, 'D', bytes);
	(void)buf_byte(b, (uint8_t)command);
	for (size_t i = 0; i < n; i++)
		if (m[i].value.n > 0) {
			text(b, m[i].name);
			text(b, m[i].value);
		}
	return !b->bad;
}

bool
make_milter_connect(struct buf *b, struct slice name, const struct ip *ip, uint16_t port)
{
	struct buf address;

	buf_init(&address, LIMIT_IP_TEXT);
	if (ip->n > 0)
		(void)ip_put(&address, ip);
	begin(b, 'C', name.n + 1 + (ip->n == 0 ? 1 : 3 + address.n + 1));
	text(b, name);
	if (ip->n == 0) {
		(void)buf_byte(b, 'U');
	} else {
		(void)buf_byte(b, ip->n == 4 ? '4' : '6');
		(void)buf_byte(b, (uint8_t)(port >> 8));
		(void)buf_byte(b, (uint8_t)port);
		text(b, buf_slice(&address));
	}
	b->bad = b->bad || address.bad;
	buf_free(&address);
	return !b->bad;
}

bool
make_milter_text(struct buf *b, char command, struct slice s)
{
	begin(b, command, s.n + 1);
	text(b, s);
	return !b->bad;
}

bool
make_milter_path(struct buf *b, char command, struct slice address)
{
	begin(b, command, address.n + 3);
	if (slice_find_byte(address, 0) != SLICE_NONE)
		b->bad = true;
	(void)buf_byte(b, '<');
	(void)buf_add(b, address);
	text(b, S(">"));
	return !b->bad;
}

bool
make_milter_header(struct buf *b, struct slice name, struct slice value)
{
	begin(b, 'L', name.n + value.n + 2);
	text(b, name);
	text(b, value);
	return !b->bad;
}

bool
make_milter_body(struct buf *b, struct slice chunk)
{
	begin(b, 'B', chunk.n);
	return buf_add(b, chunk);
}

bool
make_milter_bare(struct buf *b, char command)
{
	begin(b, command, 0);
	return !b->bad;
}
