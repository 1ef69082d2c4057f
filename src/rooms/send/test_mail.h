/* SPDX-License-Identifier: MIT
 * For tests and fuzzing: a conversation over memory, in which the server's words are there from the start. */
#pragma once

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/send/send.h"

struct scene {
	struct stream_memory mem;
	struct talk t;
	struct mail mail;
	struct queue_send_relay m;
	struct queue_send_rcpt rcpts[3];
	struct queue_send_result results[3];
	struct arena *a;
	enum talk_end hello, end;
};

/* No scene waits for any of these: so long that a busy machine does not come upon them. */
static const struct send_times scene_times = { .connect = 60000, .greeting = 60000, .command = 60000, .block = 60000,
	.end = 60000, .total = 120000, .idle = 60000 };

/* Three recipients, a message with a line that begins with a dot. Change what is needed, then play. */
static void
scene_init(struct scene *s, struct slice server)
{
	*s = (struct scene){ .mem = { .in = server } };
	buf_init(&s->mem.out, 65536);
	s->a = arena_new("scene", LIMIT_ARENA_SESSION);
	stream_init_memory(&s->t.s, &s->mem);
	s->t.times = &scene_times;
	s->t.total = (int64_t)clock_mono_ms() + 120000;
	for (unsigned i = 0; i < 3; i++)
		s->rcpts[i] = (struct queue_send_rcpt){ .delivery = 100 + i,
			.address = i == 0 ? S("a@x.test") : i == 1 ? S("b@x.test") : S("c@x.test") };
	s->m = (struct queue_send_relay){ .sender = S("from@y.test"), .destination = S("x.test"), .rcpts = s->rcpts,
		.n_rcpts = 3, .fd = -1 };
	s->mail = (struct mail){ .a = s->a, .m = &s->m, .body = S("Subject: x\r\n\r\n.dot\r\nend\r\n"),
		.results = s->results, .chunking = true };
}

static void
scene_play(struct scene *s)
{
	struct send_policy policy = { .level = SEND_MAY };

	s->end = TALK_NEXT;
	s->hello = talk_hello(&s->t, S("us.example"), S("mx.x.test"), NULL, &policy, false);
	if (s->hello == TALK_OK)
		s->end = mail_send(&s->t, &s->mail);
	(void)stream_flush(&s->t.s, 0);
}

static void
scene_end(struct scene *s)
{
	stream_close(&s->t.s);
	buf_free(&s->mem.out);
	arena_free(&s->a);
}
