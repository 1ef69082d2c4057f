/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/config/config.h"

static bool
read_text(const char *text, struct config *c, struct buf *errors)
{
	char path[] = "/tmp/postern-config-XXXXXX";
	int fd = mkstemp(path);
	bool ok;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	ok = config_read(path, c, errors);
	(void)unlink(path);
	return ok;
}

static void
a_good_file(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_true(read_text("hostname = mail.example.org\nmessage_size = 1000000\n"
			      "listen smtp { port = 25 }\n"
			      "listen imaps { addresses = {127.0.0.1} port = 993 }\n",
	    &c, &errors));
	assert_int_equal(errors.n, 0);
	assert_string_equal(c.hostname, "mail.example.org");
	assert_int_equal(c.message_size, 1000000);
	assert_int_equal(c.n_listeners, 3); /* smtp on IPv4 and IPv6 */
	assert_string_equal(c.listeners[2].name, "imaps");
	assert_int_equal(c.listeners[2].port, 993);
	assert_int_equal(c.uid_base, 200000);
	assert_true(c.queue.retry_first == 300 && c.queue.retry_most == 3600 && c.queue.lifetime == 432000);
	assert_int_equal(c.events_keep, 30 * 86400);
	assert_true(c.queue.bounce_lifetime == 86400 && c.queue.warn_after == 14400);
	assert_string_equal(c.dns.servers, "");
	assert_int_equal(c.dns.timeout, 5);
	assert_int_equal(c.dns.n_anchor_files, 1);
	assert_string_equal(c.dns.anchor_files[0], "/usr/share/dns/root.key");
	assert_int_equal(c.sender_authentication, CONFIG_SENDER_ENFORCE);
	assert_string_equal(c.arc_trusted, "");
	assert_true(c.scram && !c.scram_require_binding);
	assert_true(read_text("hostname = mail.example.org\nsender_authentication = mark\n"
			      "arc_trusted = {lists.example.org, forward.example}\nlisten smtp { port = 25 }\n",
	    &c, &errors));
	assert_string_equal(config_sender_word(c.sender_authentication), "mark");
	assert_string_equal(c.arc_trusted, "lists.example.org,forward.example");
	assert_true(read_text("hostname = mail.example.org\nscram = no\nscram_require_binding = yes\n"
			      "listen smtp { port = 25 }\n",
	    &c, &errors));
	assert_true(!c.scram && c.scram_require_binding);
}

static void
dns_of_ones_own(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\n"
			      "dns { servers = {127.0.0.1@5353, \"::1\"} timeout = 2 trust_anchor = {\"test. DS 1 8 2 00\", "
			      "/etc/a.key} }\n",
	    &c, &errors));
	assert_string_equal(c.dns.servers, "127.0.0.1@5353 ::1@53");
	assert_string_equal(c.dns.anchors, "test. DS 1 8 2 00\n");
	assert_int_equal(c.dns.n_anchor_files, 1);
	assert_string_equal(c.dns.anchor_files[0], "/etc/a.key");
	assert_int_equal(c.dns.timeout, 2);
}

static void
switches_of_listeners(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 smtputf8 = no "
			      "proxy_from = {192.0.2.0/24, \"::1\"} greet_wait = 0 }\n"
			      "listen submission { port = 587 xclient_from = {127.0.0.1} }\n",
	    &c, &errors));
	assert_int_equal(c.n_services, 2);
	assert_true(!c.services[0].dsn && c.services[0].enhanced_codes && c.services[0].chunking &&
	    !c.services[0].smtputf8);
	assert_string_equal(c.services[0].proxy_from, "192.0.2.0/24 ::1");
	assert_int_equal(c.services[0].greet_wait_ms, 0);
	assert_true(c.services[1].dsn && c.services[1].smtputf8);
	assert_string_equal(c.services[1].xclient_from, "127.0.0.1");
	assert_int_equal(c.services[1].tarpit_ms, 500);
	assert_false(read_text("hostname = mail.example.org\nlisten smtp { port = 25 proxy_from = {192.0.2.1/24} }\n",
	    &c, &errors));
}

