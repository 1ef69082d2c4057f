/* SPDX-License-Identifier: MIT
 * One job: which way its mail goes (a route, a smarthost, the MX of the domain), which hosts are asked in which order,
 * and the answer to queue. A host that will not have a conversation is no verdict about a recipient: the next one is
 * asked, and when there is none, the mail is deferred. */
#include <stdio.h>
#include <sys/mman.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/idn/idn.h"
#include "rooms/send/send.h"
#include "rooms/send/wire.h"

#define KEY ((size_t)512)

/* ---- which way ---------------------------------------------------------------------------------- */

/* Is one of the items of "a,b,c" equal to x? */
static bool
listed(struct slice list, struct slice x)
{
	struct slice item, rest = list;

	for (bool more = true; more;) {
		more = slice_cut(rest, ',', &item, &rest);
		if (slice_ieq(more ? item : rest, x))
			return true;
	}
	return false;
}

static struct slice
domain_of(struct slice address)
{
	size_t at = slice_rfind_byte(address, '@');

	return at == SLICE_NONE ? S("") : slice_from(address, at + 1);
}

static bool
relay_serves(const struct send_relay *r, const struct queue_send_relay *m)
{
	char account[16];

	if (m->attempts < r->after)
		return false;
	(void)snprintf(account, sizeof account, "%u", m->account);
	if (r->senders.n == 0 && r->accounts.n == 0)
		return true;
	return (r->senders.n > 0 && m->sender.n > 0 &&
		   (listed(r->senders, m->sender) || listed(r->senders, domain_of(m->sender)))) ||
	    (r->accounts.n > 0 && m->account != 0 && listed(r->accounts, slice_z(account)));
}

static void
choose_way(struct trip *t)
{
	const struct send_conf *conf = t->conf;
	const struct queue_send_relay *m = &t->j->m;

	t->source = &conf->sources[0];
	for (size_t i = 1; i < conf->n_sources; i++)
		if (slice_ieq(conf->sources[i].domain, domain_of(m->sender)))
			t->source = &conf->sources[i];
	t->port = conf->port;
	for (size_t i = 0; i < conf->n_routes && t->route == NULL; i++)
		if (slice_ieq(conf->routes[i].domain, m->destination))
			t->route = &conf->routes[i];
	for (size_t i = 0; i < conf->n_relays && t->route == NULL && t->relay == NULL; i++)
		if (relay_serves(&conf->relays[i], m))
			t->relay = &t->h->conf->relays[i];
	if (t->route != NULL)
		t->port = t->route->port;
	else if (t->relay != NULL)
		t->port = t->relay->port;
}

/* The way and the source in words: connections with equal ones may be exchanged. */
static bool
make_key(struct trip *t)
{
	own(buf_t) b = { .max = KEY };

	buf_fmt(&b, "%s %.*s %u ", t->route != NULL ? t->route->lmtp ? "lmtp" : "route" : t->relay != NULL ? "relay" : "mx",
	    SFMT(t->route != NULL ? t->route->host : t->relay != NULL ? t->relay->name : S("")), t->port);
	(void)hex_encode(&b, slice_of(t->source->v4.b, t->source->v4.n));
	(void)hex_encode(&b, slice_of(t->source->v6.b, t->source->v6.n));
	return arena_copy(t->j->arena, buf_slice(&b), &t->key);
}

/* Counts one message against the smarthost's cap. */
static bool
within_cap(struct trip *t)
{
	struct send_relay *r = t->relay;
	bool ok = r == NULL || cap_take(t->h, r, clock_wall_us());

	if (!ok)
		EVENT(EVENT_SEND_CAPPED, t->j->m.session, t->j->m.queue_id, S(""), EF("relay", r->name),
		    EN("per_hour", r->per_hour));
	return ok;
}

/* ---- words and events --------------------------------------------------------------------------- */

void
trip_remember(struct trip *t, unsigned code, struct slice enhanced, struct slice text)
{
	t->code = code;
	(void)snprintf(t->enhanced, sizeof t->enhanced, "%.*s", SFMT(slice_head(enhanced, sizeof t->enhanced - 1)));
	(void)snprintf(t->text, sizeof t->text, "%.*s", SFMT(slice_head(text, LIMIT_SMTP_REPLY_TEXT)));
}

