/* SPDX-License-Identifier: MIT
 * What TLS has to be with a host, by the policies of the destination (lib/verify/tlspolicy), the configuration of a
 * smarthost, or the message itself (REQUIRETLS); and what it came to, for reports (RFC 8460). */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/send/send.h"

#define ROOTS ((size_t)4194304)

/* The system's roots are read when somebody has to be verified by name first: most servers never need them. */
static void
load_roots(struct send_house *h)
{
	own(buf_t) pem = { .max = ROOTS };
	own(fd_t) fd = -1;

	(void)pthread_mutex_lock(&h->lock);
	fd = fd_take(&h->roots_fd);
	while (fd >= 0) {
		uint8_t *p = buf_room(&pem, 65536);
		ssize_t n = p == NULL ? 0 : read(fd, p, 65536);

		if (n <= 0)
			break;
		buf_grown(&pem, (size_t)n);
	}
	if (pem.n > 0)
		(void)tls_client_roots(h->tls, buf_slice(&pem));
	(void)pthread_mutex_unlock(&h->lock);
}

static bool
has_policies(const struct trip *t)
{
	return t->route == NULL && t->relay == NULL && slice_at(t->j->m.destination, 0) != '[';
}

static struct tlspolicy_env
env_of(struct trip *t, const struct tlspolicy_sts *sts)
{
	return (struct tlspolicy_env){ .r = &t->r, .sts = sts, .now = clock_wall_us() / 1000000, .dane = true };
}

static void
row(struct trip *t, const struct tlspolicy_host *th, const char *type, struct slice host, struct slice receiving,
    struct slice sending, const char *result, const char *reason)
{
	own(buf_t) policy = { .max = LIMIT_EVENT_VALUE };

	if (th != NULL)
		(void)tlspolicy_string(&policy, &t->domain, th);
	EVENT(EVENT_SEND_TLS, t->j->m.session, t->j->m.queue_id, S(""), EF("policy_type", slice_z(type)),
	    EF("policy_domain", t->j->m.destination), EF("policy_string", buf_slice(&policy)), EF("mx_host", host),
	    EF("receiving_ip", receiving), EF("sending_ip", sending), EF("result", slice_z(result)),
	    EF("reason", slice_z(reason)));
}

void
policy_find(struct trip *t)
{
	struct sts_asker asker = { .source = &t->h->sts, .session = t->j->m.session };
	struct tlspolicy_sts sts = sts_source_of(&asker);
	struct tlspolicy_env env = env_of(t, &sts);

	if (!has_policies(t))
		return;
	tlspolicy_domain(&env, t->j->m.destination, t->j->arena, &t->domain);
	if (t->domain.result != NULL)
		row(t, NULL, "sts", S(""), S(""), S(""), t->domain.result, "the policy could not be had");
}

static bool
by_destination(struct trip *t, const struct host *host, struct send_policy *out, struct tlspolicy_host *th)
{
	struct tlspolicy_env env = env_of(t, NULL);
	struct tlspolicy_at at = { .host = host->name, .port = t->port, .mx = t->hosts.mx, .secure = t->hosts.secure };

	tlspolicy_host(&env, &t->domain, &at, t->j->arena, th);
	out->sni = th->sni;
	memcpy(out->names, th->names, sizeof out->names);
	out->n_names = th->n_names;
	out->tlsa = th->tlsa;
	out->n_tlsa = th->n_tlsa;
	switch (th->level) {
	case TLSPOLICY_MAY:
		return true;
	case TLSPOLICY_ENCRYPT:
		out->level = SEND_TLS;
		return true;
	case TLSPOLICY_NAME:
		out->level = SEND_NAME;
		return true;
	case TLSPOLICY_DANE:
		out->level = SEND_DANE;
		return true;
	case TLSPOLICY_DEFER:
	case TLSPOLICY_REFUSED:
		break;
	}
	row(t, th, th->type, host->name, S(""), S(""), th->result, tlspolicy_level_name(th->level));
	trip_remember(t, 0, S("4.7.5"),
	    th->level == TLSPOLICY_DEFER ? S("the TLSA records of the mail host cannot be looked up now")
					 : S("the policy of the destination (MTA-STS) does not name this mail host"));
	return false;
}

/* RFC 8689 4.2.1: the name of the host has to be known for sure, and then proved by it. */
static bool
by_message(struct trip *t, const struct host *host, struct send_policy *out)
{
	if (!t->j->m.requiretls || out->level >= SEND_NAME)
		return true;
	if (!t->hosts.mx || !t->hosts.secure) {
		trip_remember(t, 0, S("5.7.30"), S("the way to the mail host cannot be verified, as REQUIRETLS asks"));
		return false;
	}
	out->level = SEND_NAME;
	out->names[0] = host->name;
	out->n_names = 1;
	return true;
}

bool
policy_for(struct trip *t, const struct host *host, struct send_policy *out, struct tlspolicy_host *th)
{
	bool ok = true;

	*out = (struct send_policy){ .level = SEND_MAY };
	*th = (struct tlspolicy_host){ .type = "no-policy-found" };
	if (t->route != NULL && t->route->port == 0) {
		out->level = SEND_PLAIN; /* it does not leave the machine */
	} else if (t->relay != NULL) {
		out->level = t->relay->tls == SEND_TLS_NONE ? SEND_PLAIN : SEND_NAME;
		out->sni = out->names[out->n_names++] = t->relay->host;
	} else if (has_policies(t)) {
		ok = by_destination(t, host, out, th) && by_message(t, host, out);
	}
	if (out->level == SEND_NAME || th->testing)
		load_roots(t->h);
	return ok;
}

void
policy_tell(struct trip *t, const struct line *l, const struct host *host, const struct tlspolicy_host *th)
{
	own(buf_t) ip = { .max = LIMIT_IP_TEXT };
	own(buf_t) local = { .max = LIMIT_IP_TEXT };
	const struct talk *talk = &l->t;
	const char *result = th->result != NULL ? th->result : talk->tls_result;

	(void)ip_put(&ip, &host->ip);
	(void)ip_put(&local, &l->local);
	if (talk->injected)
		EVENT(EVENT_SEND_INJECTION, t->j->m.session, t->j->m.queue_id, S(""), EF("host", host->name),
		    EF("ip", buf_slice(&ip)));
	if (!has_policies(t) || (!talk->secure && talk->tls_result == NULL))
		return; /* it ended before TLS was spoken of */
	row(t, th, th->type, host->name, buf_slice(&ip), buf_slice(&local), result == NULL ? "ok" : result,
	    talk->tls_result == NULL ? "" : talk->tls_reason);
}