static void
local_programs(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\n", &c, &errors));
	assert_true(c.drop.http[0] == '\0' && c.drop.n_watches == 0);
	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\ndrop { http = \"[::1]:8025\"\n"
			      "watch shop { sqlite = \"/var/lib/shop/out.db\" } }\n", &c, &errors));
	assert_true(strcmp(c.drop.http, "::1") == 0 && c.drop.http_port == 8025 && c.drop.n_watches == 1);
	assert_string_equal(c.drop.watches[0].table, "letters");
	assert_true(c.drop.watches[0].database[0] == '\0' && c.drop.watches[0].port == 0);
	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\ndrop {\n"
			      "watch a { postgres = \"/run/postgresql/.s.PGSQL.5433\" database = shop user = shop }\n"
			      "watch b { postgres = \"[::1]:5432\" database = d user = \"33\" role = r password = \"/p\" } }\n",
	    &c, &errors));
	assert_true(c.drop.n_watches == 2 && c.drop.watches[0].port == 5433 && c.drop.watches[1].port == 5432);
	assert_string_equal(c.drop.watches[0].file, "/run/postgresql/.s.PGSQL.5433");
	assert_string_equal(c.drop.watches[0].role, "shop");
	assert_true(strcmp(c.drop.watches[1].address, "::1") == 0 && c.drop.watches[1].file[0] == '\0');
	assert_true(strcmp(c.drop.watches[1].role, "r") == 0 && strcmp(c.drop.watches[1].password, "/p") == 0);
	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\ndrop { http = \"/run/x/mail\" }\n", &c,
	    &errors));
	assert_true(strcmp(c.drop.http, "/run/x/mail") == 0 && c.drop.http_port == 0);
}

static void
lmtp_listens_close_by(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_true(read_text("hostname = mail.example.org\nlisten lmtp { port = 24 }\n", &c, &errors));
	assert_int_equal(c.n_listeners, 2);
	assert_true(strcmp(c.listeners[0].address, "127.0.0.1") == 0 && strcmp(c.listeners[1].address, "::1") == 0);
	assert_string_equal(c.services[0].from, "127.0.0.0/8 ::1");
	assert_true(c.services[0].greet_wait_ms == 0 && c.services[0].tarpit_ms == 0);
	assert_true(read_text("hostname = mail.example.org\nlisten lmtp { socket = \"/run/x/lmtp\" mode = 0600 }\n", &c, &errors));
	assert_int_equal(c.n_listeners, 1);
	assert_true(strcmp(c.listeners[0].address, "/run/x/lmtp") == 0 && c.listeners[0].port == 0);
	assert_int_equal(c.listeners[0].mode, 0600);
	assert_true(read_text("hostname = mail.example.org\nlisten lmtp { socket = \"/run/x/lmtp\" port = 24 "
			      "addresses = {192.0.2.1} from = {192.0.2.0/24} }\n", &c, &errors));
	assert_int_equal(c.n_listeners, 2);
	assert_true(strcmp(c.listeners[1].address, "192.0.2.1") == 0 && c.listeners[1].port == 24);
	assert_false(read_text("hostname = mail.example.org\nlisten lmtp { socket = run }\n", &c, &errors));
}

static void
milters(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\n"
			      "milter a { socket = \"inet:127.0.0.1:8891\" }\n"
			      "milter b { socket = \"unix:/run/x/s\" on_failure = accept timeout = 5 outgoing = false }\n"
			      "milter c { socket = \"inet:[::1]:1\" }\n", &c, &errors));
	assert_int_equal(c.n_milters, 3);
	assert_true(strcmp(c.milters[0].address, "127.0.0.1") == 0 && c.milters[0].port == 8891 && !c.milters[0].accept);
	assert_true(c.milters[0].timeout == 30 && c.milters[0].incoming && c.milters[0].outgoing);
	assert_true(strcmp(c.milters[1].path, "/run/x/s") == 0 && c.milters[1].accept && !c.milters[1].outgoing);
	assert_string_equal(c.milters[2].address, "::1");
	assert_false(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\nmilter a { }\n", &c, &errors));
	assert_false(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\n"
			       "milter a { socket = \"inet:localhost:1\" }\n", &c, &errors));
	assert_false(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\n"
			       "milter a { socket = \"inet:127.0.0.1:1\" on_failure = reject }\n", &c, &errors));
}

