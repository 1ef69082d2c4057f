/* SPDX-License-Identifier: MIT */
#include "lib/config/config.h"

#include <arpa/inet.h>
#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/chars.h"
#include "lib/base/ip.h"
#include "lib/base/limits.h"
#include "lib/config/milter.h"
#include "lib/config/outbound.h"

static const char *const LISTENERS[] = { "smtp", "submission", "submissions", "lmtp", "imap", "imaps" };

/* libconfuse's error function has no argument of its own. */
static _Thread_local struct buf *collected;

__attribute__((format(printf, 2, 0))) static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[512];

	(void)vsnprintf(text, sizeof text, fmt, ap);
	buf_fmt(collected, "%s:%d: %s\n", cfg != NULL && cfg->filename != NULL ? cfg->filename : "configuration",
	    cfg != NULL ? cfg->line : 0, text);
}

bool
config_hostname_ok(struct slice name)
{
	struct slice label, rest = name;
	size_t labels = 0;

	if (name.n == 0 || name.n > 253)
		return false;
	for (bool more = true; more; labels++) {
		more = slice_cut(rest, '.', &label, &rest);
		if (!more)
			label = rest;
		if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!ch_is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return labels >= 2;
}

static bool
complain(struct buf *errors, const char *path, const char *what, const char *value)
{
	buf_fmt(errors, "%s: %s: \"%s\"\n", path, what, value);
	return false;
}

static bool
text(cfg_t *cfg, const char *key, char *to, size_t size)
{
	const char *v = cfg_getstr(cfg, key);

	if (v == NULL || strlen(v) >= size) {
		cfg_error(cfg, "%s is missing or too long", key);
		return false;
	}
	(void)snprintf(to, size, "%s", v);
	return true;
}

static bool
number(cfg_t *cfg, const char *key, long least, long most, uint64_t *to)
{
	long v = cfg_getint(cfg, key);

	if (v < least || v > most) {
		cfg_error(cfg, "%s is %ld; it has to be between %ld and %ld", key, v, least, most);
		return false;
	}
	*to = (uint64_t)v;
	return true;
}

/* A switch with a default that depends on the listener. */
static bool
is_on(cfg_t *sec, const char *key, bool otherwise)
{
	return cfg_size(sec, key) == 0 ? otherwise : cfg_getbool(sec, key) == cfg_true;
}

/* A list of addresses and networks as one text. */
static bool
networks(cfg_t *sec, const char *key, char *to, size_t size)
{
	struct ip_nets nets;
	struct buf b;
	bool ok;

	buf_init(&b, size - 1);
	for (unsigned i = 0; i < cfg_size(sec, key); i++) {
		if (i > 0)
			(void)buf_byte(&b, ' ');
		(void)buf_add(&b, slice_z(cfg_getnstr(sec, key, i)));
	}
	ok = !b.bad && ip_nets_parse(buf_slice(&b), &nets);
	if (ok)
		(void)snprintf(to, size, "%.*s", SFMT(buf_slice(&b)));
	else
		cfg_error(sec, "%s wants IP addresses and networks, at most %zu", key, LIMIT_IP_NETS);
	buf_free(&b);
	return ok;
}

static bool
service(cfg_t *sec, struct config *c)
{
	struct config_service *s = &c->services[c->n_services];
	bool strangers = strcmp(cfg_title(sec), "smtp") == 0, lmtp = strcmp(cfg_title(sec), "lmtp") == 0;
	uint64_t wait, tarpit;

	if (c->n_services == CONFIG_SERVICES || !number(sec, "greet_wait", 0, 10000, &wait) ||
	    !number(sec, "tarpit", 0, 10000, &tarpit) ||
	    !networks(sec, "proxy_from", s->proxy_from, sizeof s->proxy_from) ||
	    !networks(sec, "xclient_from", s->xclient_from, sizeof s->xclient_from) ||
	    !networks(sec, "from", s->from, sizeof s->from))
		return false;
	(void)snprintf(s->name, sizeof s->name, "%s", cfg_title(sec));
	s->dsn = is_on(sec, "dsn", !strangers);
	s->enhanced_codes = is_on(sec, "enhanced_codes", true);
	s->chunking = is_on(sec, "chunking", true);
	s->smtputf8 = is_on(sec, "smtputf8", true);
	s->greet_wait_ms = lmtp ? 0 : (uint32_t)wait;
	s->tarpit_ms = lmtp ? 0 : (uint32_t)tarpit;
	c->n_services++;
	return true;
}

/* One more place to listen at; false when there are too many. */
static bool
place(cfg_t *sec, struct config *c, const char *address, uint64_t port, uint64_t mode)
{
	struct config_listener *l = &c->listeners[c->n_listeners];

	if (c->n_listeners == CONFIG_LISTENERS) {
		cfg_error(sec, "more than %d addresses to listen on", CONFIG_LISTENERS);
		return false;
	}
	c->n_listeners++;
	(void)snprintf(l->name, sizeof l->name, "%s", cfg_title(sec));
	(void)snprintf(l->address, sizeof l->address, "%s", address);
	l->port = (uint16_t)port;
	l->mode = (uint16_t)mode;
	return true;
}

/* listen lmtp: a Unix socket, and addresses, which are those of loopback where none are said. */
static bool
lmtp(cfg_t *sec, struct config *c, bool *only_socket)
{
	const char *path = cfg_getstr(sec, "socket");
	bool said = (cfg_getopt(sec, "addresses")->flags & CFGF_RESET) == 0;
	uint64_t mode, port;

	*only_socket = path[0] != '\0' && !said;
	if (path[0] != '\0') {
		if (path[0] != '/' || strlen(path) >= sizeof c->listeners[0].address) {
			cfg_error(sec, "socket has to be a path from the root, of at most 103 bytes");
			return false;
		}
		if (!number(sec, "mode", 0, 0777, &mode) || !place(sec, c, path, 0, mode))
			return false;
	}
	if (said || *only_socket)
		return true;
	*only_socket = true; /* nothing is left for listener() */
	return number(sec, "port", 1, 65535, &port) && place(sec, c, "127.0.0.1", port, 0) &&
	    place(sec, c, "::1", port, 0);
}

static bool
listener(cfg_t *sec, struct config *c)
{
	const char *name = cfg_title(sec);
	uint64_t port;
	bool known = false, done = false;
	uint8_t addr[16];

	for (size_t i = 0; i < sizeof LISTENERS / sizeof *LISTENERS; i++)
		known = known || strcmp(LISTENERS[i], name) == 0;
	if (!known) {
		cfg_error(sec, "no such listener: \"%s\" (smtp, submission, submissions, lmtp, imap, imaps)", name);
		return false;
	}
	if (strcmp(name, "lmtp") == 0 && !lmtp(sec, c, &done))
		return false;
	if (done)
		return service(sec, c);
	if (!number(sec, "port", 1, 65535, &port))
		return false;
	for (unsigned i = 0; i < cfg_size(sec, "addresses"); i++) {
		const char *a = cfg_getnstr(sec, "addresses", i);

		if (inet_pton(strchr(a, ':') != NULL ? AF_INET6 : AF_INET, a, addr) != 1) {
			cfg_error(sec, "listener %s: \"%s\" is no IP address", name, a);
			return false;
		}
		if (!place(sec, c, a, port, 0))
			return false;
	}
	return service(sec, c);
}

static bool
numbers(cfg_t *cfg, struct config *c)
{
	uint64_t base, range, total, per_address, sessions, failures;

	if (!number(cfg, "uid_base", 1000, 2000000000, &base) ||
	    !number(cfg, "user_range", 1, 60000, &range) ||
	    !number(cfg, "login_failures", 0, 100000, &failures) ||
	    !number(cfg, "message_size", 65536, 1073741824, &c->message_size) ||
	    !number(cfg, "connections", 1, 100000, &total) ||
	    !number(cfg, "connections_per_address", 1, 100000, &per_address) ||
	    !number(cfg, "sessions_per_user", 1, 10000, &sessions))
		return false;
	c->uid_base = (uint32_t)base;
	c->user_range = (uint32_t)range;
	c->login_failures = (uint32_t)failures;
	c->connections = (uint32_t)total;
	c->connections_per_address = (uint32_t)per_address;
	c->sessions_per_user = (uint32_t)sessions;
	c->scram = cfg_getbool(cfg, "scram") == cfg_true;
	c->scram_require_binding = cfg_getbool(cfg, "scram_require_binding") == cfg_true;
	return true;
}

/* "90s", "5m", "1h", "5d"; between least and most seconds. */
static bool
duration(cfg_t *sec, const char *key, uint64_t least, uint64_t most, uint64_t *to)
{
	static const struct {
		uint8_t letter;
		uint32_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct slice s = slice_z(cfg_getstr(sec, key));
	uint64_t n = 0, unit = 0;

	for (size_t i = 0; s.n > 1 && i < sizeof units / sizeof *units; i++)
		if (units[i].letter == slice_at(s, s.n - 1))
			unit = units[i].seconds;
	if (unit == 0 || !slice_u64(slice_head(s, s.n - 1), &n) || n > most / unit || n * unit < least) {
		cfg_error(sec, "%s is \"%.*s\"; it has to be a duration (90s, 5m, 1h, 5d) between %llu and %llu seconds",
		    key, SFMT(s), (unsigned long long)least, (unsigned long long)most);
		return false;
	}
	*to = n * unit;
	return true;
}

static bool
queue(cfg_t *sec, struct config_queue *q)
{
	q->encrypt = cfg_getbool(sec, "encrypt") == cfg_true;
	if (!duration(sec, "retry_first", 1, 86400, &q->retry_first) ||
	    !duration(sec, "retry_most", 1, 864000, &q->retry_most) ||
	    !duration(sec, "lifetime", 60, 8640000, &q->lifetime) ||
	    !duration(sec, "bounce_lifetime", 60, 8640000, &q->bounce_lifetime) ||
	    !duration(sec, "warn_after", 60, 8640000, &q->warn_after))
		return false;
	return number(sec, "high_water", 100, 100000000, &q->high_water) &&
	    number(sec, "concurrency", 1, 200, &q->concurrency);
}

static const char *const SENDERS[] = { [CONFIG_SENDER_OFF] = "off", [CONFIG_SENDER_MARK] = "mark",
	[CONFIG_SENDER_ENFORCE] = "enforce" };

const char *
config_sender_word(enum config_sender s)
{
	return SENDERS[s];
}

/* sender_authentication, and arc_trusted as one list. */
static bool
senders(cfg_t *cfg, struct config *c)
{
	const char *word = cfg_getstr(cfg, "sender_authentication");
	size_t n = 0;

	while (n < sizeof SENDERS / sizeof *SENDERS && strcmp(SENDERS[n], word) != 0)
		n++;
	if (n == sizeof SENDERS / sizeof *SENDERS) {
		cfg_error(cfg, "sender_authentication is \"%s\"; it can be off, mark or enforce", word);
		return false;
	}
	c->sender_authentication = (enum config_sender)n;
	n = 0;
	for (unsigned i = 0; i < cfg_size(cfg, "arc_trusted"); i++) {
		const char *name = cfg_getnstr(cfg, "arc_trusted", i);
		int more = snprintf(&c->arc_trusted[n], sizeof c->arc_trusted - n, "%s%s", n == 0 ? "" : ",", name);

		if (!config_hostname_ok(slice_z(name))) {
			cfg_error(cfg, "arc_trusted: \"%s\" is no domain", name);
			return false;
		}
		if (i == CONFIG_TRUSTED || more < 0 || (size_t)more >= sizeof c->arc_trusted - n) {
			cfg_error(cfg, "arc_trusted has more than %d domains", CONFIG_TRUSTED);
			return false;
		}
		n += (size_t)more;
	}
	return true;
}

/* "ADDRESS" or "ADDRESS@PORT", appended to the others. */
static bool
dns_server(cfg_t *sec, const char *server, struct config_dns *d)
{
	struct slice host = slice_z(server), port = S("53");
	size_t used = strlen(d->servers);
	struct ip ip;
	uint32_t n;

	(void)slice_cut(slice_z(server), '@', &host, &port);
	if (!ip_parse(host, &ip) || !slice_u32(port, &n) || n == 0 || n > 65535) {
		cfg_error(sec, "dns: \"%s\" is no ADDRESS or ADDRESS@PORT", server);
		return false;
	}
	(void)snprintf(&d->servers[used], sizeof d->servers - used, "%s%.*s@%u", used > 0 ? " " : "", SFMT(host), n);
	return true;
}

/* A file, or a DS or DNSKEY record as it stands in one. */
static bool
dns_anchor(cfg_t *sec, const char *anchor, struct config_dns *d)
{
	size_t used = strlen(d->anchors), n = strlen(anchor);

	if (anchor[0] == '/' && n < sizeof d->anchor_files[0] && d->n_anchor_files < CONFIG_DNS_ANCHORS) {
		(void)snprintf(d->anchor_files[d->n_anchor_files++], sizeof d->anchor_files[0], "%s", anchor);
		return true;
	}
	if (anchor[0] == '/' || n == 0 || used + n + 2 > sizeof d->anchors) {
		cfg_error(sec, "dns: trust_anchor is too long, or there are too many");
		return false;
	}
	(void)snprintf(&d->anchors[used], sizeof d->anchors - used, "%s\n", anchor);
	return true;
}

static bool
dns(cfg_t *sec, struct config_dns *d)
{
	uint64_t seconds;

	if (cfg_size(sec, "servers") > CONFIG_DNS_SERVERS) {
		cfg_error(sec, "dns: more than %d servers", CONFIG_DNS_SERVERS);
		return false;
	}
	for (unsigned i = 0; i < cfg_size(sec, "servers"); i++)
		if (!dns_server(sec, cfg_getnstr(sec, "servers", i), d))
			return false;
	for (unsigned i = 0; i < cfg_size(sec, "trust_anchor"); i++)
		if (!dns_anchor(sec, cfg_getnstr(sec, "trust_anchor", i), d))
			return false;
	if (!number(sec, "timeout", 1, 30, &seconds))
		return false;
	d->timeout = (uint32_t)seconds;
	return true;
}

static bool
reports(cfg_t *sec, struct config_reports *r)
{
	struct slice local, domain, from;

	r->dmarc = cfg_getbool(sec, "dmarc") == cfg_true;
	r->tls = cfg_getbool(sec, "tls") == cfg_true;
	if (!text(sec, "from", r->from, sizeof r->from))
		return false;
	from = slice_z(r->from);
	if (from.n > 0 && (!slice_cut(from, '@', &local, &domain) || local.n == 0 || !config_hostname_ok(domain))) {
		cfg_error(sec, "reports: from is \"%s\"; it has to be an address of a domain of yours", r->from);
		return false;
	}
	return true;
}

/* What may stand in an SQL statement and needs no quotes there; also a program's name. */
static bool
plain_name(struct slice s, size_t most)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_alnum(slice_at(s, i)) && slice_at(s, i) != '_')
			return false;
	return s.n > 0 && s.n < most;
}

