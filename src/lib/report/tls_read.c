/* SPDX-License-Identifier: MIT
 * The reader of TLS reports over jansson. Its tree costs up to 250 bytes for two of JSON, so what can
 * become a node is counted before it sees anything. */
#include <jansson.h>

#include "lib/base/civil.h"
#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/report/tls.h"
#include "lib/report/unpack.h"

struct reader {
	struct arena *a;
	bool full;
};

static enum tls_report_status
unpack_json(struct slice packed, struct buf *out)
{
	struct unpack *u = unpack_new(packed);
	enum unpack_status status;
	struct slice piece;
	size_t nodes = 0;

	if (u == NULL)
		return TLS_REPORT_MEMORY;
	while ((status = unpack_next(u, &piece)) == UNPACK_MORE) {
		for (size_t i = 0; i < piece.n; i++) {
			uint8_t c = slice_at(piece, i);

			nodes += c == '{' || c == '[' || c == ',';
		}
		if (nodes > LIMIT_TLS_REPORT_NODES || !buf_add(out, piece)) {
			status = UNPACK_BIG;
			break;
		}
	}
	unpack_free(&u);
	return status == UNPACK_END ? TLS_REPORT_OK : status == UNPACK_BIG ? TLS_REPORT_BIG : TLS_REPORT_BAD;
}

/* Appends a string value, cut at a character, without control characters. */
static void
put_clean(struct buf *b, json_t *v)
{
	struct slice s = slice_of(json_string_value(v), json_string_length(v));

	for (size_t at = 0; at < s.n && b->n < LIMIT_TLS_REPORT_TEXT;) {
		size_t was = at;
		int32_t cp = utf8_next(s, &at);

		if (cp < 0x20 || cp == 0x7f)
			(void)buf_byte(b, cp < 0 ? '?' : ' ');
		else
			(void)buf_add(b, slice_sub(s, was, at - was));
	}
}

static struct slice
keep(struct reader *r, struct buf *b)
{
	struct slice out = S("");

	r->full = r->full || b->bad || !arena_copy(r->a, buf_slice(b), &out);
	buf_free(b);
	return out;
}

static struct slice
text(struct reader *r, json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	struct buf b;

	if (!json_is_string(v))
		return S("");
	buf_init(&b, LIMIT_TLS_REPORT_TEXT + 4);
	put_clean(&b, v);
	return keep(r, &b);
}

/* A string, or an array of strings joined. */
static struct slice
texts(struct reader *r, json_t *object, const char *key, struct slice between)
{
	json_t *v = json_object_get(object, key), *one;
	struct buf b;
	size_t i;

	if (json_is_string(v))
		return text(r, object, key);
	buf_init(&b, 2 * LIMIT_TLS_REPORT_TEXT);
	json_array_foreach(v, i, one) {
		if (!json_is_string(one) || b.n >= LIMIT_TLS_REPORT_TEXT)
			continue;
		if (b.n > 0)
			(void)buf_add(&b, between);
		put_clean(&b, one);
	}
	return keep(r, &b);
}

/* A count; strings of digits are taken too, negative ones count nothing. */
static uint64_t
count(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	uint64_t n;

	if (json_is_integer(v))
		return json_integer_value(v) < 0 ? 0 : (uint64_t)json_integer_value(v);
	if (json_is_string(v) &&
	    slice_u64(slice_of(json_string_value(v), json_string_length(v)), &n))
		return n;
	return 0;
}

static bool
digits(struct cursor *c, size_t n, unsigned *out)
{
	struct slice s;
	uint32_t v;

	if (cur_left(c) < n || !cur_bytes(c, n, &s) || !slice_u32(s, &v))
		return false;
	*out = v;
	return true;
}

/* RFC 3339 date-time. */
static bool
when(struct slice s, int64_t *out)
{
	struct cursor c = cur_of(s);
	unsigned f[6], zone_h = 0, zone_m = 0;
	static const uint8_t between[5] = { '-', '-', 'T', ':', ':' };
	struct civil day;
	int sign;

	for (size_t i = 0; i < 6; i++) {
		if (i > 0 && !cur_byte(&c, between[i - 1]) && !(i == 3 && cur_byte(&c, ' ')) &&
		    !(i == 3 && cur_byte(&c, 't')))
			return false;
		if (!digits(&c, i == 0 ? 4 : 2, &f[i]))
			return false;
	}
	if (cur_byte(&c, '.'))
		(void)cur_skip(&c, ch_is_digit);
	sign = cur_byte(&c, '+') ? -1 : cur_byte(&c, '-') ? 1 : 0;
	if (sign != 0 && (!digits(&c, 2, &zone_h) || !cur_byte(&c, ':') || !digits(&c, 2, &zone_m)))
		return false;
	day = (struct civil){ .year = (int32_t)f[0], .month = (uint8_t)f[1], .day = (uint8_t)f[2],
		.hour = (uint8_t)f[3], .minute = (uint8_t)f[4], .second = (uint8_t)f[5] };
	if (!civil_to_seconds(&day, out))
		return false;
	*out += sign * (int64_t)(zone_h * 3600 + zone_m * 60);
	return true;
}