static void
bad_files_say_what_and_where(void **state)
{
	static const struct {
		const char *text, *says;
	} table[] = {
		{ "hostname = mail\nlisten smtp { port = 25 }\n", "no full host name" },
		{ "hostname = mail.example.org\n", "no listener" },
		{ "hostname = mail.example.org\ndrop { http = \"0.0.0.0:8025\" }\nlisten smtp { port = 25 }\n", "loopback" },
		{ "hostname = mail.example.org\ndrop { http = \"[::]:8025\" }\nlisten smtp { port = 25 }\n", "loopback" },
		{ "hostname = mail.example.org\ndrop { http = \"127.0.0.1\" }\nlisten smtp { port = 25 }\n", "loopback" },
		{ "hostname = mail.example.org\ndrop { watch shop { sqlite = \"outbox.db\" } }\nlisten smtp { port = 25 }\n", "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch shop { sqlite = \"/a/b\" table = \"a b\" } }\nlisten smtp { port = 25 }\n", "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"192.0.2.1:5432\" database = d user = u } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"127.0.0.1\" database = d user = u } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"/run/postgresql\" database = d user = u } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"/.s.PGSQL.5432\" database = d user = u } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"127.0.0.1:70000\" database = d user = u } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"127.0.0.1:5432\" user = u } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"127.0.0.1:5432\" database = d } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"127.0.0.1:5432\" database = d user = u table = \"x\\\"y\" } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"127.0.0.1:5432\" sqlite = \"/a/b\" database = d user = u } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { postgres = \"127.0.0.1:5432\" database = d user = u password = p } }\nlisten smtp { port = 25 }\n",
		    "watch PROGRAM" },
		{ "hostname = mail.example.org\ndrop { watch a { sqlite = \"/a/b\" } watch a { sqlite = \"/a/c\" } }\nlisten smtp { port = 25 }\n", "duplicate title" },
		{ "hostname = mail.example.org\nlisten smtp { port = 70000 }\n", "between 1 and 65535" },
		{ "hostname = mail.example.org\ndns { servers = {resolver.example} }\nlisten smtp { port = 25 }\n",
		    "no ADDRESS or ADDRESS@PORT" },
		{ "hostname = mail.example.org\ndns { timeout = 0 }\nlisten smtp { port = 25 }\n", "between 1 and 30" },
		{ "hostname = mail.example.org\nfetch { allow = {example.org} }\nlisten smtp { port = 25 }\n", "is no network" },
		{ "hostname = mail.example.org\nlisten gopher { port = 70 }\n", "no such listener" },
		{ "hostname = mail.example.org\nlisten smtp { port = 25 addresses = {here} }\n",
		    "no IP address" },
		{ "hostname = mail.example.org\ncolour = blue\n", ":2: " },
		{ "hostname = mail.example.org\nqueue { lifetime = \"5 days\" }\nlisten smtp { port = 25 }\n",
		    "lifetime is \"5 days\"" },
		{ "hostname = mail.example.org\nqueue { retry_first = 10s warn_after = 1s }\nlisten smtp { port = 25 }\n",
		    "warn_after is \"1s\"" },
		{ "hostname = mail.example.org\nreports { from = \"nobody\" }\nlisten smtp { port = 25 }\n",
		    "an address of a domain of yours" },
		{ "hostname = mail.example.org\nmessage_size = 5\nlisten smtp { port = 25 }\n",
		    "message_size is 5" },
		{ "hostname = mail.example.org\nsender_authentication = yes\nlisten smtp { port = 25 }\n",
		    "off, mark or enforce" },
		{ "hostname = mail.example.org\narc_trusted = {\"a b\"}\nlisten smtp { port = 25 }\n",
		    "is no domain" },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(buf_t) errors = { .max = 4096 };
		static struct config c;

		c.uid_base = 7;

		assert_false(read_text(table[i].text, &c, &errors));
		assert_int_equal(c.uid_base, 7); /* untouched */
		if (slice_find(buf_slice(&errors), slice_z(table[i].says)) == SLICE_NONE)
			fail_msg("\"%s\" not in \"%.*s\"", table[i].says, SFMT(buf_slice(&errors)));
	}
}

static void
a_missing_file(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_false(config_read("/nonexistent/postern.conf", &c, &errors));
	assert_true(slice_find(buf_slice(&errors), S("No such file")) != SLICE_NONE);
}

static void
host_names(void **state)
{
	assert_true(config_hostname_ok(S("mail.example.org")) && config_hostname_ok(S("a.b")));
	assert_false(config_hostname_ok(S("")) || config_hostname_ok(S("mail")) ||
	    config_hostname_ok(S("-a.b")) || config_hostname_ok(S("a..b")) ||
	    config_hostname_ok(S("a_b.c")) || config_hostname_ok(S("a.b.")));
}