static bool
file_name(struct slice file, size_t most)
{
	return file.n >= 3 && file.n < most && slice_at(file, 0) == '/' && slice_at(file, file.n - 1) != '/' &&
	    slice_rfind_byte(file, '/') != 0;
}

/* "/DIRECTORY/.s.PGSQL.PORT" or a loopback ADDRESS:PORT. Over TCP a connection is not encrypted, so it stays here. */
static bool
database_server(struct slice where, struct config_watch *w)
{
	static const char name[] = "/.s.PGSQL.";
	bool local = where.n > 0 && slice_at(where, 0) == '/';
	size_t cut = slice_rfind_byte(where, local ? '.' : ':'), slash = slice_rfind_byte(where, '/');
	struct slice host = slice_head(where, cut == SLICE_NONE ? 0 : cut);
	uint32_t port;
	struct ip ip;

	if (host.n == 0 || !slice_u32(slice_from(where, cut + 1), &port) || port == 0 || port > 65535)
		return false;
	w->port = (uint16_t)port;
	if (local) {
		(void)snprintf(w->file, sizeof w->file, "%.*s", SFMT(where));
		return where.n < CONFIG_SOCKET && slash > 0 && slice_starts(slice_from(where, slash), slice_z(name));
	}
	if (slice_at(host, 0) == '[' && slice_at(host, host.n - 1) == ']')
		host = slice_sub(host, 1, host.n - 2);
	(void)snprintf(w->address, sizeof w->address, "%.*s", SFMT(slice_head(host, sizeof w->address - 1)));
	return ip_parse(host, &ip) && (ip.n == 4 ? ip.b[0] == 127 : slice_eq(host, S("::1")));
}

