/* SPDX-License-Identifier: MIT
 * Letters over HTTP: POST /letters with one letter or an array of them, for programs of this machine that speak HTTP
 * better than Unix sockets. Who it is says a token ("postern app token NAME"); there is nothing else here to be found, and
 * what is said before the token is known is bounded by the head.
 *
 * Everything has a deadline of its own (H-004, H-005), and whatever could be read in two ways ends the connection. */
#include <stdio.h>

#include "lib/clock/clock.h"
#include "lib/parse/http/http.h"
#include "rooms/drop/drop.h"

/* One request on its way. */
struct request {
	struct drop_conv *c;
	struct arena *a;
	struct http_head head;
	struct app app;
	struct buf body;
};

static int64_t
until(const struct drop_conv *c, uint64_t ms)
{
	uint64_t at = clock_mono_ms() + ms;

	return (int64_t)(at < c->until_ms ? at : c->until_ms);
}

static void
reply(struct request *q, unsigned code, const char *fields, struct slice body)
{
	own(buf_t) out = { .max = DROP_HTTP_BODY };
	int64_t deadline = until(q->c, DROP_IDLE_MS);

	q->head.close = q->head.close || (code != 200 && code != 422 && code != 503);
	(void)buf_fmt(&out, "HTTP/1.1 %u %s\r\nContent-Length: %zu\r\nContent-Type: application/json\r\n"
	    "Cache-Control: no-store\r\n%s%s\r\n", code, http_reason(code), body.n, fields,
	    q->head.close ? "Connection: close\r\n" : "");
	(void)buf_add(&out, body);
	if (stream_write(&q->c->stream, buf_slice(&out), deadline) != STREAM_OK ||
	    stream_flush(&q->c->stream, deadline) != STREAM_OK)
		q->head.close = true;
}

static bool
refuse(struct request *q, unsigned code, const char *fields)
{
	own(buf_t) text = { .max = 200 };

	EVENT(EVENT_DROP_REFUSED, q->c->session, S(""), S(""), EF("listener", S("http")), EN("code", code),
	    EF("program", q->app.name), EF("text", slice_z(http_reason(code))));
	(void)buf_fmt(&text, "{\"status\":\"refused\",\"text\":\"%s\"}\n", http_reason(code));
	reply(q, code, fields, buf_slice(&text));
	return false;
}

/* False when the connection is over, with or without a reply. */
static bool
read_head(struct request *q)
{
	struct drop_conv *c = q->c;
	int64_t deadline = until(c, DROP_HTTP_HEAD_MS);
	enum http_step step = HTTP_MORE;
	struct slice line;

	while (step == HTTP_MORE) {
		enum stream_status st = stream_line(&c->stream, HTTP_LINE, deadline, &line);

		if (st == STREAM_TOO_LONG)
			return refuse(q, q->head.lines == 0 ? 414 : 431, "");
		if (st == STREAM_BAD)
			return refuse(q, 400, "");
		if (st == STREAM_TIMEOUT && q->head.lines > 0)
			return refuse(q, 408, "");
		if (st != STREAM_OK)
			return false;
		step = http_head_line(&q->head, line, q->a);
	}
	return step == HTTP_DONE || refuse(q, q->head.code, "");
}

/* Is this a request for us, of a program that we know? */
static bool
permitted(struct request *q)
{
	const struct http_head *h = &q->head;
	enum store_err e;

	if (slice_at(h->target, 0) != '/')
		return refuse(q, 400, "");
	if (!slice_eq(h->target, S("/letters")))
		return refuse(q, 404, "");
	if (!slice_eq(h->method, S("POST")))
		return refuse(q, 405, "Allow: POST\r\n");
	(void)pthread_mutex_lock(&q->c->room->lock);
	e = app_of_token(q->c->room->apps, h->bearer, q->a, &q->app);
	(void)pthread_mutex_unlock(&q->c->room->lock);
	if (e == STORE_NONE)
		return refuse(q, 401, "WWW-Authenticate: Bearer\r\n");
	if (e != STORE_OK)
		return refuse(q, 503, "Retry-After: 60\r\n");
	q->c->uid = q->app.uid;
	if (!h->json) /* and no page of a browser may send that here without asking */
		return refuse(q, 415, "");
	return h->length <= DROP_HTTP_BODY || refuse(q, 413, "");
}

static bool
read_body(struct request *q)
{
	struct drop_conv *c = q->c;
	int64_t deadline = until(c, DROP_HTTP_BODY_MS);
	uint64_t left = q->head.length;
	struct slice piece;

	if (q->head.expects && (stream_write(&c->stream, S("HTTP/1.1 100 Continue\r\n\r\n"), deadline) != STREAM_OK ||
				   stream_flush(&c->stream, deadline) != STREAM_OK))
		return false;
	while (left > 0) {
		enum stream_status st = stream_peek(&c->stream, deadline, &piece);

		if (st != STREAM_OK)
			return st == STREAM_TIMEOUT && refuse(q, 408, "");
		piece = slice_head(piece, left);
		(void)buf_add(&q->body, piece);
		left -= piece.n;
		stream_consume(&c->stream, piece.n);
	}
	return !q->body.bad || refuse(q, 503, "Retry-After: 60\r\n");
}

/* One request; false when it was the last one. */
static bool
serve(struct drop_conv *c)
{
	own(arena_p) a = arena_new("http", LIMIT_ARENA_COMMAND);
	own(buf_t) out = { .max = DROP_HTTP_LETTERS * 512 };
	struct request q = { .c = c, .a = a };
	unsigned code;
	bool ok;

	buf_init(&q.body, DROP_HTTP_BODY);
	ok = read_head(&q) && permitted(&q) && read_body(&q);
	if (ok) {
		code = drop_letters(c, &q.app, buf_slice(&q.body), &out);
		reply(&q, code, code == 503 ? "Retry-After: 60\r\n" : "", buf_slice(&out));
	}
	buf_free(&q.body);
	return ok && !q.head.close;
}

void
drop_http(struct drop_conv *c)
{
	for (unsigned n = 0; n < DROP_HTTP_REQUESTS && serve(c); n++)
		;
}
