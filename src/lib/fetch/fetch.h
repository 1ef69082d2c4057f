/* SPDX-License-Identifier: MIT
 * Asks the fetch room for one HTTPS exchange, and reads what it brought. A room that uses it needs memfd_create
 * and pread64 on its list of calls. */
#pragma once

#include "ipc/room_fetch.h"
#include "lib/verify/tlspolicy/tlspolicy.h"

/* A GET. What came lies in a: *body is empty unless status is done. type: what Content-Type has to be, "" for any.
 * max: bytes of the body. Blocks until the answer or ms and a little more. Without an answer the status is slow. */
void fetch_get(struct ipc_client *c, struct slice url, struct slice type, uint64_t max, uint32_t ms, uint64_t session,
    struct arena *a, struct room_fetch_fetch_answer *out, struct slice *body);

/* A POST of body (at most FETCH_BODY) as type, with an answer as fetch_get() gives it, of type answer ("": any). An answer
 * that is larger than max has the status large: the server has taken the body all the same, if code says so. */
#define FETCH_BODY ((size_t)32768)
void fetch_post(struct ipc_client *c, struct slice url, struct slice type, struct slice body, struct slice answer, uint64_t max,
    uint32_t ms, uint64_t session, struct arena *a, struct room_fetch_fetch_answer *out, struct slice *got);

/* The policy file of a domain (RFC 8461 3.3): text/plain, 64 KiB, 60 s, no redirect. For struct tlspolicy_sts.fetch,
 * which passes its own self: call it from there. *why (in a) says in words what was wrong, "" where nothing was. */
enum tlspolicy_fetch fetch_sts_policy(struct ipc_client *c, struct slice domain, uint64_t session, struct arena *a,
    struct slice *text, struct slice *why);