static bool
watched_server(cfg_t *sec, struct config_watch *w)
{
	struct slice user = slice_z(cfg_getstr(sec, "user")), role = slice_z(cfg_getstr(sec, "role"));

	return cfg_getstr(sec, "sqlite")[0] == '\0' &&
	    database_server(slice_z(cfg_getstr(sec, "postgres")), w) &&
	    text(sec, "database", w->database, sizeof w->database) && w->database[0] != '\0' &&
	    text(sec, "user", w->user, sizeof w->user) && user.n > 0 &&
	    text(sec, role.n > 0 ? "role" : "user", w->role, sizeof w->role) &&
	    text(sec, "password", w->password, sizeof w->password) && (w->password[0] == '\0' || w->password[0] == '/');
}

static bool
watched(cfg_t *sec, struct config_drop *d)
{
	struct config_watch *w = &d->watches[d->n_watches];
	struct slice file = slice_z(cfg_getstr(sec, "sqlite")), table = slice_z(cfg_getstr(sec, "table"));
	bool server = cfg_getstr(sec, "postgres")[0] != '\0';

	if (d->n_watches == CONFIG_WATCHES || !plain_name(slice_z(cfg_title(sec)), sizeof w->program) ||
	    !plain_name(table, sizeof w->table) || (server ? !watched_server(sec, w) : !file_name(file, sizeof w->file))) {
		cfg_error(sec, "drop: watch PROGRAM { sqlite = \"/DIRECTORY/FILE\" table = \"NAME\" }, or { postgres ="
		    " \"/DIRECTORY/.s.PGSQL.PORT\" or a loopback address with a port, database, user, role, password, table };"
		    " at most %d; names have letters, digits and _", CONFIG_WATCHES);
		return false;
	}
	(void)snprintf(w->program, sizeof w->program, "%s", cfg_title(sec));
	if (!server)
		(void)snprintf(w->file, sizeof w->file, "%.*s", SFMT(file));
	(void)snprintf(w->table, sizeof w->table, "%.*s", SFMT(table));
	d->n_watches++;
	return true;
}

