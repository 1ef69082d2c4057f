/* SPDX-License-Identifier: MIT
 * The real session in the world of test_backend.h. Byte 0 chooses the instance, TLS and how auth and
 * queue answer; the rest is what the client says (0x1f between segments). Properties: replies are
 * printable lines of known classes; a message that queue got was sealed and begins with our Received
 * field; an mx session never accepts for an account; without a login submission accepts nothing. */
#include "rooms/smtp/test_backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
replies_are_sound(struct slice out)
{
	size_t at;

	while ((at = slice_find(out, S("\r\n"))) != SLICE_NONE) {
		struct slice line = slice_head(out, at);

		PN_ASSERT(line.n >= 4 && line.n <= 510);
		PN_ASSERT(slice_at(line, 0) >= '2' && slice_at(line, 0) <= '5');
		PN_ASSERT(slice_at(line, 3) == ' ' || slice_at(line, 3) == '-');
		for (size_t i = 0; i < line.n; i++)
			PN_ASSERT(ch_is_print(slice_at(line, i)));
		out = slice_from(out, at + 2);
	}
	PN_ASSERT(out.n == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct world w;
	uint8_t how;

	if (n < 1)
		return 0;
	how = slice_at(in, 0);
	world_init(&w, (how & 1) != 0);
	w.conf.relay = (how & 2) != 0;
	w.hang = (how & 4) != 0;
	w.accept_status = (enum smtp_queue_accept_status)(how >> 3 & 3);
	w.auth_ipc = (how & 32) != 0 ? IPC_UNAVAILABLE : IPC_OK;
	w.conf.max_size = 2000;
	(void)world_talk(&w, slice_from(in, 1), (how & 64) != 0, (how & 128) != 0);
	replies_are_sound(buf_slice(&w.out));
	if (w.accepted > 0) {
		PN_ASSERT(w.sealed && slice_starts(buf_slice(&w.message), S("Received: ")));
		PN_ASSERT(w.account == (w.conf.submission ? 1 : 0));
		PN_ASSERT(!w.conf.submission || w.logins > 0);
		PN_ASSERT(slice_find_byte(buf_slice(&w.message), 0) == SLICE_NONE);
		PN_ASSERT(slice_ends(buf_slice(&w.message), S("\r\n")));
	}
	world_free(&w);
	return 0;
}
