/* SPDX-License-Identifier: MIT
 * The input as a header: after removal no field of ours is left, and nothing else is lost. The input
 * as a value: what we write has our id, one result and one property, and no line of it ends early. */
#include "lib/base/cfws.h"
#include "lib/base/own.h"
#include "lib/make/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
header(struct slice in)
{
	own(buf_t) once = { .max = 0 }, twice = { .max = 0 };
	size_t removed;

	buf_init(&once, 1 << 20);
	buf_init(&twice, 1 << 20);
	PN_ASSERT(authres_remove(&once, in, S("mx.example"), &removed));
	PN_ASSERT(removed > 0 ? once.n < in.n : slice_eq(buf_slice(&once), in));
	PN_ASSERT(authres_remove(&twice, buf_slice(&once), S("mx.example"), &removed));
	PN_ASSERT(removed == 0 && twice.n == once.n);
}

static void
value(struct slice in)
{
	struct authres_prop prop = { S("smtp"), S("helo"), in };
	struct authres_result r = { .method = S("spf"), .result = S("fail"), .comment = in,
		.reason = in, .props = &prop, .n_props = 1 };
	own(buf_t) b = { .max = 0 };
	struct cursor c;
	struct slice part;
	size_t semicolons = 0;
	bool closed = true;

	buf_init(&b, LIMIT_AUTHRES);
	PN_ASSERT(authres_write(&b, S("mx.example"), &r, 1));
	for (size_t i = 0; i + 2 < b.n; i++)
		PN_ASSERT((b.p[i] != '\r' && b.p[i] != '\n') || b.p[i + (b.p[i] == '\r' ? 2 : 1)] == '\t');
	c = cur_of(slice_from(buf_slice(&b), 23));
	PN_ASSERT(authres_owner(c.in, S("mx.example")) == AUTHRES_OURS);
	while (cur_left(&c) > 0) {
		cur_cfws(&c);
		if (cur_byte(&c, '"')) {
			while (!cur_byte(&c, '"')) {
				if (cur_next(&c) == '\\')
					(void)cur_next(&c);
				PN_ASSERT(cur_left(&c) > 0);
			}
		} else if (!cur_comment(&c, &part, &closed)) {
			semicolons += cur_next(&c) == ';';
		}
	}
	PN_ASSERT(semicolons == 1 && closed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	header(slice_of(data, n));
	value(slice_of(data, n));
	(void)authres_owner(slice_of(data, n), S("mx.example"));
	return 0;
}