/* "127.0.0.1:8025", "[::1]:8025" or "/path": never an address that others could reach. */
static bool
drop(cfg_t *sec, struct config_drop *d)
{
	struct slice where = slice_z(cfg_getstr(sec, "http")), host, port;
	size_t colon = slice_rfind_byte(where, ':');
	uint32_t n;
	struct ip ip;

	for (unsigned i = 0; i < cfg_size(sec, "watch"); i++)
		if (!watched(cfg_getnsec(sec, "watch", i), d))
			return false;
	if (where.n < sizeof d->http && (where.n == 0 || slice_at(where, 0) == '/')) {
		(void)snprintf(d->http, sizeof d->http, "%.*s", SFMT(where));
		return true;
	}
	host = colon == SLICE_NONE ? where : slice_head(where, colon);
	port = colon == SLICE_NONE ? S("") : slice_from(where, colon + 1);
	if (host.n > 2 && slice_at(host, 0) == '[' && slice_at(host, host.n - 1) == ']')
		host = slice_sub(host, 1, host.n - 2);
	if (!ip_parse(host, &ip) || (ip.n == 4 ? ip.b[0] != 127 : !slice_eq(host, S("::1"))) || !slice_u32(port, &n) ||
	    n == 0 || n > 65535) {
		cfg_error(sec, "drop: http is \"%.*s\"; it has to be a loopback address with a port (127.0.0.1:8025), or a path",
		    SFMT(slice_head(where, 200)));
		return false;
	}
	(void)snprintf(d->http, sizeof d->http, "%.*s", SFMT(host));
	d->http_port = (uint16_t)n;
	return true;
}

