/* SPDX-License-Identifier: MIT
 * The session as LMTP in the world of test_backend.h. Byte 0 chooses how auth and queue answer; the rest is what the
 * peer says (0x1f between segments). Properties: replies are lines of known classes; nothing goes elsewhere; nobody
 * logs in and nothing asks for TLS; what queue got is sealed and begins with our Received field. */
#include "rooms/smtp/test_backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
replies_are_sound(struct slice out)
{
	size_t at;

	while ((at = slice_find(out, S("\r\n"))) != SLICE_NONE) {
		PN_ASSERT(at >= 4 && at <= 510 && slice_at(out, 0) >= '2' && slice_at(out, 0) <= '5');
		for (size_t i = 0; i < at; i++)
			PN_ASSERT(ch_is_print(slice_at(out, i)));
		out = slice_from(out, at + 2);
	}
	PN_ASSERT(out.n == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct ip_nets from;
	struct slice in = slice_of(data, n);
	struct world w;
	uint8_t how;

	if (n < 1)
		return 0;
	how = slice_at(in, 0);
	PN_ASSERT(ip_nets_parse(S("192.0.2.0/24"), &from));
	world_init(&w, false);
	w.conf.lmtp = w.conf.relay = true;
	w.conf.starttls = false;
	w.conf.lmtp_from = &from;
	w.hang = (how & 4) != 0;
	w.accept_status = (enum smtp_queue_accept_status)(how >> 3 & 3);
	w.auth_ipc = (how & 32) != 0 ? IPC_UNAVAILABLE : IPC_OK;
	w.conf.max_size = 2000;
	(void)world_talk(&w, slice_from(in, 1), false, false);
	replies_are_sound(buf_slice(&w.out));
	PN_ASSERT(w.logins == 0 && w.starttls == 0 && w.account == 0);
	if (w.accepted > 0) {
		PN_ASSERT(w.sealed && slice_starts(buf_slice(&w.message), S("Received: ")));
		PN_ASSERT(slice_find(buf_slice(&w.rcpts), S("far.example<")) == SLICE_NONE);
		PN_ASSERT(slice_ends(buf_slice(&w.message), S("\r\n")));
	}
	world_free(&w);
	return 0;
}
