/* SPDX-License-Identifier: MIT
 * A talk with a milter that says anything: a message is fixed, the input is all that it ever answers. Whatever comes,
 * the talk ends; a refusal has a code of its class; wishes are whole fields, and within the rights that were
 * negotiated; with all of them done the message is still one whose lines end in CRLF where they did before. */
#include "lib/clock/clock.h"
#include "lib/base/own.h"
#include "rooms/milter/milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(const struct milter_talk *t, struct milter_message *m)
{
	for (size_t i = 0; i < t->n_wishes; i++) {
		const struct milter_wish *w = &t->wish[i];
		size_t lf = 0;

		PN_ASSERT(t->actions != 0);
		PN_ASSERT(w->raw.n == 0 || (slice_ends(w->raw, S("\r\n")) && slice_starts(w->raw, w->name)));
		for (size_t k = 0; k < w->raw.n; k++) {
			lf += slice_at(w->raw, k) == '\n';
			PN_ASSERT(slice_at(w->raw, k) != '\n' || slice_at(w->raw, k - 1) == '\r');
			PN_ASSERT(slice_at(w->raw, k) != '\n' || k + 1 == w->raw.n || slice_at(w->raw, k + 1) == ' ' ||
			    slice_at(w->raw, k + 1) == '\t');
		}
		PN_ASSERT(w->raw.n == 0 || lf > 0);
		if (w->kind == MILTER_ADDED)
			(void)milter_message_append(m, w->name, w->raw);
		else if (w->kind == MILTER_INSERTED)
			(void)milter_message_insert(m, w->index, w->name, w->raw);
		else if (w->kind == MILTER_CHANGED)
			(void)milter_message_change(m, w->index, w->name, w->raw);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct slice mail = S_INIT("Received: ours\r\nFrom: a@b.example\r\nSubject: x\r\n y\r\n\r\nhello\r\n");
	own(arena_p) a = arena_new("fuzz", 4 * LIMIT_ARENA_MESSAGE);
	struct milter_settings settings = { .hostname = S("mx.example.test"), .max_size = 100000 };
	struct milter_conf conf = { .name = S("one"), .timeout_ms = 1000 };
	struct smtp_milter_address to[] = { { S("bob@example.test") }, { S("alice@example.test") } };
	struct smtp_milter_ask in = { .queue_id = S("q.1"), .helo = S("client.example"), .sender = S("a@b.example"), .rcpts = to,
		.n_rcpts = 2 };
	struct milter_message m;
	struct stream_memory memory = { .in = slice_of(data, n) };
	struct stream io = { 0 };
	struct milter_talk t = { .settings = &settings, .conf = &conf, .in = &in, .message = &m, .a = a, .io = &io,
		.until_ms = clock_mono_ms() + 5000 };
	enum milter_outcome end;

	buf_init(&memory.out, 1000000);
	PN_ASSERT(milter_message_read(&m, mail, 0, 16, a));
	stream_init_memory(&io, &memory);
	end = milter_talk(&t);
	PN_ASSERT(end != MILTER_REFUSED || (t.code >= 400 && t.code <= 599));
	PN_ASSERT(end != MILTER_FAILED || t.why != NULL);
	if (end == MILTER_PASSED)
		check(&t, &m);
	PN_ASSERT(slice_eq(m.field[0].raw, S("Received: ours\r\n")));
	stream_close(&io);
	buf_free(&t.body);
	buf_free(&memory.out);
	return 0;
}