static int64_t
date(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	int64_t t;

	if (!json_is_string(v) ||
	    !when(slice_of(json_string_value(v), json_string_length(v)), &t))
		return 0;
	return t;
}

static void
take_failure(struct reader *r, json_t *v, struct tls_report_failure *f)
{
	f->type = text(r, v, "result-type");
	f->sending_ip = text(r, v, "sending-mta-ip");
	f->receiving_ip = text(r, v, "receiving-ip");
	f->receiving_mx = text(r, v, "receiving-mx-hostname");
	f->receiving_helo = text(r, v, "receiving-mx-helo");
	f->sessions = count(v, "failed-session-count");
	f->info = text(r, v, "additional-information");
	f->reason = text(r, v, "failure-reason-code");
}

static void
take_policy(struct reader *r, json_t *v, struct tls_report_policy *p)
{
	json_t *policy = json_object_get(v, "policy"), *summary = json_object_get(v, "summary"), *one;
	json_t *details = json_object_get(v, "failure-details");
	struct tls_report_failure *list;
	size_t n = json_array_size(details), i;

	*p = (struct tls_report_policy){ .type = text(r, policy, "policy-type") };
	p->domain = text(r, policy, "policy-domain");
	p->string = texts(r, policy, "policy-string", S("\n"));
	p->mx = texts(r, policy, "mx-host", S(", "));
	p->successes = count(summary, "total-successful-session-count");
	p->failed = count(summary, "total-failure-session-count");
	if (n > LIMIT_TLS_REPORT_FAILURES) {
		r->full = true;
		return;
	}
	list = ARENA_ARRAY(r->a, n, struct tls_report_failure);
	if (list == NULL) {
		r->full = true;
		return;
	}
	json_array_foreach(details, i, one)
		take_failure(r, one, &list[i]);
	p->failures = list;
	p->n = n;
}

static uint64_t
sum(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static enum tls_report_status
take(struct reader *r, json_t *root, bool (*policy)(void *, const struct tls_report_policy *),
    void *self, struct tls_report *out)
{
	json_t *range = json_object_get(root, "date-range"), *one;
	json_t *policies = json_object_get(root, "policies");
	struct tls_report report = { .organization = text(r, root, "organization-name") };
	size_t i;

	if (!json_is_array(policies) || json_array_size(policies) == 0)
		return TLS_REPORT_BAD;
	if (json_array_size(policies) > LIMIT_TLS_REPORT_POLICIES)
		return TLS_REPORT_BIG;
	report.contact = text(r, root, "contact-info");
	report.id = text(r, root, "report-id");
	report.start = date(range, "start-datetime");
	report.end = date(range, "end-datetime");
	json_array_foreach(policies, i, one) {
		struct arena_mark mark = arena_mark(r->a);
		struct tls_report_policy p;
		bool go_on;

		take_policy(r, one, &p);
		if (r->full)
			return TLS_REPORT_BIG;
		report.policies++;
		report.successes = sum(report.successes, p.successes);
		report.failures = sum(report.failures, p.failed);
		go_on = policy(self, &p);
		arena_rewind(r->a, mark);
		if (!go_on)
			return TLS_REPORT_STOPPED;
	}
	*out = report;
	return TLS_REPORT_OK;
}

enum tls_report_status
tls_report_read(struct slice packed, struct arena *a,
    bool (*policy)(void *self, const struct tls_report_policy *policy), void *self,
    struct tls_report *out)
{
	struct reader r = { .a = a };
	enum tls_report_status status;
	json_t *root = NULL;
	struct buf json;

	buf_init(&json, LIMIT_TLS_REPORT_JSON);
	status = unpack_json(packed, &json);
	if (status == TLS_REPORT_OK) {
		root = json_loadb((const char *)json.p, json.n, 0, NULL);
		status = root == NULL ? TLS_REPORT_BAD : take(&r, root, policy, self, out);
	}
	json_decref(root);
	buf_free(&json);
	return status;
}

const char *
tls_report_status_name(enum tls_report_status s)
{
	static const char *const names[] = { "ok", "bad", "big", "stopped", "memory" };

	return (unsigned)s < sizeof names / sizeof *names ? names[s] : "bad";
}
