/* SPDX-License-Identifier: MIT */
#include "lib/resolve/wire.h"

#include "lib/parse/dnsmsg/dnsmsg.h"

#define RCODE_NXDOMAIN 3

bool
wire_question(struct buf *b, uint16_t id, struct slice name, enum rr_type type)
{
	(void)buf_byte(b, (uint8_t)(id >> 8));
	(void)buf_byte(b, (uint8_t)id);
	(void)buf_add(b, S("\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01"));
	(void)buf_add(b, name);
	(void)buf_byte(b, (uint8_t)((unsigned)type >> 8));
	(void)buf_byte(b, (uint8_t)type);
	return buf_add(b, S("\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"));
}

void
wire_answer(struct slice message, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	struct dnsmsg_answer m = { .truncated = true };

	*out = (struct resolve_wire){ .status = RESOLVE_SERVFAIL };
	if (!dnsmsg_answer_parse(message, name, (uint16_t)type, a, &m) || m.truncated || m.referral ||
	    (m.rcode != 0 && m.rcode != RCODE_NXDOMAIN) || !name_from_wire(m.owner, a, &out->name))
		return;
	out->status = m.rcode == RCODE_NXDOMAIN ? RESOLVE_NXDOMAIN : m.n > 0 ? RESOLVE_OK : RESOLVE_NODATA;
	out->secure = (slice_at(message, 3) & 0x20) != 0; /* AD */
	out->ttl = m.ttl;
	out->n = m.n;
	out->rdata = m.rdata;
}
