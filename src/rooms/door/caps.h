/* SPDX-License-Identifier: MIT
 * How many connections there may be, in total and from one address, and how many TLS handshakes an
 * address may begin. An address is an IPv4 address or an IPv6 /64: who has one address of a /64 has
 * all of them. Only addresses that are connected, or that have used up handshakes within the last
 * seconds, take memory. */
#pragma once

#include "lib/base/ip.h"

struct caps_limits {
	uint32_t total;	      /* connections at once */
	uint32_t per_address; /* connections at once from one address; 0: no limit */
	uint32_t handshakes;  /* from one address per second, on average; 0: no limit */
	uint32_t burst;	      /* handshakes that an address may have saved up */
};

enum caps_verdict { CAPS_OK, CAPS_TOTAL, CAPS_ADDRESS };

struct caps;
struct caps_address;

/* secret: 16 random octets that keep strangers from choosing addresses that collide. Never NULL. */
struct caps *caps_new(const struct caps_limits *limits, const uint8_t secret[static 16]);
void caps_free(struct caps **c);
/* A connection from ip (not IPv4-mapped: ip_unmap()) begins at now_ms. CAPS_OK: it is counted, and
 * *out stands for its address until caps_leave(). Otherwise nothing is counted. */
enum caps_verdict caps_enter(struct caps *c, const struct ip *ip, uint64_t now_ms,
    struct caps_address **out);
void caps_leave(struct caps *c, struct caps_address **a, uint64_t now_ms);
/* The same for a connection that counts in the total only: whose it is will be said by a front end. */
bool caps_enter_unknown(struct caps *c);
void caps_leave_unknown(struct caps *c);
/* Is the total near its end? From nine tenths on, until it is below three quarters (was). */
bool caps_crowded(const struct caps *c, bool was);
/* May this address begin a handshake now? Yes costs one of its budget. */
bool caps_handshake(struct caps *c, struct caps_address *a, uint64_t now_ms);
/* Connections that are counted, and addresses that take memory. */
size_t caps_total(const struct caps *c);
size_t caps_addresses(const struct caps *c);