static void
remember_talk(struct trip *t, const struct talk *talk, enum talk_end e)
{
	char enhanced[SMTP_ENHANCED_TEXT];

	if (e == TALK_POLICY || talk->reply.code == 0)
		trip_remember(t, 0, e == TALK_POLICY ? S("4.7.5") : S("4.4.2"), slice_z(talk->why));
	else
		trip_remember(t, talk->reply.code, smtp_reply_enhanced(&talk->reply, enhanced), smtp_reply_text(&talk->reply));
}

static void
answer_facts(struct trip *t, const struct line *l)
{
	struct queue_send_relay_answer *a = &t->j->answer;

	(void)arena_copy(t->j->arena, slice_head(l->host, 255), &a->remote);
	(void)arena_copy(t->j->arena, slice_of(l->ip.b, l->ip.n), &a->remote_ip);
	if (l->t.secure)
		(void)snprintf(t->j->tls, sizeof t->j->tls, "%s%s", tls_version(l->t.tls.conn),
		    l->level == SEND_DANE ? " DANE" : l->t.verified ? " verified" : "");
	else
		t->j->tls[0] = '\0';
	a->tls = slice_z(t->j->tls);
}

static void
tell_talk(struct trip *t, const struct line *l, const struct host *host, int64_t began, const char *why)
{
	own(buf_t) ip = { .max = LIMIT_IP_TEXT };
	unsigned n[3] = { 0 };

	for (size_t i = 0; i < t->j->m.n_rcpts; i++)
		if (t->mail.done[i])
			n[t->mail.results[i].outcome]++;
	(void)ip_put(&ip, &host->ip);
	EVENT(EVENT_SEND_TALK, t->j->m.session, t->j->m.queue_id, S(""), EF("destination", t->j->m.destination),
	    EF("host", host->name), EF("ip", buf_slice(&ip)), EF("tls", l == NULL ? S("") : slice_z(t->j->tls)),
	    EN("reused", l != NULL && l->reused), EN("delivered", n[QUEUE_SEND_OUTCOME_DELIVERED]),
	    EN("deferred", n[QUEUE_SEND_OUTCOME_DEFERRED]), EN("failed", n[QUEUE_SEND_OUTCOME_FAILED]),
	    EN("code", l == NULL ? 0 : l->t.reply.code),
	    EF("text", why != NULL ? slice_z(why) : smtp_reply_text(&l->t.reply)),
	    EN("ms", (int64_t)clock_mono_ms() - began));
}

/* ---- one host ----------------------------------------------------------------------------------- */

/* The message over an open conversation; the connection is kept or closed. */
static enum talk_end
over(struct trip *t, struct line *l, const struct host *host)
{
	int64_t began = (int64_t)clock_mono_ms();
	enum talk_end e;

	l->t.total = t->total;
	e = mail_send(&l->t, &t->mail);
	t->reached |= e == TALK_OK || l->t.reply.code != 0;
	answer_facts(t, l);
	if (e != TALK_OK)
		remember_talk(t, &l->t, e);
	tell_talk(t, l, host, began, l->t.reply.code == 0 ? l->t.why : NULL);
	lines_keep(t->h, l, t->key, t->j->m.destination);
	return e;
}

/* Does it go to a Unix socket of this machine? */
static bool
is_local(const struct trip *t)
{
	return t->route != NULL && t->route->port == 0;
}

/* A new connection. th: who hears of its TLS in reports; NULL: nobody, this is a second attempt. */
static enum talk_end
fresh(struct trip *t, const struct host *host, const struct send_policy *policy, const struct tlspolicy_host *th)
{
	int64_t began = (int64_t)clock_mono_ms();
	bool implicit = t->relay != NULL && t->relay->tls == SEND_TLS_IMPLICIT;
	const char *why = "";
	struct line *l = is_local(t) ? lines_connect_local(t->h, t->route, t->total, &why)
				     : lines_connect(t->h, host, t->port, t->source, t->total, &why);
	enum talk_end e;

	if (l == NULL) {
		trip_remember(t, 0, S("4.4.1"), slice_z(why));
		tell_talk(t, NULL, host, began, why);
		return TALK_NEXT;
	}
	l->level = policy->level;
	l->t.lmtp = t->route != NULL && t->route->lmtp;
	e = talk_hello(&l->t, t->conf->helo, host->name, t->h->tls, policy, implicit);
	if (th != NULL)
		policy_tell(t, l, host, th);
	if (e == TALK_OK && t->relay != NULL && t->relay->user.n > 0 && !talk_login(&l->t, t->relay->user, t->relay->password))
		e = TALK_NEXT;
	if (e == TALK_OK)
		return over(t, l, host);
	t->reached |= l->t.reply.code != 0 && !l->t.dead;
	t->mail.busy |= l->t.reply.code / 100 == 4;
	remember_talk(t, &l->t, e);
	answer_facts(t, l);
	tell_talk(t, l, host, began, t->text);
	lines_drop(&l);
	t->talks++;
	return e;
}