static bool
fetch(cfg_t *sec, struct config *c)
{
	uint64_t port, seconds;
	size_t n = 0;

	if (!text(sec, "roots", c->fetch_roots, sizeof c->fetch_roots) || !number(sec, "port", 1, 65535, &port) ||
	    !number(sec, "timeout", 1, 3600, &seconds))
		return false;
	c->fetch_timeout = (uint32_t)seconds;
	c->fetch_port = (uint16_t)port;
	for (unsigned i = 0; i < cfg_size(sec, "allow"); i++) {
		const char *net = cfg_getnstr(sec, "allow", i);
		struct ip ip;
		unsigned bits;

		if (!ip_net_parse(slice_z(net), &ip, &bits)) {
			cfg_error(sec, "fetch: \"%s\" is no network (ADDRESS/BITS)", net);
			return false;
		}
		if (i >= CONFIG_FETCH_ALLOW || strlen(net) + 2 > sizeof c->fetch_allow - n) {
			cfg_error(sec, "fetch: allow has more than %d networks", CONFIG_FETCH_ALLOW);
			return false;
		}
		n += (size_t)snprintf(&c->fetch_allow[n], sizeof c->fetch_allow - n, "%s%s", n > 0 ? " " : "", net);
	}
	return true;
}

/* The rules: what is said counts, "" is none; a configuration from before there were rules says nothing, and has those
 * that lie beside it, where there are any. */
