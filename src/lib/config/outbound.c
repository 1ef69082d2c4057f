/* SPDX-License-Identifier: MIT
 * What is checked here is told to the room send as it stands: one line of words for each smarthost and route. */
#include "lib/config/outbound.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/ip.h"

static cfg_opt_t source_opts[] = { CFG_STR_LIST("addresses", "{}", CFGF_NONE), CFG_END() };
static cfg_opt_t relay_opts[] = { CFG_STR("host", "", CFGF_NONE), CFG_INT("port", 587, CFGF_NONE),
	CFG_STR("tls", "starttls", CFGF_NONE), CFG_STR("credentials", "", CFGF_NONE),
	CFG_STR_LIST("senders", "{}", CFGF_NONE), CFG_INT_LIST("accounts", "{}", CFGF_NONE),
	CFG_INT("after", 0, CFGF_NONE), CFG_INT("per_hour", 0, CFGF_NONE), CFG_END() };
static cfg_opt_t route_opts[] = { CFG_STR("to", "", CFGF_NONE), CFG_END() };

cfg_opt_t config_outbound_opts[] = { CFG_STR_LIST("addresses", "{}", CFGF_NONE), CFG_STR("helo", "", CFGF_NONE),
	CFG_INT("port", 25, CFGF_NONE), CFG_STR("ip", "both", CFGF_NONE), CFG_STR_LIST("allow", "{}", CFGF_NONE),
	CFG_BOOL("chunking", cfg_true, CFGF_NONE),
	CFG_STR("roots", "/etc/ssl/certs/ca-certificates.crt", CFGF_NONE), CFG_INT("connect_timeout", 30, CFGF_NONE),
	CFG_INT("reply_timeout", 300, CFGF_NONE), CFG_INT("end_timeout", 600, CFGF_NONE),
	CFG_INT("conversation_timeout", 1800, CFGF_NONE), CFG_INT("idle", 5, CFGF_NONE),
	CFG_SEC("source", source_opts, CFGF_MULTI | CFGF_TITLE), CFG_SEC("relay", relay_opts, CFGF_MULTI | CFGF_TITLE),
	CFG_SEC("route", route_opts, CFGF_MULTI | CFGF_TITLE), CFG_END() };

static bool
wrong(cfg_t *sec, const char *what, const char *value)
{
	cfg_error(sec, "outbound: %s: \"%s\"", what, value);
	return false;
}

static bool
seconds(cfg_t *sec, const char *key, long most, uint32_t *to)
{
	long v = cfg_getint(sec, key);

	if (v < 0 || v > most || (v == 0 && strcmp(key, "idle") != 0)) {
		cfg_error(sec, "outbound: %s is %ld; it has to be between 1 and %ld", key, v, most);
		return false;
	}
	*to = (uint32_t)v;
	return true;
}

static bool
port_ok(cfg_t *sec, long v, uint16_t *to)
{
	if (v < 1 || v > 65535) {
		cfg_error(sec, "outbound: port is %ld; it has to be between 1 and 65535", v);
		return false;
	}
	*to = (uint16_t)v;
	return true;
}

/* Appends a word to a list; false when it does not fit or could be taken for two. */
static bool
append(char *list, size_t size, const char *separator, struct slice word)
{
	size_t used = strlen(list);
	int more;

	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] <= ' ' || word.p[i] > '~' || word.p[i] == ',')
			return false;
	more = snprintf(&list[used], size - used, "%s%.*s", used == 0 ? "" : separator, SFMT(word));
	return word.n > 0 && more > 0 && (size_t)more < size - used;
}

static bool
sources(cfg_t *sec, const char *domain, struct config_outbound *o)
{
	for (unsigned i = 0; i < cfg_size(sec, "addresses"); i++) {
		const char *text = cfg_getnstr(sec, "addresses", i);
		char word[400];
		struct ip ip;

		if (!ip_parse(slice_z(text), &ip))
			return wrong(sec, "no IP address", text);
		(void)snprintf(word, sizeof word, "%s%s%s", domain, domain[0] == '\0' ? "" : "=", text);
		if (!append(o->sources, sizeof o->sources, " ", slice_z(word)))
			return wrong(sec, "too many source addresses", text);
	}
	return true;
}

