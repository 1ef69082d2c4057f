/* SPDX-License-Identifier: MIT
 * SPF checks for spf_oracle.py: spf_tool ZONE < QUERIES, or spf_tool ADDRESS@PORT < QUERIES, with what a name server
 * there says. A query is a line "IP HELO LOCAL DOMAIN", the
 * last three in hexadecimal ("-" for empty); the answer a line "RESULT LOOKUPS VOIDS QUERIES
 * EXPLANATION WHY", the explanation in hexadecimal. */
#include <stdio.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/resolve/stub.h"
#include "lib/resolve/zone.h"
#include "lib/verify/spf/spf.h"

static bool
word(struct slice *line, struct slice *out)
{
	struct slice head, tail;

	if (!slice_cut(*line, ' ', &head, &tail)) {
		head = *line;
		tail = S("");
	}
	*line = tail;
	*out = head;
	return head.n > 0;
}

static bool
bytes(struct slice *line, struct arena *a, struct slice *out)
{
	struct slice w;

	if (!word(line, &w))
		return false;
	*out = S("");
	return slice_eq(w, S("-")) || hex_decode(w, a, out);
}

static bool
answer(struct slice line, struct resolver r)
{
	own(arena_p) a = arena_new("query", 1 << 22);
	own(buf_t) hex = { .max = 0 };
	struct spf_query q = { .receiver = S("mx.example"), .now = 1700000000 };
	struct spf_verdict v;
	struct slice ip;

	if (!word(&line, &ip) || !ip_parse(ip, &q.ip) || !bytes(&line, a, &q.helo) ||
	    !bytes(&line, a, &q.local) || !bytes(&line, a, &q.domain))
		return false;
	spf_check_mail(&q, &r, a, &v);
	buf_init(&hex, 8192);
	(void)hex_encode(&hex, v.explanation);
	(void)printf("%s %u %u %u %.*s %s\n", spf_result_name(v.result), v.lookups, v.voids, v.queries,
	    v.explanation.n == 0 ? 1 : (int)hex.n,
	    v.explanation.n == 0 ? "-" : (const char *)hex.p, v.why);
	return true;
}

int
main(int argc, char **argv)
{
	own(arena_p) a = arena_new("zone", 1 << 24);
	own(buf_t) b = { .max = 0 };
	static char line[65536];
	struct resolver dns;
	struct stub stub;
	struct zone z;
	FILE *f = NULL;
	bool served = argc == 2 && stub_parse(slice_z(argv[1]), &stub);

	if (argc != 2 || (!served && (f = fopen(argv[1], "rb")) == NULL))
		return 2;
	buf_init(&b, 1 << 22);
	for (size_t n; f != NULL && (n = fread(line, 1, sizeof line, f)) > 0;)
		(void)buf_add(&b, slice_of(line, n));
	if (f != NULL)
		(void)fclose(f);
	if (!served && !zone_parse(buf_slice(&b), a, &z)) {
		(void)fprintf(stderr, "zone line %zu\n", z.bad_line);
		return 2;
	}
	dns = served ? resolver_of(stub_query, &stub) : resolver_of(zone_query, &z);
	while (fgets(line, sizeof line, stdin) != NULL) {
		struct slice s = slice_z(line);

		if (slice_ends(s, S("\n")))
			s = slice_head(s, s.n - 1);
		if (!answer(s, dns))
			return 2;
	}
	return 0;
}