static bool
filter(cfg_t *cfg, const char *path, struct config *c)
{
	const char *slash = strrchr(path, '/');
	int n;

	c->filter[0] = '\0';
	if (cfg_size(cfg, "filter") > 0)
		return text(cfg, "filter", c->filter, sizeof c->filter);
	n = slash == NULL ? snprintf(c->filter, sizeof c->filter, "filter.rules") :
	    snprintf(c->filter, sizeof c->filter, "%.*s/filter.rules", (int)(slash - path), path);
	if (n < 0 || (size_t)n >= sizeof c->filter || access(c->filter, F_OK) != 0)
		c->filter[0] = '\0';
	return true;
}

static bool
check(cfg_t *cfg, const char *path, struct config *c, struct buf *errors)
{
	if (!text(cfg, "hostname", c->hostname, sizeof c->hostname) ||
	    !text(cfg, "data_dir", c->data_dir, sizeof c->data_dir) ||
	    !text(cfg, "run_dir", c->run_dir, sizeof c->run_dir) ||
	    !text(cfg, "room_dir", c->room_dir, sizeof c->room_dir) ||
	    !text(cfg, "certificate", c->certificate, sizeof c->certificate) ||
	    !text(cfg, "key", c->key, sizeof c->key) ||
	    !filter(cfg, path, c) ||
	    !text(cfg, "postmaster", c->postmaster, sizeof c->postmaster) || !numbers(cfg, c) || !senders(cfg, c))
		return false;
	if (strlen(c->run_dir) > 90) /* the path of a local socket ends at 107 bytes */
		return complain(errors, path, "run_dir is over 90 bytes long", c->run_dir);
	if (c->postmaster[0] != '\0' && strchr(c->postmaster, '@') == NULL)
		return complain(errors, path, "postmaster is no address", c->postmaster);
	if (!config_hostname_ok(slice_z(c->hostname)))
		return complain(errors, path, "hostname is no full host name", c->hostname);
	for (unsigned i = 0; i < cfg_size(cfg, "listen"); i++)
		if (!listener(cfg_getnsec(cfg, "listen", i), c))
			return false;
	if (!config_milters_read(cfg, c))
		return false;
	if (!dns(cfg_getsec(cfg, "dns"), &c->dns) || !reports(cfg_getsec(cfg, "reports"), &c->reports) ||
	    !queue(cfg_getsec(cfg, "queue"), &c->queue) || !drop(cfg_getsec(cfg, "drop"), &c->drop) ||
	    !duration(cfg_getsec(cfg, "events"), "keep", 3600, 315360000, &c->events_keep) ||
	    !config_outbound_read(cfg_getsec(cfg, "outbound"), &c->outbound) || !fetch(cfg_getsec(cfg, "fetch"), c))
		return false;
	if (c->n_listeners == 0)
		return complain(errors, path, "there is no listener; add one", "listen smtp { ... }");
	return true;
}

