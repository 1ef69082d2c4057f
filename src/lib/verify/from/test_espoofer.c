/* SPDX-License-Identifier: MIT
 * spoof-espoofer: 15 messages that made other servers say dmarc=pass for legitimate.com. The sender
 * owns attack.com and everything below it; legitimate.com allows nobody and asks for rejection.
 * Each must end in a refused envelope, a refused From, or DMARC failure with reject; and the
 * Authentication-Results field must not say pass beside legitimate.com unquoted. */
#include <stdio.h>

#include <jansson.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/make/authres.h"
#include "lib/parse/addr/envelope.h"
#include "lib/parse/dkim/signature.h"
#include "lib/resolve/zone.h"
#include "lib/verify/dmarc/dmarc.h"
#include "lib/verify/from/from.h"
#include "lib/verify/spf/spf.h"

#define CASES 15

static const struct slice dns = S_INIT("attack.com TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
				       "33.attack.com TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
				       "any.attack.com TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
				       "_dmarc.attack.com TXT \"v=DMARC1; p=none\"\n"
				       "legitimate.com TXT \"v=spf1 -all\"\n"
				       "_dmarc.legitimate.com TXT \"v=DMARC1; p=reject\"\n");

/* Strings of the suite are bytes written as Latin-1. */
static struct slice
bytes(json_t *v, struct arena *a)
{
	struct slice s = slice_of(json_string_value(v), json_string_length(v)), out = S("");
	own(buf_t) b = { .max = 0 };

	buf_init(&b, 65536);
	for (size_t at = 0; at < s.n;)
		(void)buf_byte(&b, (uint8_t)utf8_next(s, &at));
	(void)arena_copy(a, buf_slice(&b), &out);
	return out;
}

/* The attacker's signature counts as valid whenever its fields can be read at all. */
static bool
dkim_domain(json_t *para, struct arena *a, struct slice *out)
{
	own(buf_t) b = { .max = 0 };
	struct dkim_sig sig;
	struct slice value;

	if (para == NULL)
		return false;
	buf_init(&b, 4096);
	(void)buf_add(&b, S("v=1; a=rsa-sha256; c=relaxed/relaxed; h=from; bh="
			    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=YWJj; d="));
	(void)buf_add(&b, bytes(json_object_get(para, "d"), a));
	(void)buf_add(&b, S("; s="));
	(void)buf_add(&b, bytes(json_object_get(para, "s"), a));
	if (!arena_copy(a, buf_slice(&b), &value) || !dkim_sig_parse(value, DKIM_SIGNATURE, a, &sig))
		return false;
	*out = sig.domain;
	return true;
}

static bool
has_pass(const struct buf *field)
{
	return slice_find(buf_slice(field), S("dmarc=pass")) != SLICE_NONE ||
	       (slice_find(buf_slice(field), S("=pass")) != SLICE_NONE &&
		   slice_find(buf_slice(field), S("=legitimate.com")) != SLICE_NONE);
}

static bool
run_case(const char *name, json_t *c, struct slice trace)
{
	static const char *const parts[] = { "from_header", "to_header", "subject_header",
		"other_headers", "body" };
	own(arena_p) a = arena_new("test", 1 << 22);
	own(buf_t) b = { .max = 0 }, field = { .max = 0 };
	struct slice path = bytes(json_object_get(c, "mailfrom"), a), signer, message;
	struct cursor cur = cur_of(path);
	struct addr sender;
	struct spf_query sq = { .helo = bytes(json_object_get(c, "helo"), a), .receiver = S("mx.example") };
	struct dmarc_query dq = { .dkim = &signer };
	struct spf_verdict spf;
	struct dmarc_verdict dmarc;
	struct from_verdict from;
	struct resolver r;
	struct header h;
	struct zone z;

	if (addr_path(&cur, a, true, false, &sender) != ADDR_OK || !cur_done(&cur)) {
		(void)printf("%-12s refused: MAIL FROM\n", name);
		return true;
	}
	buf_init(&b, 65536);
	(void)buf_add(&b, trace);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		(void)buf_add(&b, bytes(json_object_get(json_object_get(c, "data"), parts[i]), a));
	if (!arena_copy(a, buf_slice(&b), &message) || !header_split(message, a, &h) ||
	    !zone_parse(dns, a, &z) || !ip_parse(S("192.0.2.1"), &sq.ip))
		return false;
	from_judge(&h, a, &from);
	if (!from.ok) {
		(void)printf("%-12s refused: %s\n", name, from.why);
		return true;
	}
	r = resolver_of(zone_query, &z);
	sq.local = sender.local;
	sq.domain = sender.domain;
	spf_check_mail(&sq, &r, a, &spf);
	dq.from_fields = from.fields;
	dq.from = from.domains;
	dq.n_from = from.n;
	dq.spf = &spf.domain;
	dq.n_spf = spf.result == SPF_PASS;
	dq.n_dkim = dkim_domain(json_object_get(c, "dkim_para"), a, &signer);
	dmarc_check(&dq, &r, a, &dmarc);
	buf_init(&field, LIMIT_AUTHRES);
	{
		struct authres_prop sp = { S("smtp"), S("mailfrom"), slice_sub(path, 1, path.n - 2) },
				    dp = { S("header"), S("from"), dmarc.from };
		struct authres_result rs[] = { { .method = S("spf"), .props = &sp, .n_props = 1,
						   .result = slice_z(spf_result_name(spf.result)) },
			{ .method = S("dmarc"), .props = &dp, .n_props = 1,
			    .result = slice_z(dmarc_result_name(dmarc.result)) } };

		(void)authres_write(&field, S("mx.example"), rs, 1);
		if (has_pass(&field))
			return false;
		buf_reset(&field);
		(void)authres_write(&field, S("mx.example"), rs, 2);
	}
	(void)printf("%-12s dmarc=%s dis=%s from=%.*s\n", name, dmarc_result_name(dmarc.result),
	    dmarc_policy_name(dmarc.disposition), SFMT(dmarc.from));
	return dmarc.result == DMARC_FAIL && dmarc.disposition == DMARC_P_REJECT &&
	       slice_find(buf_slice(&field), S("dmarc=pass")) == SLICE_NONE;
}

int
main(void)
{
	FILE *f = fopen(VECTORS "/spoof-espoofer/cases.json", "r");
	size_t good = 0, cases = 0;
	json_t *all, *c;
	const char *name;

	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	all = json_loadf(f, JSON_ALLOW_NUL, NULL);
	(void)fclose(f);
	json_object_foreach(all, name, c) {
		cases++;
		/* as it came, and with our trace fields before it: both must hold */
		good += run_case(name, c, S("")) &&
			run_case(name, c, S("Received: from x by mx.example; now\r\n"));
	}
	json_decref(all);
	(void)printf("spoof-espoofer: %zu/%zu\n", good, cases);
	return good == CASES && cases == CASES ? 0 : 1;
}
