/* SPDX-License-Identifier: MIT
 * What warden has told: one setting for each thing, lists separated by spaces, "-" for nothing. What it says was checked
 * when the configuration was read; what is wrong all the same ends the room at start. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/base/own.h"
#include "rooms/send/send.h"

#define CREDENTIAL ((size_t)2048)

static _Noreturn void
wrong(const char *what, struct slice value)
{
	(void)fprintf(stderr, "send: setting %s: \"%.*s\"\n", what, SFMT(slice_head(value, 200)));
	exit(EX_CONFIG);
}

/* The next item, which has to be there; "-" is the empty one. */
static struct slice
field(struct slice *rest, const char *what)
{
	struct slice v = S("");

	if (!slice_word(rest, &v))
		wrong(what, *rest);
	return slice_eq(v, S("-")) ? S("") : v;
}

static uint32_t
number(struct slice *rest, const char *what)
{
	struct slice text = field(rest, what);
	uint32_t v = 0;

	if (!slice_u32(text, &v))
		wrong(what, text);
	return v;
}

static void
read_allowed(struct reach *r, struct slice list)
{
	for (struct slice one; slice_word(&list, &one);)
		if (r->n_allowed == REACH_ALLOWED || !reach_net_parse(one, &r->allowed[r->n_allowed++]))
			wrong("allow", one);
}

/* Addresses of this machine, as they are now: asked for before the walls stand. */
static void
read_own(struct reach *r)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i != NULL && r->n_own < REACH_OWN; i = i->ifa_next) {
		struct ip *ip = &r->own[r->n_own];
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;

		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			memcpy(&v4, i->ifa_addr, sizeof v4);
			memcpy(ip->b, &v4.sin_addr, 4);
			ip->n = 4;
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			memcpy(&v6, i->ifa_addr, sizeof v6);
			memcpy(ip->b, &v6.sin6_addr, 16);
			ip->n = 16;
		}
		r->n_own += ip->n != 0;
	}
	freeifaddrs(all);
}

static void
add_address(struct send_source *s, struct slice text)
{
	struct ip ip;

	if (!ip_parse(text, &ip))
		wrong("source", text);
	if (ip.n == 4)
		s->v4 = ip;
	else
		s->v6 = ip;
}

/* "192.0.2.1 2001:db8::1 example.org=192.0.2.2": the default, and sender domains. */
static void
read_sources(struct send_conf *conf, struct slice list)
{
	conf->n_sources = 1;
	for (struct slice one, domain, address; slice_word(&list, &one);) {
		struct send_source *s = NULL;

		if (!slice_cut(one, '=', &domain, &address)) {
			add_address(&conf->sources[0], one);
			continue;
		}
		for (size_t i = 1; i < conf->n_sources && s == NULL; i++)
			if (slice_ieq(conf->sources[i].domain, domain))
				s = &conf->sources[i];
		if (s == NULL) {
			if (conf->n_sources > SEND_SOURCES)
				wrong("source", one);
			s = &conf->sources[conf->n_sources++];
			s->domain = domain;
		}
		add_address(s, address);
	}
}

/* The file holds two lines: the user and the password. It lives as long as the process. */
static void
read_credential(struct proc *p, struct send_relay *r, const char *name)
{
	struct arena *a;
	struct slice text, rest;
	uint8_t *bytes;
	ssize_t n;
	own(fd_t) fd = proc_descriptor(p, name);

	if (fd < 0)
		return;
	a = arena_new("credential", CREDENTIAL + 16);
	bytes = arena_alloc(a, 1, CREDENTIAL);
	n = bytes == NULL ? -1 : read(fd, bytes, CREDENTIAL);
	text = slice_of(bytes, n < 0 ? 0 : (size_t)n);
	if (!slice_cut(text, '\n', &r->user, &rest))
		wrong("credentials", r->name);
	if (!slice_cut(rest, '\n', &r->password, &text))
		r->password = rest;
	r->user = slice_trim(r->user);
	if (r->user.n == 0 || r->password.n == 0)
		wrong("credentials", r->name);
}

/* "NAME HOST PORT starttls|tls|none AFTER PER_HOUR SENDERS ACCOUNTS" */
static void
read_relays(struct proc *p, struct send_conf *conf)
{
	conf->n_relays = proc_number(p, "relays", 0, SEND_RELAYS);
	for (size_t i = 0; i < conf->n_relays; i++) {
		struct send_relay *r = &conf->relays[i];
		char key[32], credential[32];
		struct slice rest, tls;

		(void)snprintf(key, sizeof key, "relay.%zu", i);
		(void)snprintf(credential, sizeof credential, "credential.%zu", i);
		rest = proc_setting(p, key);
		r->name = field(&rest, key);
		r->host = field(&rest, key);
		r->port = (uint16_t)number(&rest, key);
		tls = field(&rest, key);
		r->tls = slice_eq(tls, S("tls")) ? SEND_TLS_IMPLICIT : slice_eq(tls, S("none")) ? SEND_TLS_NONE
												: SEND_TLS_STARTTLS;
		r->after = number(&rest, key);
		r->per_hour = number(&rest, key);
		r->senders = field(&rest, key);
		r->accounts = field(&rest, key);
		read_credential(p, r, credential);
	}
}

/* "DOMAIN lmtp|smtp HOST PORT"; a Unix socket has port 0 */
static void
read_routes(struct proc *p, struct send_conf *conf)
{
	conf->n_routes = proc_number(p, "routes", 0, SEND_ROUTES);
	for (size_t i = 0; i < conf->n_routes; i++) {
		struct send_route *r = &conf->routes[i];
		char key[32];
		struct slice rest;

		(void)snprintf(key, sizeof key, "route.%zu", i);
		rest = proc_setting(p, key);
		r->domain = field(&rest, key);
		r->lmtp = slice_eq(field(&rest, key), S("lmtp"));
		r->host = field(&rest, key);
		r->port = (uint16_t)number(&rest, key);
	}
}

void
send_settings(struct proc *p, struct send_conf *conf)
{
	struct slice ip = proc_setting(p, "ip");

	conf->hostname = proc_setting(p, "hostname");
	conf->helo = proc_setting(p, "helo");
	conf->port = (uint16_t)proc_number(p, "port", 1, 65535);
	conf->v4 = !slice_eq(ip, S("ipv6"));
	conf->v6 = !slice_eq(ip, S("ipv4"));
	conf->chunking = proc_number(p, "chunking", 0, 1) == 1;
	conf->times = (struct send_times){ .connect = (int64_t)proc_number(p, "connect_ms", 100, 600000),
		.greeting = (int64_t)proc_number(p, "reply_ms", 100, 600000),
		.command = (int64_t)proc_number(p, "reply_ms", 100, 600000),
		.block = (int64_t)proc_number(p, "reply_ms", 100, 600000),
		.end = (int64_t)proc_number(p, "end_ms", 100, 1200000),
		.total = (int64_t)proc_number(p, "total_ms", 100, 7200000),
		.idle = (int64_t)proc_number(p, "idle_ms", 0, 60000) };
	read_allowed(&conf->reach, proc_setting(p, "allow"));
	read_own(&conf->reach);
	read_sources(conf, proc_setting(p, "sources"));
	read_relays(p, conf);
	read_routes(p, conf);
}
