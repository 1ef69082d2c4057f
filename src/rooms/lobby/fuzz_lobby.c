/* SPDX-License-Identifier: MIT
 * Whatever a stranger sends before login; the first octet says whether TLS is active. Nobody is asked
 * before TLS, nobody gets in whom auth refused, junk is cut, and what we hold stays within the
 * budget. */
#include "rooms/lobby/lobby.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct seen {
	unsigned asked;
	bool yes;
};

static enum lobby_login
login(void *ctx, uint64_t session, struct slice peer_ip, const struct sasl_login *who)
{
	struct seen *seen = ctx;

	PN_ASSERT(who->name.n > 0 && who->name.n <= LIMIT_LOGIN_NAME);
	PN_ASSERT(who->password.n > 0 && who->password.n <= LIMIT_PASSWORD);
	seen->asked++;
	seen->yes = slice_eq(who->password, S("s3cret"));
	return seen->yes ? LOBBY_YES : slice_eq(who->password, S("later")) ? LOBBY_LATER : LOBBY_NO;
}

static unsigned
count(struct slice s, struct slice what)
{
	unsigned n = 0;

	for (size_t at; (at = slice_find(s, what)) != SLICE_NONE; n++)
		s = slice_from(s, at + what.n);
	return n;
}

/* Alice's exchange with a nonce that does not change; the proof that is right is 32 times 'P'. */
static enum lobby_login
scram_first(void *ctx, uint64_t session, struct slice ip, const struct scram_first *f, struct arena *a,
    struct slice *challenge)
{
	*challenge = S("r=abcdef,s=QSXCR+Q6sek8bf92QSXCRw==,i=16384");
	return LOBBY_YES;
}

static enum lobby_login
scram_final(void *ctx, uint64_t session, const struct scram_final *f, struct arena *a, struct slice *signature)
{
	static const uint8_t right[SCRAM_PROOF] = "PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP";

	*signature = S("SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS");
	return memcmp(f->proof, right, sizeof right) == 0 ? LOBBY_YES : LOBBY_NO;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct lobby_ops ops = { .login = login, .scram_first = scram_first, .scram_final = scram_final };
	struct seen seen = { 0 };
	struct slice in = slice_of(data, n);
	struct stream_memory m = { .chunk = n % 7 };
	struct lobby_session s = { .id = 1, .ops = &ops, .ctx = &seen };
	enum lobby_next next;

	if (n == 0)
		return 0;
	s.tls = (slice_at(in, 0) & 1) != 0;
	m.in = slice_from(in, 1);
	buf_init(&m.out, 1 << 20);
	stream_init_memory(&s.io, &m);
	lobby_begin(&s, 0);
	next = lobby_turn(&s, false);
	PN_ASSERT(next != LOBBY_PARK); /* the input has ended */
	PN_ASSERT(s.tls || seen.asked == 0);
	PN_ASSERT((next == LOBBY_HANDOFF) == seen.yes);
	PN_ASSERT(next != LOBBY_STARTTLS || !s.tls);
	PN_ASSERT(s.in.line.n <= LIMIT_IMAP_PRELOGIN + 4);
	PN_ASSERT(count(buf_slice(&m.out), S(" BAD ")) <= LIMIT_IMAP_BAD + 1);
	lobby_end(&s);
	buf_free(&m.out);
	return 0;
}