static void
outbound(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;

	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\n", &c, &errors));
	assert_int_equal(c.outbound.port, 25);
	assert_string_equal(c.outbound.ip, "both");
	assert_string_equal(c.outbound.sources, "");
	assert_int_equal(c.outbound.n_relays, 0);
	assert_true(read_text("hostname = mail.example.org\nlisten smtp { port = 25 }\noutbound {\n"
			      "addresses = {192.0.2.1, \"2001:db8::1\"} allow = {127.0.0.0/8, 10.1.2.3} idle = 0\n"
			      "source a.example { addresses = {192.0.2.2} }\n"
			      "relay up { host = smtp.up.example credentials = /x senders = {a.example, b@c.example}"
			      " accounts = {3, 7} after = 2 per_hour = 50 }\n"
			      "route store.example { to = lmtp:[127.0.0.1]:24 }\n"
			      "route local.example { to = lmtp:unix:/run/dovecot/lmtp }\n}\n",
	    &c, &errors));
	assert_string_equal(c.outbound.sources, "192.0.2.1 2001:db8::1 a.example=192.0.2.2");
	assert_string_equal(c.outbound.allow, "127.0.0.0/8 10.1.2.3");
	assert_string_equal(c.outbound.relays[0], "up smtp.up.example 587 starttls 2 50 a.example,b@c.example 3,7");
	assert_string_equal(c.outbound.credentials[0], "/x");
	assert_string_equal(c.outbound.routes[0], "store.example lmtp [127.0.0.1] 24");
	assert_string_equal(c.outbound.routes[1], "local.example lmtp unix:/run/dovecot/lmtp 0");
	assert_true(c.outbound.route_paths[0][0] == '\0' && strcmp(c.outbound.route_paths[1], "/run/dovecot/lmtp") == 0);
	assert_int_equal(errors.n, 0);
}

static void
outbound_mistakes(void **state)
{
	static const char *const wrong[] = { "port = 0", "ip = ipv5", "allow = {10.0.0.0/33}", "addresses = {mail.example}",
		"helo = localhost", "reply_timeout = 0", "relay up { host = x }", "relay up { host = a.example tls = maybe }",
		"relay up { host = a.example tls = none credentials = /x }", "relay \"a b\" { host = a.example }",
		"relay up { host = a.example accounts = {0} }", "relay up { host = a.example senders = {\"a b\"} }",
		"route x.example { to = \"lmtp:unix:run/lmtp\" }", "route x.example { to = \"lmtp:unix:/a b\" }",
		"route x.example { to = \"smtp:unix:/run/smtp\" }", "route x.example { to = \"lmtp:unix:\" }",
		"route x.example { to = \"\" }", "route x.example { to = lmtp:a.example }",
		"route x.example { to = http:a.example:80 }", "route localhost { to = smtp:a.example:25 }" };

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		own(buf_t) errors = { .max = 4096 };
		static struct config c;
		char text[512];

		(void)snprintf(text, sizeof text, "hostname = mail.example.org\nlisten smtp { port = 25 }\noutbound { %s }\n",
		    wrong[i]);
		assert_false(read_text(text, &c, &errors));
		assert_true(errors.n > 0);
	}
}

static void
write_file(const char *dir, const char *name, const char *content)
{
	char path[100];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_true(f != NULL && fputs(content, f) >= 0 && fclose(f) == 0);
}

/* A configuration from before there were rules has those that lie beside it; what is said counts. */
static void
rules_of_an_older_file(void **state)
{
	own(buf_t) errors = { .max = 4096 };
	static struct config c;
	char dir[] = "/tmp/postern-config-XXXXXX", conf[100], rules[100];

	assert_non_null(mkdtemp(dir));
	(void)snprintf(conf, sizeof conf, "%s/postern.conf", dir);
	(void)snprintf(rules, sizeof rules, "%s/filter.rules", dir);
	write_file(dir, "postern.conf", "hostname = mail.example.org\nlisten smtp { port = 25 }\n");
	assert_true(config_read(conf, &c, &errors));
	assert_string_equal(c.filter, "");
	write_file(dir, "filter.rules", "");
	assert_true(config_read(conf, &c, &errors));
	assert_string_equal(c.filter, rules);
	write_file(dir, "postern.conf", "hostname = mail.example.org\nfilter = \"\"\nlisten smtp { port = 25 }\n");
	assert_true(config_read(conf, &c, &errors));
	assert_string_equal(c.filter, "");
	write_file(dir, "postern.conf", "hostname = mail.example.org\nfilter = \"/x/y\"\nlisten smtp { port = 25 }\n");
	assert_true(config_read(conf, &c, &errors));
	assert_string_equal(c.filter, "/x/y");
	assert_true(unlink(conf) == 0 && unlink(rules) == 0 && rmdir(dir) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_good_file),
		cmocka_unit_test(dns_of_ones_own),
		cmocka_unit_test(bad_files_say_what_and_where), cmocka_unit_test(a_missing_file),
		cmocka_unit_test(host_names),
		cmocka_unit_test(outbound), cmocka_unit_test(switches_of_listeners), cmocka_unit_test(local_programs),
		cmocka_unit_test(lmtp_listens_close_by), cmocka_unit_test(milters),
		cmocka_unit_test(outbound_mistakes),
		cmocka_unit_test(rules_of_an_older_file) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