bool
config_read(const char *path, struct config *out, struct buf *errors)
{
	static cfg_opt_t listen_opts[] = { CFG_STR_LIST("addresses", "{0.0.0.0, ::}", CFGF_NONE),
		CFG_INT("port", 0, CFGF_NONE), CFG_BOOL("dsn", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("enhanced_codes", cfg_false, CFGF_NODEFAULT),
		CFG_BOOL("chunking", cfg_false, CFGF_NODEFAULT), CFG_BOOL("smtputf8", cfg_false, CFGF_NODEFAULT),
		CFG_STR_LIST("proxy_from", "{}", CFGF_NONE), CFG_STR_LIST("xclient_from", "{}", CFGF_NONE),
		CFG_INT("greet_wait", 300, CFGF_NONE), CFG_INT("tarpit", 500, CFGF_NONE), CFG_STR("socket", "", CFGF_NONE),
		CFG_INT("mode", 0660, CFGF_NONE), CFG_STR_LIST("from", "{127.0.0.0/8, \"::1\"}", CFGF_NONE), CFG_END() };
	static cfg_opt_t queue_opts[] = { CFG_STR("retry_first", "5m", CFGF_NONE),
		CFG_STR("retry_most", "1h", CFGF_NONE), CFG_STR("lifetime", "5d", CFGF_NONE),
		CFG_STR("bounce_lifetime", "1d", CFGF_NONE), CFG_STR("warn_after", "4h", CFGF_NONE),
		CFG_INT("high_water", 20000, CFGF_NONE), CFG_INT("concurrency", 20, CFGF_NONE),
		CFG_BOOL("encrypt", cfg_false, CFGF_NONE), CFG_END() };
	static cfg_opt_t reports_opts[] = { CFG_BOOL("dmarc", cfg_true, CFGF_NONE), CFG_BOOL("tls", cfg_true, CFGF_NONE),
		CFG_STR("from", "", CFGF_NONE), CFG_END() };
	static cfg_opt_t dns_opts[] = { CFG_STR_LIST("servers", "{}", CFGF_NONE),
		CFG_STR_LIST("trust_anchor", "{/usr/share/dns/root.key}", CFGF_NONE), CFG_INT("timeout", 5, CFGF_NONE),
		CFG_END() };
	static cfg_opt_t events_opts[] = { CFG_STR("keep", "30d", CFGF_NONE), CFG_END() };
	static cfg_opt_t watch_opts[] = { CFG_STR("sqlite", "", CFGF_NONE), CFG_STR("table", "letters", CFGF_NONE),
		CFG_STR("postgres", "", CFGF_NONE), CFG_STR("database", "", CFGF_NONE), CFG_STR("user", "", CFGF_NONE),
		CFG_STR("role", "", CFGF_NONE), CFG_STR("password", "", CFGF_NONE),
		CFG_END() };
	static cfg_opt_t drop_opts[] = { CFG_STR("http", "", CFGF_NONE),
		CFG_SEC("watch", watch_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES), CFG_END() };
	static cfg_opt_t fetch_opts[] = { CFG_STR("roots", "/etc/ssl/certs/ca-certificates.crt", CFGF_NONE),
		CFG_STR_LIST("allow", "{}", CFGF_NONE), CFG_INT("port", 443, CFGF_NONE),
		CFG_INT("timeout", 600, CFGF_NONE), CFG_END() };
	static cfg_opt_t opts[] = { CFG_STR("hostname", "", CFGF_NONE),
		CFG_STR("data_dir", "/var/lib/postern", CFGF_NONE),
		CFG_STR("run_dir", "/run/postern", CFGF_NONE),
		CFG_STR("room_dir", "/usr/lib/postern", CFGF_NONE),
		CFG_STR("certificate", "/etc/postern/tls/cert.pem", CFGF_NONE),
		CFG_STR("key", "/etc/postern/tls/key.pem", CFGF_NONE), CFG_STR("postmaster", "", CFGF_NONE),
		CFG_STR("filter", "", CFGF_NODEFAULT),
		CFG_INT("uid_base", 200000, CFGF_NONE), CFG_INT("user_range", 10000, CFGF_NONE),
		CFG_INT("message_size", (long)LIMIT_MESSAGE, CFGF_NONE),
		CFG_INT("connections", 10000, CFGF_NONE),
		CFG_INT("connections_per_address", 50, CFGF_NONE),
		CFG_INT("sessions_per_user", (long)LIMIT_SESSIONS_PER_USER, CFGF_NONE),
		CFG_INT("login_failures", 20, CFGF_NONE),
		CFG_BOOL("scram", cfg_true, CFGF_NONE), CFG_BOOL("scram_require_binding", cfg_false, CFGF_NONE),
		CFG_STR("sender_authentication", "enforce", CFGF_NONE),
		CFG_STR_LIST("arc_trusted", "{}", CFGF_NONE),
		CFG_SEC("listen", listen_opts, CFGF_MULTI | CFGF_TITLE), CFG_SEC("dns", dns_opts, CFGF_NONE),
		CFG_SEC("milter", config_milter_opts, CFGF_MULTI | CFGF_TITLE),
		CFG_SEC("queue", queue_opts, CFGF_NONE), CFG_SEC("reports", reports_opts, CFGF_NONE),
		CFG_SEC("outbound", config_outbound_opts, CFGF_NONE),
		CFG_SEC("fetch", fetch_opts, CFGF_NONE), CFG_SEC("drop", drop_opts, CFGF_NONE), CFG_SEC("events", events_opts, CFGF_NONE), CFG_END() };
	static struct config c;
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	bool ok = false;
	int st;

	if (cfg == NULL)
		return complain(errors, path, "out of memory", "");
	memset(&c, 0, sizeof c);
	collected = errors;
	(void)cfg_set_error_function(cfg, on_error);
	st = cfg_parse(cfg, path);
	if (st == CFG_FILE_ERROR)
		(void)complain(errors, path, "cannot be read", strerror(errno));
	else if (st == CFG_SUCCESS)
		ok = check(cfg, path, &c, errors);
	(void)cfg_free(cfg);
	collected = NULL;
	if (ok)
		*out = c;
	return ok;
}
