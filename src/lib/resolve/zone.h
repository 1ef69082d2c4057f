/* SPDX-License-Identifier: MIT
 * An in-memory zone behind the resolver interface, for tests, fuzzing and dry runs. It is written as
 * text, one record a line; `#` and empty lines are skipped; fields are separated by spaces or tabs:
 *
 *   NAME A 192.0.2.1              NAME MX 10 mail.example.com
 *   NAME AAAA 20010db8...         (32 hexadecimal digits, or RFC 4291 text)
 *   NAME TXT "one" "two\"\032"    (\DDD is a byte, \" a quote, \\ a backslash)
 *   NAME CNAME|NS|PTR TARGET      NAME SRV 10 5 443 TARGET
 *   NAME TLSA 3 1 1 HEX           NAME CAA 0 issue "ca.example"
 *   NAME TIMEOUT [TYPE]           every query (of that type) for the name times out;
 *   NAME SERVFAIL [TYPE]          fails; NAME BOGUS [TYPE] is bogus
 *   NAME SECURE                   answers for the name carry the secure flag
 *   NAME EXISTS                   the name exists without records
 *
 * A record of the asked type goes before a failure of all types at the same name (the convention
 * of the SPF test suite). TTL is 3600 everywhere. CNAMEs are followed 8 deep; a loop is SERVFAIL. */
#pragma once

#include "lib/resolve/resolve.h"

struct zone_record;
struct zone {
	struct zone_record *records;
	size_t n;
	size_t bad_line; /* 1-based number of the first line that is no record; 0: none */
	_Atomic unsigned queries; /* answered so far; threads may ask at the same time */
};

/* Reads a zone. text and the arena outlive *out. False, with out->bad_line set, on a line that is
 * wrong; out then holds the records before it and still answers. At the arena's ceiling likewise. */
bool zone_parse(struct slice text, struct arena *a, struct zone *out);

/* The query function for resolver_of(zone_query, &zone). */
void zone_query(void *self, struct slice name, enum rr_type type, struct arena *a,
    struct resolve_wire *out);
