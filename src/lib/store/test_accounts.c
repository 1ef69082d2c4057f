/* SPDX-License-Identifier: MIT */
#include "lib/store/test_help.h"

#include "lib/store/accounts.h"

static const struct account_change by = { .now = 1700000000000000, .by = S_INIT("test") };

static struct accounts *
open_accounts(void)
{
	struct accounts *a = NULL;

	assert_int_equal(accounts_open(in_dir("accounts.db"), &a), STORE_OK);
	return a;
}

struct listed {
	char text[512];
	size_t n;
};

static void
say(struct listed *l, struct slice s)
{
	l->n += (size_t)snprintf(&l->text[l->n], sizeof l->text - l->n, "%.*s;", SFMT(s));
}

static bool
on_domain(void *ctx, const struct domain *d)
{
	say(ctx, d->name);
	return d->created == by.now;
}

static bool
on_account(void *ctx, const struct account *acc)
{
	say(ctx, acc->address);
	return true;
}

static bool
on_alias(void *ctx, struct slice address, struct slice target)
{
	say(ctx, address);
	say(ctx, target);
	return true;
}

static bool
on_revision(void *ctx, const struct revision *r)
{
	say(ctx, r->what);
	return slice_eq(r->by, S("test"));
}

static void
domains(void **state)
{
	static const struct slice bad[] = { S_INIT(""), S_INIT("."), S_INIT("a..b"), S_INIT("-a.b"),
		S_INIT("a-.b"), S_INIT("a_b.c"), S_INIT(".a"), S_INIT("a."), S_INIT("a b"),
		S_INIT("\xff.de"), S_INIT("-\xc3\xbc.de"), S_INIT("a.b-") };
	struct accounts *a = open_accounts();
	struct listed l = { 0 };
	uint64_t id;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(domain_add(a, bad[i], by), STORE_REFUSED);
	assert_int_equal(domain_add(a, S("Example.TEST"), by), STORE_OK);
	assert_int_equal(domain_add(a, S("example.test"), by), STORE_EXISTS);
	assert_int_equal(domain_add(a, S("b-2.example"), by), STORE_OK);
	assert_int_equal(domain_known(a, S("EXAMPLE.test")), STORE_OK);
	assert_int_equal(domain_known(a, S("example.tes")), STORE_NONE);
	assert_int_equal(domain_list(a, S(""), on_domain, &l), STORE_OK);
	assert_string_equal(l.text, "b-2.example;example.test;");
	l.n = 0;
	assert_int_equal(domain_list(a, S("b-2.example"), on_domain, &l), STORE_OK);
	assert_string_equal(l.text, "example.test;");
	assert_int_equal(account_add(a, S("x@b-2.example"), S(""), by, &id), STORE_OK);
	assert_int_equal(domain_delete(a, S("b-2.example"), by), STORE_REFUSED);
	assert_int_equal(account_delete(a, S("x@b-2.example"), by, NULL), STORE_OK);
	assert_int_equal(domain_delete(a, S("b-2.example"), by), STORE_OK);
	assert_int_equal(domain_delete(a, S("b-2.example"), by), STORE_NONE);
	accounts_close(&a);
}