/* An idle connection first; a new one; one with less where TLS broke and nobody forbids it. */
static enum talk_end
visit(struct trip *t, const struct host *host)
{
	struct send_policy policy;
	struct tlspolicy_host th;
	struct line *l;
	enum talk_end e;

	if (!policy_for(t, host, &policy, &th))
		return TALK_POLICY;
	l = policy.level <= SEND_MAY && !th.testing ? lines_take(t->h, t->key, S(""), &host->ip) : NULL;
	if (l != NULL && ((e = over(t, l, host)) != TALK_NEXT || mail_done(&t->mail)))
		return e;
	if (th.testing) { /* RFC 8461 5: as if it were enforced, told, and delivered all the same */
		policy.level = SEND_NAME;
		e = fresh(t, host, &policy, &th);
		policy.level = SEND_MAY;
		if (e == TALK_POLICY)
			e = fresh(t, host, &policy, NULL);
	} else {
		e = fresh(t, host, &policy, &th);
	}
	if (e == TALK_PLAIN) {
		policy.level = SEND_PLAIN;
		e = fresh(t, host, &policy, NULL);
	}
	return e;
}

/* A connection that was made for this very destination some seconds ago saves asking the DNS. */
static bool
from_idle(struct trip *t)
{
	struct line *l;
	struct host host;

	if (t->j->m.requiretls)
		return false;
	l = lines_take(t->h, t->key, t->j->m.destination, NULL);
	if (l == NULL)
		return false;
	host = (struct host){ .ip = l->ip };
	return arena_copy(t->j->arena, l->host, &host.name) && over(t, l, &host) == TALK_OK;
}

/* ---- all hosts ---------------------------------------------------------------------------------- */

static void
find_hosts(struct trip *t)
{
	struct send_house *h = t->h;
	struct hosts_rules rules = { .hostname = t->conf->hostname, .reach = &t->conf->reach, .v4 = t->conf->v4,
		.v6 = t->conf->v6 };

	(void)pthread_mutex_lock(&h->lock);
	rules.random = h->random = h->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	(void)pthread_mutex_unlock(&h->lock);
	t->asker = (struct resolve_asker){ .room = &h->dns, .session = t->j->m.session, .deadline_ms = (uint64_t)t->total };
	t->r = h->resolver(h, &t->asker);
	if (is_local(t))
		t->hosts = (struct hosts){ .status = HOSTS_OK, .n = 1, .host = { { .name = t->route->host } } };
	else if (t->route != NULL)
		hosts_of_name(&t->r, &rules, t->route->host, t->j->arena, &t->hosts);
	else if (t->relay != NULL)
		hosts_of_name(&t->r, &rules, t->relay->host, t->j->arena, &t->hosts);
	else
		hosts_find(&t->r, &rules, t->j->m.destination, t->j->arena, &t->hosts);
	if (t->hosts.status == HOSTS_OK)
		policy_find(t);
}

