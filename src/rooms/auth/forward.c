/* SPDX-License-Identifier: MIT
 * Mail that goes on to elsewhere: under which envelope sender, and the way back of its bounces. The secret
 * is made at the first start and never leaves this room. */
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/auth/house.h"

static void
mac(void *ctx, struct slice data, uint8_t out[static 32])
{
	const struct auth_room *r = ctx;

	(void)crypto_auth_hmacsha256(out, data.p == NULL ? (const uint8_t *)"" : data.p, data.n,
	    r->srs_secret);
}

static struct srs
scheme(struct auth_room *r)
{
	return (struct srs){ mac, r };
}

static uint32_t
today(void)
{
	return (uint32_t)(clock_wall_us() / ((int64_t)86400 * 1000000));
}

enum store_err
auth_forward_init(struct auth_room *r)
{
	own(arena_p) a = arena_new("secret", LIMIT_ARENA_COMMAND);
	struct slice kept;
	enum store_err e = setting_get(r->accounts, S("srs-secret"), a, &kept);

	if (e == STORE_OK && kept.n == sizeof r->srs_secret) {
		memcpy(r->srs_secret, kept.p, kept.n);
		return STORE_OK;
	}
	if (e != STORE_OK && e != STORE_NONE)
		return e;
	randombytes_buf(r->srs_secret, sizeof r->srs_secret);
	return setting_put(r->accounts, S("srs-secret"), slice_of(r->srs_secret, sizeof r->srs_secret));
}

bool
auth_forward_sender(struct auth_room *r, struct slice sender, struct slice ours, struct arena *a,
    struct slice *out)
{
	struct srs s = scheme(r);
	size_t at = slice_rfind_byte(sender, '@');

	*out = S("");
	/* the null sender stays it, and for a domain of ours we may send already */
	if (sender.n == 0 || at == SLICE_NONE || domain_known(r->accounts, slice_from(sender, at + 1)) == STORE_OK)
		return true;
	return srs_write(&s, sender, ours, today(), a, out);
}

bool
auth_forward_is_back(struct auth_room *r, struct slice address)
{
	size_t at = slice_rfind_byte(address, '@');

	return at != SLICE_NONE && srs_is(slice_head(address, at)) &&
	    domain_known(r->accounts, slice_from(address, at + 1)) == STORE_OK;
}

enum store_err
auth_forward_back(struct auth_room *r, struct slice address, struct arena *a, struct resolved *out)
{
	struct srs s = scheme(r);
	size_t at = slice_rfind_byte(address, '@');
	struct slice back = { 0 };
	own(buf_t) postmaster = { .max = 2 * LIMIT_SMTP_ADDRESS };
	enum srs_status st = srs_read(&s, slice_head(address, at), today(), a, &back);
	enum store_err e;

	*out = (struct resolved){ .local_domain = true };
	if (st == SRS_POSTMASTER && buf_add(&postmaster, S("postmaster")) &&
	    buf_add(&postmaster, slice_from(address, at)))
		return accounts_resolve(r->accounts, buf_slice(&postmaster), a, out);
	if (st != SRS_OK) {
		EVENT(EVENT_SRS_REFUSED, 0, S(""), S(""), EF("address", address),
		    EF("why", st == SRS_EXPIRED ? S("expired") : S("forged")));
		return STORE_NONE;
	}
	e = accounts_resolve(r->accounts, back, a, out);
	if (e != STORE_NONE || out->local_domain)
		return e;
	*out = (struct resolved){ .local_domain = true, .n = 1, .to = { { .address = back } } };
	EVENT(EVENT_SRS_RETURNED, 0, S(""), S(""), EF("address", address), EF("to", back));
	return STORE_OK;
}