static void
people(void **state)
{
	struct accounts *a = open_accounts();
	own(arena_p) ar = arena_new("test", 65536);
	struct listed l = { 0 };
	struct account acc;
	uint64_t alice, bob, id, rev;

	assert_int_equal(domain_add(a, S("example.test"), by), STORE_OK);
	assert_int_equal(account_add(a, S("Alice@Example.test"), S("$h1"), by, &alice), STORE_OK);
	assert_int_equal(account_add(a, S("bob@example.test"), S("$h2"), by, &bob), STORE_OK);
	assert_true(alice == 1 && bob == 2);
	assert_int_equal(account_add(a, S("alice@example.test"), S(""), by, &id), STORE_EXISTS);
	assert_int_equal(account_add(a, S("eve@other.test"), S(""), by, &id), STORE_NONE);
	assert_int_equal(account_add(a, S("a b@example.test"), S(""), by, &id), STORE_REFUSED);
	assert_int_equal(account_add(a, S("@example.test"), S(""), by, &id), STORE_REFUSED);
	assert_int_equal(account_add(a, S("alice"), S(""), by, &id), STORE_REFUSED);
	assert_int_equal(account_find(a, S("ALICE@EXAMPLE.TEST"), ar, &acc), STORE_OK);
	assert_true(slice_eq(acc.address, S("alice@example.test")) && slice_eq(acc.hash, S("$h1")));
	assert_true(acc.state == ACCOUNT_ENABLED && acc.created == by.now && acc.login == 0);
	rev = acc.revision;
	assert_int_equal(account_note_login(a, alice, by.now + 5), STORE_OK);
	assert_int_equal(account_note_login(a, alice, by.now + 6), STORE_OK);
	assert_int_equal(account_set_hash(a, S("alice@example.test"), S("$h3"), by), STORE_OK);
	assert_int_equal(account_by_id(a, alice, ar, &acc), STORE_OK);
	assert_true(slice_eq(acc.hash, S("$h3")) && acc.revision > rev && acc.login == by.now + 5);
	assert_int_equal(account_set_state(a, S("bob@example.test"), ACCOUNT_DISABLED, by), STORE_OK);
	assert_int_equal(account_set_state(a, S("no@example.test"), ACCOUNT_DISABLED, by), STORE_NONE);
	assert_int_equal(account_delete(a, S("bob@example.test"), by, &id), STORE_OK);
	assert_int_equal(id, bob);
	assert_int_equal(account_by_id(a, bob, ar, &acc), STORE_NONE);
	rev = accounts_revision(a);
	accounts_close(&a);
	a = open_accounts();
	assert_int_equal(accounts_revision(a), rev);
	assert_int_equal(account_add(a, S("bob@example.test"), S(""), by, &id), STORE_OK);
	assert_int_equal(id, 3); /* an id is given once */
	assert_int_equal(account_list(a, S(""), on_account, &l), STORE_OK);
	assert_string_equal(l.text, "alice@example.test;bob@example.test;");
	l.n = 0;
	assert_int_equal(revision_list(a, 3, on_revision, &l), STORE_OK);
	assert_string_equal(l.text, "account.add;account.delete;account.state;");
	accounts_close(&a);
}