static bool
allowed(cfg_t *sec, struct config_outbound *o)
{
	for (unsigned i = 0; i < cfg_size(sec, "allow"); i++) {
		const char *text = cfg_getnstr(sec, "allow", i);
		unsigned bits;
		struct ip ip;

		if (!ip_net_parse(slice_z(text), &ip, &bits))
			return wrong(sec, "no network", text);
		if (i == 32 || !append(o->allow, sizeof o->allow, " ", slice_z(text)))
			return wrong(sec, "too many networks", text);
	}
	return true;
}

static bool
relay_who(cfg_t *sec, char *senders, char *accounts, size_t size)
{
	for (unsigned i = 0; i < cfg_size(sec, "senders"); i++)
		if (!append(senders, size, ",", slice_z(cfg_getnstr(sec, "senders", i))))
			return wrong(sec, "senders are too many, or one is wrong", cfg_getnstr(sec, "senders", i));
	for (unsigned i = 0; i < cfg_size(sec, "accounts"); i++) {
		char number[24];

		(void)snprintf(number, sizeof number, "%ld", cfg_getnint(sec, "accounts", i));
		if (cfg_getnint(sec, "accounts", i) < 1 || !append(accounts, size, ",", slice_z(number)))
			return wrong(sec, "accounts are too many, or one is wrong", number);
	}
	return true;
}

/* A host name, or an address literal in brackets. */
static bool
host_ok(struct slice host)
{
	struct ip ip;

	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		host = slice_sub(host, 1, host.n - 2);
		return ip_parse(slice_istarts(host, S("IPv6:")) ? slice_from(host, 5) : host, &ip);
	}
	return config_hostname_ok(host);
}

static bool
relay(cfg_t *sec, struct config_outbound *o)
{
	const char *name = cfg_title(sec), *host = cfg_getstr(sec, "host"), *tls = cfg_getstr(sec, "tls");
	const char *credentials = cfg_getstr(sec, "credentials");
	long after = cfg_getint(sec, "after"), per_hour = cfg_getint(sec, "per_hour");
	char senders[1024] = "", accounts[1024] = "", word[64] = "";
	uint16_t port;
	int n;

	if (o->n_relays == CONFIG_RELAYS)
		return wrong(sec, "too many smarthosts", name);
	if (!append(word, sizeof word, "", slice_z(name)))
		return wrong(sec, "a name has up to 63 characters without spaces and commas", name);
	if (!host_ok(slice_z(host)) || host[0] == '[')
		return wrong(sec, "host of a relay is no full host name", host);
	if (strcmp(tls, "starttls") != 0 && strcmp(tls, "tls") != 0 && strcmp(tls, "none") != 0)
		return wrong(sec, "tls can be starttls, tls or none", tls);
	if (strcmp(tls, "none") == 0 && credentials[0] != '\0')
		return wrong(sec, "credentials never go over a connection without TLS", name);
	if (after < 0 || after > 1000 || per_hour < 0 || per_hour > 1000000000)
		return wrong(sec, "after or per_hour is out of range", name);
	if (!port_ok(sec, cfg_getint(sec, "port"), &port) || !relay_who(sec, senders, accounts, sizeof senders))
		return false;
	if (strlen(credentials) >= sizeof o->credentials[0])
		return wrong(sec, "path is too long", credentials);
	(void)snprintf(o->credentials[o->n_relays], sizeof o->credentials[0], "%s", credentials);
	n = snprintf(o->relays[o->n_relays], sizeof o->relays[0], "%s %s %u %s %ld %ld %s %s", name, host, port, tls, after,
	    per_hour, senders[0] == '\0' ? "-" : senders, accounts[0] == '\0' ? "-" : accounts);
	o->n_relays++;
	return n > 0 && (size_t)n < sizeof o->relays[0] ? true : wrong(sec, "too long", name);
}

#define ROUTE_FORM "a route goes to lmtp:HOST:PORT, lmtp:unix:/PATH or smtp:HOST:PORT"

/* "unix:/PATH": warden connects, and send has the same words as the name of the host. */
static bool
route_path(cfg_t *sec, struct slice at, char path[static CONFIG_SOCKET])
{
	char word[CONFIG_SOCKET + 8] = "";

	if (!slice_starts(at, S("unix:/")) || at.n - 5 >= CONFIG_SOCKET || !append(word, sizeof word, "", at))
		return wrong(sec, "the path of a socket begins with / and has up to 103 printable characters", word);
	(void)snprintf(path, CONFIG_SOCKET, "%.*s", SFMT(slice_from(at, 5)));
	return true;
}