static void
visit_all(struct trip *t)
{
	enum talk_end e = TALK_NEXT;

	for (size_t i = 0; i < t->hosts.n && e != TALK_OK; i++) {
		if (t->addresses == SEND_ADDRESSES || t->talks == SEND_TALKS || (int64_t)clock_mono_ms() >= t->total)
			break;
		t->addresses++;
		e = visit(t, &t->hosts.host[i]);
		t->policy |= e == TALK_POLICY;
	}
	if (t->j->m.requiretls && t->policy) /* RFC 8689 4.2.1: never without, and waiting would not help */
		mail_settle(&t->mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.7.30", slice_z(t->text));
	mail_settle(&t->mail, QUEUE_SEND_OUTCOME_DEFERRED, t->code, t->enhanced, slice_z(t->text));
}

/* Octets that could end a line or a path: such an address is nobody's. */
static bool
clean(struct slice address)
{
	for (size_t i = 0; i < address.n; i++) {
		uint8_t c = slice_at(address, i);

		if (c < 0x20 || c == 0x7f || c == '<' || c == '>')
			return false;
	}
	return true;
}

static bool
envelope_clean(const struct queue_send_relay *m)
{
	bool ok = clean(m->sender) && clean(m->envid);

	for (size_t i = 0; i < m->n_rcpts; i++)
		ok = ok && clean(m->rcpts[i].address) && clean(m->rcpts[i].orcpt);
	return ok;
}

/* Whatever way the mail came in: the DNS, policies and routes know A-labels only, and a server may not know others. */
static bool
a_labels(struct arena *a, struct queue_send_relay *m)
{
	bool ok = idn_domain(m->destination, a, &m->destination) && idn_address(m->sender, a, &m->sender);

	for (size_t i = 0; ok && i < m->n_rcpts; i++)
		ok = idn_address(m->rcpts[i].address, a, &m->rcpts[i].address);
	return ok;
}

static bool
needs_utf8(const struct queue_send_relay *m, struct slice body)
{
	bool utf8 = !ascii_only(m->sender);

	for (size_t i = 0; i < m->n_rcpts; i++)
		utf8 |= !ascii_only(m->rcpts[i].address);
	return utf8 || (m->smtputf8 && !ascii_only(wire_header(body)));
}

static void
travel(struct trip *t)
{
	struct queue_send_relay *m = &t->j->m;

	if (!envelope_clean(m)) {
		mail_settle(&t->mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.1.3", S("an address holds what no address may"));
		return;
	}
	if (!a_labels(t->j->arena, m)) {
		mail_settle(&t->mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.1.2", S("the domain is none that there can be"));
		return;
	}
	t->mail.utf8 = needs_utf8(m, t->mail.body);
	choose_way(t);
	if (!make_key(t) || !within_cap(t)) {
		t->mail.busy = true;
		mail_settle(&t->mail, QUEUE_SEND_OUTCOME_DEFERRED, 0, "4.7.0",
		    S("the smarthost's messages of this hour are used up"));
		return;
	}
	if (from_idle(t) || mail_done(&t->mail))
		return;
	find_hosts(t);
	if (t->hosts.status == HOSTS_OK)
		visit_all(t);
	else
		mail_settle(&t->mail,
		    t->hosts.status == HOSTS_FAILED && t->relay == NULL && t->route == NULL ? QUEUE_SEND_OUTCOME_FAILED
												 : QUEUE_SEND_OUTCOME_DEFERRED,
		    0, t->hosts.enhanced, t->hosts.text);
}

void
relay_job(struct job *j)
{
	struct trip *t = ARENA_NEW(j->arena, struct trip);
	uint64_t size = 0;
	void *p = MAP_FAILED;

	PN_ASSERT(t != NULL);
	t->j = j;
	t->h = j->house;
	t->conf = j->house->conf;
	t->mail = (struct mail){ .a = j->arena, .m = &j->m, .results = j->results, .chunking = t->conf->chunking };
	trip_remember(t, 0, S("4.4.1"), S("no host could be asked"));
	j->answer = (struct queue_send_relay_answer){ .results = j->results, .n_results = j->m.n_rcpts };
	if (ipc_sealed_memfd(j->fd, UINT32_MAX, &size) && size > 0)
		p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, j->fd, 0);
	t->total = (int64_t)clock_mono_ms() + t->conf->times.total + (int64_t)(size * 1000 / SEND_SLOWEST);
	if (p == MAP_FAILED) {
		mail_settle(&t->mail, QUEUE_SEND_OUTCOME_DEFERRED, 0, "4.3.0", S("the message cannot be read now"));
	} else {
		t->mail.body = slice_of(p, size);
		t->mail.eight = !ascii_only(t->mail.body);
		travel(t);
		(void)munmap(p, size);
	}
	j->answer.destination = t->mail.busy ? QUEUE_SEND_DESTINATION_BUSY
	    : t->reached || t->hosts.status == HOSTS_FAILED ? QUEUE_SEND_DESTINATION_REACHED
							    : QUEUE_SEND_DESTINATION_UNREACHABLE;
}
