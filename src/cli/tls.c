/* SPDX-License-Identifier: MIT
 * What a destination demands of TLS, as send would find it now: its hosts, DANE, MTA-STS. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "lib/clock/clock.h"
#include "lib/fetch/fetch.h"
#include "lib/verify/tlspolicy/tlspolicy.h"

struct sts_world {
	struct ipc_client *fetch;
	struct slice why; /* of the last fetch */
};

/* No cache: the command shows what the world says. */
static bool
get(void *self, struct slice domain, struct arena *a, struct tlspolicy_sts_entry *out)
{
	(void)self;
	(void)domain;
	(void)a;
	(void)out;
	return false;
}

static void
put(void *self, struct slice domain, const struct tlspolicy_sts_entry *entry)
{
	(void)self;
	(void)domain;
	(void)entry;
}

static enum tlspolicy_fetch
fetch(void *self, struct slice domain, struct arena *a, struct slice *text)
{
	struct sts_world *w = self;

	return fetch_sts_policy(w->fetch, domain, 0, a, text, &w->why);
}

static json_t *
host_row(const struct tlspolicy_env *env, const struct tlspolicy_domain *d, const struct tlspolicy_at *at, unsigned pref,
    struct cli *c)
{
	own(buf_t) policy = { .max = 65536 };
	struct tlspolicy_host h;
	json_t *row = json_object();

	tlspolicy_host(env, d, at, c->arena, &h);
	(void)tlspolicy_string(&policy, d, &h);
	row_set(row, "host", json_of(at->host));
	row_set(row, "preference", json_integer(pref));
	row_set(row, "secure", json_boolean(at->secure));
	row_set(row, "level", json_string(tlspolicy_level_name(h.level)));
	row_set(row, "testing", json_boolean(h.testing));
	row_set(row, "type", json_string(h.type));
	row_set(row, "name", json_of(h.sni));
	row_set(row, "result", h.result == NULL ? json_null() : json_string(h.result));
	row_set(row, "policy", json_of(buf_slice(&policy)));
	return row;
}

static bool
hosts(struct cli *c, const struct tlspolicy_env *env, const struct tlspolicy_domain *d, json_t *rows)
{
	struct resolve_answer mx;
	const struct rr *rr;
	size_t at = 0;

	resolve(env->r, d->domain, RR_MX, c->arena, &mx);
	if (resolve_failed(mx.status))
		return false;
	while (rr_next(&mx, &at, &rr)) {
		struct tlspolicy_at one = { .host = rr->name, .port = 25, .mx = true, .secure = mx.secure };

		if (rr->name.n > 0)
			(void)json_array_append_new(rows, host_row(env, d, &one, rr->preference, c));
	}
	if (mx.n == 0) {
		struct tlspolicy_at one = { .host = d->domain, .port = 25, .secure = mx.secure };

		(void)json_array_append_new(rows, host_row(env, d, &one, 0, c));
	}
	return true;
}

int
cmd_tls_policy(struct cli *c)
{
	static const char *const columns[] = { "host", "preference", "secure", "level", "testing", "type", "result", NULL };
	struct sts_world w = { .why = S("") };
	struct tlspolicy_sts sts = { get, put, fetch, &w };
	struct tlspolicy_domain d;
	struct resolver r;
	json_t *rows = json_array();

	if (!cli_args(c, 1, "tls policy DOMAIN"))
		return EX_USAGE;
	r = cli_resolver(c);
	w.fetch = cli_connect(c, "fetch");
	struct tlspolicy_env env = { .r = &r, .sts = &sts, .now = clock_wall_us() / 1000000, .dane = true };

	tlspolicy_domain(&env, slice_z(c->argv[0]), c->arena, &d);
	if (!c->json && !c->quiet)
		(void)printf("MTA-STS: %s%s%s%s%.*s\n", d.sts ? mtasts_mode_name(d.policy.mode) : "no policy",
		    d.result != NULL ? ", " : "", d.result != NULL ? d.result : "", w.why.n > 0 ? ": " : "", SFMT(w.why));
	if (!hosts(c, &env, &d, rows)) {
		json_decref(rows);
		return cli_fail(EX_TEMPFAIL, c->argv[0], "the DNS does not say where its mail goes");
	}
	table_print(c, rows, columns);
	return EX_OK;
}