/* "lmtp:HOST:PORT", "lmtp:unix:/PATH" or "smtp:HOST:PORT". */
static bool
route(cfg_t *sec, struct config_outbound *o)
{
	const char *domain = cfg_title(sec), *to = cfg_getstr(sec, "to");
	struct slice kind, rest, host, port_text;
	size_t colon;
	uint32_t port = 0;

	if (o->n_routes == CONFIG_ROUTES)
		return wrong(sec, "too many routes", domain);
	if (!config_hostname_ok(slice_z(domain)))
		return wrong(sec, "a route is for a domain", domain);
	if (!slice_cut(slice_z(to), ':', &kind, &rest) || (!slice_eq(kind, S("lmtp")) && !slice_eq(kind, S("smtp"))))
		return wrong(sec, ROUTE_FORM, to);
	if (slice_starts(rest, S("unix:"))) {
		if (!slice_eq(kind, S("lmtp")))
			return wrong(sec, ROUTE_FORM, to);
		if (!route_path(sec, rest, o->route_paths[o->n_routes]))
			return false;
		(void)snprintf(o->routes[o->n_routes++], sizeof o->routes[0], "%s lmtp %.*s 0", domain, SFMT(rest));
		return true;
	}
	colon = slice_rfind_byte(rest, ':');
	host = colon == SLICE_NONE ? rest : slice_head(rest, colon);
	port_text = colon == SLICE_NONE ? S("") : slice_from(rest, colon + 1);
	if (!host_ok(host) || !slice_u32(port_text, &port) || port == 0 || port > 65535)
		return wrong(sec, ROUTE_FORM, to);
	(void)snprintf(o->routes[o->n_routes++], sizeof o->routes[0], "%s %.*s %.*s %u", domain, SFMT(kind), SFMT(host),
	    port);
	return true;
}

static bool
lists(cfg_t *sec, struct config_outbound *o)
{
	if (!allowed(sec, o) || !sources(sec, "", o))
		return false;
	for (unsigned i = 0; i < cfg_size(sec, "source"); i++) {
		cfg_t *one = cfg_getnsec(sec, "source", i);

		if (!config_hostname_ok(slice_z(cfg_title(one))))
			return wrong(one, "a source is for a domain", cfg_title(one));
		if (!sources(one, cfg_title(one), o))
			return false;
	}
	for (unsigned i = 0; i < cfg_size(sec, "relay"); i++)
		if (!relay(cfg_getnsec(sec, "relay", i), o))
			return false;
	for (unsigned i = 0; i < cfg_size(sec, "route"); i++)
		if (!route(cfg_getnsec(sec, "route", i), o))
			return false;
	return true;
}

bool
config_outbound_read(cfg_t *sec, struct config_outbound *out)
{
	const char *helo = cfg_getstr(sec, "helo"), *ip = cfg_getstr(sec, "ip"), *roots = cfg_getstr(sec, "roots");

	if (helo[0] != '\0' && !config_hostname_ok(slice_z(helo)))
		return wrong(sec, "helo is no full host name", helo);
	if (strcmp(ip, "both") != 0 && strcmp(ip, "ipv4") != 0 && strcmp(ip, "ipv6") != 0)
		return wrong(sec, "ip can be both, ipv4 or ipv6", ip);
	if (strlen(roots) >= sizeof out->roots)
		return wrong(sec, "path is too long", roots);
	(void)snprintf(out->helo, sizeof out->helo, "%s", helo);
	(void)snprintf(out->ip, sizeof out->ip, "%s", ip);
	(void)snprintf(out->roots, sizeof out->roots, "%s", roots);
	out->chunking = cfg_getbool(sec, "chunking") == cfg_true;
	return port_ok(sec, cfg_getint(sec, "port"), &out->port) &&
	    seconds(sec, "connect_timeout", 600, &out->connect_timeout) &&
	    seconds(sec, "reply_timeout", 600, &out->reply_timeout) && seconds(sec, "end_timeout", 1200, &out->end_timeout) &&
	    seconds(sec, "conversation_timeout", 7200, &out->conversation_timeout) && seconds(sec, "idle", 60, &out->idle) &&
	    lists(sec, out);
}
