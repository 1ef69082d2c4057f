/* SPDX-License-Identifier: MIT */
#include "rooms/send/hosts.h"

#include <stdio.h>

#include "lib/base/own.h"

#define WHY ((size_t)300)

struct candidate {
	struct slice name;
	uint16_t preference;
	uint64_t order; /* random, among equals */
};

/* What goes on while one destination is looked up. */
struct search {
	struct resolver *r;
	const struct hosts_rules *rules;
	struct arena *a;
	struct hosts *out;
	struct candidate hosts[LIMIT_MX_HOSTS];
	size_t n;
	uint64_t random;
	bool failed, loops, refused; /* of the addresses: not known, ours, not permitted */
	char why[WHY];
};

static uint64_t
next_random(uint64_t *x)
{
	uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The end of the search, with the words "before NAME after". */
static void
end(struct search *s, enum hosts_status st, const char *enhanced, const char *before, struct slice name,
    const char *after)
{
	own(buf_t) b = { .max = WHY };
	struct slice text = S("no address");

	(void)buf_add(&b, slice_z(before));
	(void)buf_printable(&b, name, 255);
	(void)buf_add(&b, slice_z(after));
	s->out->status = st;
	s->out->enhanced = enhanced;
	s->out->n = 0;
	s->out->text = arena_copy(s->a, buf_slice(&b), &text) ? text : S("no memory for the answer");
}

static bool
before(const struct candidate *x, const struct candidate *y)
{
	return x->preference != y->preference ? x->preference < y->preference : x->order < y->order;
}

/* Keeps the best LIMIT_MX_HOSTS, in order. */
static void
insert(struct search *s, struct candidate c)
{
	size_t i = s->n;

	if (s->n == LIMIT_MX_HOSTS && !before(&c, &s->hosts[s->n - 1]))
		return;
	if (s->n < LIMIT_MX_HOSTS)
		s->n++;
	else
		i--;
	for (; i > 0 && before(&c, &s->hosts[i - 1]); i--)
		s->hosts[i] = s->hosts[i - 1];
	s->hosts[i] = c;
}

/* Hosts from this preference on are no way out: the mail would come back to us (RFC 5321 5.1). */
static void
cut_from(struct search *s, uint16_t preference)
{
	s->loops = true;
	while (s->n > 0 && s->hosts[s->n - 1].preference >= preference)
		s->n--;
	while (s->out->n > 0 && s->out->host[s->out->n - 1].preference >= preference)
		s->out->n--;
}

static struct ip
address(const struct rr *rr)
{
	struct ip ip = { .n = rr->type == RR_A ? 4 : 16 };

	memcpy(ip.b, rr->ip, ip.n);
	return ip;
}

/* One family of one host. False where the host turned out to be this machine. */
static bool
family(struct search *s, const struct candidate *c, enum rr_type type)
{
	struct resolve_answer answer;
	const struct rr *rr;

	resolve(s->r, c->name, type, s->a, &answer);
	s->failed |= resolve_failed(answer.status);
	for (size_t at = 0; rr_next(&answer, &at, &rr);) {
		struct ip ip = address(rr);
		const char *word = reach_refused(s->rules->reach, &ip);

		if (reach_own(s->rules->reach, &ip) && !reach_allowed(s->rules->reach, &ip))
			return false;
		if (word != NULL) {
			own(buf_t) b = { .max = LIMIT_IP_TEXT };

			s->refused = ip_put(&b, &ip);
			(void)snprintf(s->why, sizeof s->why, " would go to %.*s (%s), which is not permitted",
			    SFMT(buf_slice(&b)), word);
		} else if (s->out->n < LIMIT_MX_ADDRESSES) {
			s->out->host[s->out->n++] = (struct host){ .name = c->name, .ip = ip,
				.preference = c->preference,
				.secure = answer.secure && (!s->out->mx || s->out->secure) };
		}
	}
	return true;
}

/* IPv6 and IPv4 in turns among addresses of equal preference, each family in the order it was found. */
static void
take_turns(struct host *h, size_t n)
{
	for (size_t at = 0; at + 1 < n; at++) {
		size_t other = at + 1;

		if (at > 0 && h[at].preference == h[at - 1].preference && h[at].ip.n == h[at - 1].ip.n) {
			struct host moved;

			for (other = at + 1; other < n && h[other].preference == h[at].preference &&
			     h[other].ip.n == h[at].ip.n; other++)
				;
			if (other == n || h[other].preference != h[at].preference)
				continue;
			moved = h[other];
			memmove(&h[at + 1], &h[at], (other - at) * sizeof *h);
			h[at] = moved;
		}
	}
}

/* The addresses of all candidates, or why there are none. */
static void
addresses(struct search *s, struct slice destination)
{
	for (size_t i = 0; i < s->n; i++) {
		struct candidate c = s->hosts[i];

		if ((s->rules->v6 && !family(s, &c, RR_AAAA)) || (s->rules->v4 && !family(s, &c, RR_A)))
			cut_from(s, c.preference);
	}
	take_turns(s->out->host, s->out->n);
	if (s->out->n > 0)
		s->out->status = HOSTS_OK;
	else if (s->failed)
		end(s, HOSTS_TRY_LATER, "4.4.3", "no address of a mail host can be looked up now: ", destination, "");
	else if (s->loops)
		end(s, HOSTS_FAILED, "5.4.6", "mail for ", destination, " loops back to myself");
	else if (s->refused)
		end(s, HOSTS_FAILED, "5.4.4", "mail for ", destination, s->why);
	else
		end(s, HOSTS_FAILED, "5.4.4", "no mail host has an address: ", destination, "");
}

/* The MX records as candidates. False where the answer is final. */
static bool
exchangers(struct search *s, struct slice domain, const struct resolve_answer *answer)
{
	const struct rr *rr;
	bool null = false, self = false;
	uint16_t ours = 0;

	for (size_t at = 0; rr_next(answer, &at, &rr);) {
		struct candidate c = { rr->name, rr->preference, next_random(&s->random) };

		if (rr->name.n == 0) {
			null = true;
			continue;
		}
		if (slice_ieq(rr->name, s->rules->hostname)) {
			ours = self && ours < rr->preference ? ours : rr->preference;
			self = true;
		}
		insert(s, c);
	}
	if (self)
		cut_from(s, ours);
	if (s->n > 0)
		return true;
	if (self)
		end(s, HOSTS_FAILED, "5.4.6", "mail for ", domain, " loops back to myself");
	else if (null)
		end(s, HOSTS_FAILED, "5.1.10", "", domain, " accepts no mail (null MX)");
	return false;
}

static struct search
search_of(struct resolver *r, const struct hosts_rules *rules, struct arena *a, struct hosts *out)
{
	*out = (struct hosts){ .status = HOSTS_FAILED, .enhanced = "" };
	return (struct search){ .r = r, .rules = rules, .a = a, .out = out, .random = rules->random };
}

static const char *
failure(enum resolve_status st)
{
	return st == RESOLVE_TIMEOUT ? " (timeout)" : st == RESOLVE_BOGUS ? " (DNSSEC: bogus)" : " (SERVFAIL)";
}

static void
literal(struct search *s, struct slice text)
{
	struct slice inner = slice_sub(text, 1, text.n - 2);
	struct host h = { .name = text };

	if (slice_istarts(inner, S("IPv6:")) ? !ip6_parse(slice_from(inner, 5), &h.ip) : !ip4_parse(inner, &h.ip)) {
		end(s, HOSTS_FAILED, "5.1.3", "", text, " is no address");
		return;
	}
	if (reach_refused(s->rules->reach, &h.ip) != NULL) {
		end(s, HOSTS_FAILED, "5.4.4", "mail to ", text, " is not permitted");
		return;
	}
	s->out->status = HOSTS_OK;
	s->out->host[0] = h;
	s->out->n = 1;
}

void
hosts_find(struct resolver *r, const struct hosts_rules *rules, struct slice destination, struct arena *a,
    struct hosts *out)
{
	struct search s = search_of(r, rules, a, out);
	struct resolve_answer answer;

	if (destination.n > 2 && slice_at(destination, 0) == '[' && slice_at(destination, destination.n - 1) == ']') {
		literal(&s, destination);
		return;
	}
	resolve(r, destination, RR_MX, a, &answer);
	if (resolve_failed(answer.status)) {
		end(&s, HOSTS_TRY_LATER, "4.4.3", "the MX records cannot be looked up now: ", destination, failure(answer.status));
	} else if (answer.status == RESOLVE_NXDOMAIN) {
		end(&s, HOSTS_FAILED, "5.1.2", "there is no domain ", destination, "");
	} else if (answer.status == RESOLVE_NODATA) {
		out->secure = answer.secure;
		insert(&s, (struct candidate){ .name = destination });
		addresses(&s, destination);
	} else {
		out->mx = true;
		out->secure = answer.secure;
		if (exchangers(&s, destination, &answer))
			addresses(&s, destination);
	}
}

void
hosts_of_name(struct resolver *r, const struct hosts_rules *rules, struct slice name, struct arena *a,
    struct hosts *out)
{
	struct search s = search_of(r, rules, a, out);

	if (name.n > 2 && slice_at(name, 0) == '[') {
		literal(&s, name);
		return;
	}
	insert(&s, (struct candidate){ .name = name });
	addresses(&s, name);
}