static void
resolving(void **state)
{
	struct accounts *a = open_accounts();
	own(arena_p) ar = arena_new("test", (size_t)1 << 24);
	struct listed l = { 0 };
	struct resolved r;
	uint64_t alice, bob;
	char name[64];

	assert_int_equal(domain_add(a, S("example.test"), by), STORE_OK);
	assert_int_equal(account_add(a, S("alice@example.test"), S(""), by, &alice), STORE_OK);
	assert_int_equal(account_add(a, S("bob@example.test"), S(""), by, &bob), STORE_OK);
	assert_int_equal(alias_add(a, S("team@example.test"), S("alice@example.test"), by), 0);
	assert_int_equal(alias_add(a, S("team@example.test"), S("Bob@example.test"), by), 0);
	assert_int_equal(alias_add(a, S("team@example.test"), S("bob@example.test"), by),
	    STORE_EXISTS);
	assert_int_equal(alias_add(a, S("all@example.test"), S("team@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("all@example.test"), S("bob@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("postmaster@example.test"), S("alice@example.test"), by), 0);
	assert_int_equal(alias_add(a, S("bob@example.test"), S("alice@example.test"), by),
	    STORE_EXISTS);
	assert_int_equal(alias_add(a, S("x@example.test"), S("nobody@example.test"), by), STORE_NONE);
	assert_int_equal(alias_add(a, S("x@far.test"), S("bob@example.test"), by), STORE_NONE);
	assert_int_equal(alias_add(a, S("x@example.test"), S("x@example.test"), by), STORE_REFUSED);
	assert_int_equal(account_add(a, S("team@example.test"), S(""), by, &bob), STORE_EXISTS);
	assert_int_equal(accounts_resolve(a, S("Alice@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 1 && r.to[0].account == alice && r.local_domain);
	assert_int_equal(accounts_resolve(a, S("ALL@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 2 && r.to[0].account != r.to[1].account);
	assert_int_equal(accounts_resolve(a, S("alice+lists@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 1 && r.to[0].account == alice);
	assert_true(slice_eq(r.to[0].address, S("alice+lists@example.test")));
	assert_int_equal(accounts_resolve(a, S("team+x+y@example.test"), ar, &r), STORE_OK);
	assert_int_equal(r.n, 2);
	assert_int_equal(accounts_resolve(a, S("+x@example.test"), ar, &r), STORE_NONE);
	assert_int_equal(accounts_resolve(a, S("Postmaster"), ar, &r), STORE_OK);
	assert_true(r.n == 1 && r.to[0].account == alice);
	assert_int_equal(accounts_resolve(a, S("nobody@example.test"), ar, &r), STORE_NONE);
	assert_true(r.local_domain && r.n == 0);
	assert_int_equal(accounts_resolve(a, S("alice@far.test"), ar, &r), STORE_NONE);
	assert_false(r.local_domain);
	assert_int_equal(accounts_resolve(a, S("\xff@@\0"), ar, &r), STORE_NONE);
	assert_int_equal(account_set_state(a, S("alice@example.test"), ACCOUNT_DISABLED, by), 0);
	assert_int_equal(accounts_resolve(a, S("alice@example.test"), ar, &r), STORE_REFUSED);
	assert_int_equal(accounts_resolve(a, S("team@example.test"), ar, &r), STORE_OK);
	assert_int_equal(r.n, 1);
	/* a ring of aliases and a chain of ten end, they do not hang */
	assert_int_equal(alias_add(a, S("r1@example.test"), S("bob@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("r2@example.test"), S("r1@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("r1@example.test"), S("r2@example.test"), by), STORE_REFUSED);
	assert_int_equal(alias_add(a, S("r1@example.test"), S("r2+x@example.test"), by), STORE_REFUSED);
	assert_int_equal(alias_delete(a, S("r1@example.test"), S("r2@example.test"), by), STORE_NONE);
	assert_int_equal(alias_delete(a, S("team@example.test"), S(""), by), STORE_OK);
	for (unsigned i = 0; i <= ACCOUNTS_TARGETS; i++) {
		(void)snprintf(name, sizeof name, "u%u@example.test", i);
		assert_int_equal(account_add(a, slice_z(name), S(""), by, &bob), STORE_OK);
		assert_int_equal(alias_add(a, S("many@example.test"), slice_z(name), by),
		    i < ACCOUNTS_TARGETS ? STORE_OK : STORE_LIMIT);
	}
	assert_int_equal(accounts_resolve(a, S("many@example.test"), ar, &r), STORE_OK);
	assert_int_equal(r.n, ACCOUNTS_TARGETS);
	assert_int_equal(account_delete(a, S("bob@example.test"), by, NULL), STORE_OK);
	assert_int_equal(alias_list(a, S("postmaster@example.test"), S(""), on_alias, &l), STORE_OK);
	assert_string_equal(l.text, "postmaster@example.test;alice@example.test;"
	    "r2@example.test;r1@example.test;");
	accounts_close(&a);
}

static struct accounts *
small_world(uint64_t *alice, uint64_t *bob)
{
	struct accounts *a = open_accounts();

	assert_int_equal(domain_add(a, S("example.test"), by), STORE_OK);
	assert_int_equal(domain_add(a, S("example.net"), by), STORE_OK);
	assert_int_equal(account_add(a, S("alice@example.test"), S(""), by, alice), STORE_OK);
	assert_int_equal(account_add(a, S("bob@example.test"), S(""), by, bob), STORE_OK);
	return a;
}

/* Exact before detail before catch-all; a domain alias is the domain itself. */
static void
domains_route(void **state)
{
	own(arena_p) ar = arena_new("test", (size_t)1 << 24);
	uint64_t alice, bob;
	struct accounts *a = small_world(&alice, &bob);
	struct resolved r;
	const struct slice minus = S("-"), none = S(""), letter = S("a");

	assert_int_equal(account_add(a, S("a+b@example.test"), S(""), by, &bob), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("a+b@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 1 && r.to[0].account == bob);
	assert_int_equal(domain_set_catch_all(a, S("example.test"), S("no@example.test"), by), STORE_NONE);
	assert_int_equal(domain_set_catch_all(a, S("far.test"), S("alice@example.test"), by), STORE_NONE);
	assert_int_equal(domain_set_catch_all(a, S("example.test"), S("alice@example.test"), by), 0);
	assert_int_equal(accounts_resolve(a, S("who+ever@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 1 && r.to[0].account == alice && r.to[0].by_catch_all);
	assert_true(slice_eq(r.to[0].address, S("alice@example.test")));
	assert_int_equal(accounts_resolve(a, S("bob+x@example.test"), ar, &r), STORE_OK);
	assert_true(r.to[0].account != alice && !r.to[0].by_catch_all);
	/* a catch-all is who gets it, not who may write as it (U-009) */
	assert_int_equal(accounts_owns(a, alice, S("who@example.test")), STORE_NONE);
	assert_int_equal(accounts_owns(a, alice, S("alice+x@example.test")), STORE_OK);
	assert_int_equal(domain_set_catch_all(a, S("example.test"), S(""), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("who@example.test"), ar, &r), STORE_NONE);

	assert_int_equal(domain_set_separator(a, S("example.test"), &letter, by), STORE_REFUSED);
	assert_int_equal(domain_set_separator(a, S("example.test"), &minus, by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("bob-x@example.test"), ar, &r), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("bob+x@example.test"), ar, &r), STORE_NONE);
	assert_int_equal(domain_set_separator(a, S("example.test"), NULL, by), STORE_OK);
	assert_int_equal(domain_set_separator(a, S(""), &none, by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("bob+x@example.test"), ar, &r), STORE_NONE);
	assert_int_equal(domain_set_separator(a, S(""), NULL, by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("bob+x@example.test"), ar, &r), STORE_OK);

	assert_int_equal(domain_set_alias(a, S("example.test"), S("example.net"), by), STORE_REFUSED);
	assert_int_equal(domain_set_alias(a, S("example.net"), S("far.test"), by), STORE_NONE);
	assert_int_equal(domain_set_alias(a, S("example.net"), S("example.test"), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("Bob+x@Example.NET"), ar, &r), STORE_OK);
	assert_true(slice_eq(r.to[0].address, S("bob+x@example.test")));
	assert_true(slice_eq(r.domain, S("example.test")));
	assert_int_equal(accounts_resolve(a, S("no@example.net"), ar, &r), STORE_NONE);
	assert_true(r.local_domain);
	assert_int_equal(accounts_owns(a, alice, S("alice@example.net")), STORE_OK);
	assert_int_equal(domain_delete(a, S("example.test"), by), STORE_REFUSED);
	assert_int_equal(domain_set_alias(a, S("example.net"), S(""), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("bob@example.net"), ar, &r), STORE_NONE);
	accounts_close(&a);
}

/* O-001: a ring that nobody could see when its parts were added ends where it began. */
static void
rings(void **state)
{
	own(arena_p) ar = arena_new("test", (size_t)1 << 24);
	uint64_t alice, bob;
	struct accounts *a = small_world(&alice, &bob);
	struct resolved r;
	char name[2][64];

	assert_int_equal(alias_add(a, S("x@example.test"), S("x@later.test"), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("x@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 1 && r.to[0].account == 0 && slice_eq(r.to[0].address, S("x@later.test")));
	assert_int_equal(domain_add(a, S("later.test"), by), STORE_OK);
	assert_int_equal(domain_set_alias(a, S("later.test"), S("example.test"), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("x@example.test"), ar, &r), STORE_LIMIT);
	assert_int_equal(r.n, 0);
	assert_int_equal(alias_add(a, S("x@example.test"), S("alice@example.test"), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("x@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 1 && r.to[0].account == alice);
	/* a catch-all through which an alias comes back */
	assert_int_equal(alias_add(a, S("y@example.test"), S("alice@example.test"), by), STORE_OK);
	assert_int_equal(domain_set_catch_all(a, S("example.net"), S("y@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("y@example.test"), S("any@example.net"), by), STORE_REFUSED);
	/* nine levels are too deep, and every alias that fans out costs one step */
	(void)snprintf(name[0], 64, "alice@example.test");
	for (unsigned i = 1; i <= ACCOUNTS_DEPTH + 1; i++) {
		(void)snprintf(name[i % 2], 64, "d%u@example.test", i);
		assert_int_equal(alias_add(a, slice_z(name[i % 2]), slice_z(name[(i + 1) % 2]), by),
		    i <= ACCOUNTS_DEPTH ? STORE_OK : STORE_LIMIT);
	}
	assert_int_equal(accounts_resolve(a, S("d8@example.test"), ar, &r), STORE_OK);
	for (unsigned i = 1; i <= 4; i++)
		for (unsigned k = 0; k < 30; k++) {
			(void)snprintf(name[0], 64, "f%u.%u@example.test", i, k);
			for (unsigned m = 0; m < 5; m++) {
				(void)snprintf(name[1], 64, "f%u.%u@example.test", i - 1, (k * 5 + m) % 30);
				(void)alias_add(a, slice_z(name[0]), i == 1 ? S("alice@example.test") :
				    slice_z(name[1]), by);
			}
		}
	assert_int_equal(accounts_resolve(a, S("f4.0@example.test"), ar, &r), STORE_OK);
	assert_int_equal(r.n, 1);
	accounts_close(&a);
}

static void
lists(void **state)
{
	own(arena_p) ar = arena_new("test", (size_t)1 << 24);
	uint64_t alice, bob, carol;
	struct accounts *a = small_world(&alice, &bob);
	struct list l = { S("Team@example.test"), S("alice@example.test"), LIST_MEMBERS };
	struct resolved r;

	assert_int_equal(account_add(a, S("carol@example.test"), S(""), by, &carol), STORE_OK);
	assert_int_equal(list_add(a, &(struct list){ S("bob@example.test"), l.owner, 1 }, by), STORE_EXISTS);
	assert_int_equal(list_add(a, &(struct list){ l.address, S("no@example.test"), 1 }, by), STORE_NONE);
	assert_int_equal(list_add(a, &(struct list){ l.address, l.owner, 4 }, by), STORE_REFUSED);
	assert_int_equal(list_add(a, &l, by), STORE_OK);
	assert_int_equal(account_add(a, S("team@example.test"), S(""), by, &carol), STORE_EXISTS);
	assert_int_equal(accounts_resolve(a, S("team@example.test"), ar, &r), STORE_NONE);
	assert_int_equal(alias_add(a, S("team@example.test"), S("bob@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("team@example.test"), S("out@far.test"), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("team+x@example.test"), ar, &r), STORE_OK);
	assert_true(r.n == 2 && r.to[0].by_list && slice_eq(r.to[0].address, S("bob@example.test")));
	assert_true(slice_eq(r.list.address, S("team@example.test")) && r.list.writers == LIST_MEMBERS);
	/* who may write: members by their own word from outside, by their login from inside */
	assert_int_equal(accounts_may_write(a, &r.list, S("Out@far.test"), 0), STORE_OK);
	assert_int_equal(accounts_may_write(a, &r.list, S("bob+l@example.test"), 0), STORE_OK);
	assert_int_equal(accounts_may_write(a, &r.list, S("alice@example.test"), 0), STORE_OK);
	assert_int_equal(accounts_may_write(a, &r.list, S("eve@far.test"), 0), STORE_NONE);
	assert_int_equal(accounts_may_write(a, &r.list, S(""), 0), STORE_NONE);
	assert_int_equal(accounts_may_write(a, &r.list, S("bob@example.test"), carol), STORE_NONE);
	assert_int_equal(accounts_may_write(a, &r.list, S("info@example.test"), bob), STORE_OK);
	r.list.writers = LIST_OWNERS;
	assert_int_equal(accounts_may_write(a, &r.list, S("bob@example.test"), bob), STORE_NONE);
	assert_int_equal(accounts_may_write(a, &r.list, S("alice@example.test"), alice), STORE_OK);
	r.list.writers = LIST_ANYONE;
	assert_int_equal(accounts_may_write(a, &r.list, S("eve@far.test"), 0), STORE_OK);
	assert_int_equal(accounts_may_write(a, &r.list, S(""), 0), STORE_NONE);
	/* a member does not own the list's address */
	assert_int_equal(accounts_owns(a, bob, S("team@example.test")), STORE_NONE);
	assert_int_equal(list_delete(a, S("team@example.test"), by), STORE_OK);
	assert_int_equal(list_delete(a, S("team@example.test"), by), STORE_NONE);
	assert_int_equal(accounts_resolve(a, S("team@example.test"), ar, &r), STORE_NONE);
	accounts_close(&a);
}

/* U-009..U-012: who owns an address, and what may be granted. */
static void
senders(void **state)
{
	uint64_t alice, bob;
	struct accounts *a = small_world(&alice, &bob);

	assert_int_equal(alias_add(a, S("info@example.test"), S("alice@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("info@example.test"), S("x@far.test"), by), STORE_OK);
	assert_int_equal(accounts_owns(a, alice, S("Info+x@example.test")), STORE_OK);
	assert_int_equal(accounts_owns(a, bob, S("info@example.test")), STORE_NONE);
	assert_int_equal(accounts_owns(a, alice, S("x@far.test")), STORE_NONE);
	assert_int_equal(accounts_owns(a, 0, S("alice@example.test")), STORE_NONE);
	assert_int_equal(accounts_owns(a, alice, S("alice")), STORE_NONE);
	assert_int_equal(accounts_owns(a, alice, S("@example.test")), STORE_NONE);
	assert_int_equal(sender_grant(a, S("bob@example.test"), S("Info@example.test"), by), STORE_OK);
	assert_int_equal(sender_grant(a, S("bob@example.test"), S("info@example.test"), by), STORE_EXISTS);
	assert_int_equal(sender_grant(a, S("eve@example.test"), S("info@example.test"), by), STORE_NONE);
	assert_int_equal(sender_grant(a, S("bob@example.test"), S("info"), by), STORE_REFUSED);
	assert_int_equal(accounts_owns(a, bob, S("info@example.test")), STORE_OK);
	assert_int_equal(accounts_owns(a, bob, S("alice@example.test")), STORE_NONE);
	assert_int_equal(sender_grant(a, S("bob@example.test"), S("@Example.net"), by), STORE_OK);
	assert_int_equal(accounts_owns(a, bob, S("any@example.net")), STORE_OK);
	assert_int_equal(accounts_owns(a, bob, S("any@sub.example.net")), STORE_NONE);
	assert_int_equal(sender_revoke(a, S("bob@example.test"), S("@example.net"), by), STORE_OK);
	assert_int_equal(accounts_owns(a, bob, S("any@example.net")), STORE_NONE);
	accounts_close(&a);
}

static void
limits(void **state)
{
	uint64_t alice, bob;
	struct accounts *a = small_world(&alice, &bob);
	struct limits l;

	assert_int_equal(limits_of(a, S("alice@example.test"), &l), STORE_OK);
	assert_true(l.rcpts == 100 && l.messages == 1000 && l.inbound == 1000);
	assert_int_equal(limits_set(a, S(""), &(struct limits){ 50, LIMITS_UNSET, 0 }, by), STORE_OK);
	assert_int_equal(limits_set(a, S("example.test"), &(struct limits){ -1, 7, -1 }, by), STORE_OK);
	assert_int_equal(limits_set(a, S("Alice@example.test"), &(struct limits){ 9, -1, -1 }, by), 0);
	assert_int_equal(limits_set(a, S("eve@example.test"), &(struct limits){ 9, -1, -1 }, by), STORE_NONE);
	assert_int_equal(limits_set(a, S("far.test"), &(struct limits){ 9, -1, -1 }, by), STORE_NONE);
	assert_int_equal(limits_set(a, S(""), &(struct limits){ -2, 0, 0 }, by), STORE_REFUSED);
	assert_int_equal(limits_of(a, S("alice@example.test"), &l), STORE_OK);
	assert_true(l.rcpts == 9 && l.messages == 7 && l.inbound == 0);
	assert_int_equal(limits_of(a, S("bob@example.test"), &l), STORE_OK);
	assert_true(l.rcpts == 50 && l.messages == 7 && l.inbound == 0);
	assert_int_equal(limits_set(a, S("alice@example.test"), &(struct limits){ -1, -1, -1 }, by), 0);
	assert_int_equal(limits_of(a, S("alice@example.test"), &l), STORE_OK);
	assert_int_equal(l.rcpts, 50);
	accounts_close(&a);
}

static enum sender_policy
rule_for(struct accounts *a, const char *domain)
{
	enum sender_policy p;

	assert_int_equal(policy_of(a, slice_z(domain), &p), STORE_OK);
	return p;
}

static void
rules_for_senders(void **state)
{
	struct accounts *a = open_accounts();

	assert_int_equal(rule_for(a, "news.example.org"), SENDER_POLICY_UNSAID);
	assert_int_equal(policy_set(a, S("Example.ORG"), SENDER_POLICY_REJECT, by), STORE_OK);
	assert_int_equal(policy_set(a, S("news.example.org"), SENDER_POLICY_ACCEPT, by), STORE_OK);
	assert_int_equal(rule_for(a, "example.org"), SENDER_POLICY_REJECT);
	assert_int_equal(rule_for(a, "deep.NEWS.example.org"), SENDER_POLICY_ACCEPT);
	assert_int_equal(rule_for(a, "other.example.org"), SENDER_POLICY_REJECT);
	assert_int_equal(rule_for(a, "org"), SENDER_POLICY_UNSAID);
	assert_int_equal(rule_for(a, "notexample.org"), SENDER_POLICY_UNSAID);
	assert_int_equal(rule_for(a, "no name"), SENDER_POLICY_UNSAID);
	assert_int_equal(policy_set(a, S("no name"), SENDER_POLICY_ACCEPT, by), STORE_REFUSED);
	assert_int_equal(policy_set(a, S("news.example.org"), SENDER_POLICY_UNSAID, by), STORE_OK);
	assert_int_equal(policy_set(a, S("news.example.org"), SENDER_POLICY_UNSAID, by), STORE_NONE);
	assert_int_equal(rule_for(a, "deep.news.example.org"), SENDER_POLICY_REJECT);
	accounts_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh_dir, drop_dir)
		T(domains), T(rules_for_senders), T(people), T(resolving), T(domains_route), T(rings), T(lists), T(senders),
		T(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
