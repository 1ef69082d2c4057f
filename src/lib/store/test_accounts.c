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
on_domain(void *ctx, struct slice name, uint64_t created)
{
	say(ctx, name);
	return created == by.now;
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
		S_INIT("\xc3\xbc.de"), S_INIT("a.b-") };
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
	assert_int_equal(accounts_resolve(a, S("Alice@example.test"), &r), STORE_OK);
	assert_true(r.n == 1 && r.id[0] == alice && r.local_domain);
	assert_int_equal(accounts_resolve(a, S("ALL@example.test"), &r), STORE_OK);
	assert_true(r.n == 2 && r.id[0] != r.id[1]);
	assert_int_equal(accounts_resolve(a, S("alice+lists@example.test"), &r), STORE_OK);
	assert_true(r.n == 1 && r.id[0] == alice);
	assert_int_equal(accounts_resolve(a, S("team+x+y@example.test"), &r), STORE_OK);
	assert_int_equal(r.n, 2);
	assert_int_equal(accounts_resolve(a, S("+x@example.test"), &r), STORE_NONE);
	assert_int_equal(accounts_resolve(a, S("Postmaster"), &r), STORE_OK);
	assert_true(r.n == 1 && r.id[0] == alice);
	assert_int_equal(accounts_resolve(a, S("nobody@example.test"), &r), STORE_NONE);
	assert_true(r.local_domain && r.n == 0);
	assert_int_equal(accounts_resolve(a, S("alice@far.test"), &r), STORE_NONE);
	assert_false(r.local_domain);
	assert_int_equal(accounts_resolve(a, S("\xff@@\0"), &r), STORE_NONE);
	assert_int_equal(account_set_state(a, S("alice@example.test"), ACCOUNT_DISABLED, by), 0);
	assert_int_equal(accounts_resolve(a, S("alice@example.test"), &r), STORE_REFUSED);
	assert_int_equal(accounts_resolve(a, S("team@example.test"), &r), STORE_OK);
	assert_int_equal(r.n, 1);
	/* a ring of aliases and a chain of ten end, they do not hang */
	assert_int_equal(alias_add(a, S("r1@example.test"), S("bob@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("r2@example.test"), S("r1@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(a, S("r1@example.test"), S("r2@example.test"), by), STORE_OK);
	assert_int_equal(accounts_resolve(a, S("r1@example.test"), &r), STORE_LIMIT);
	assert_int_equal(alias_delete(a, S("r1@example.test"), S("r2@example.test"), by), STORE_OK);
	assert_int_equal(alias_delete(a, S("r1@example.test"), S("r2@example.test"), by), STORE_NONE);
	assert_int_equal(alias_delete(a, S("team@example.test"), S(""), by), STORE_OK);
	for (unsigned i = 0; i <= ACCOUNTS_TARGETS; i++) {
		(void)snprintf(name, sizeof name, "u%u@example.test", i);
		assert_int_equal(account_add(a, slice_z(name), S(""), by, &bob), STORE_OK);
		assert_int_equal(alias_add(a, S("many@example.test"), slice_z(name), by),
		    i < ACCOUNTS_TARGETS ? STORE_OK : STORE_LIMIT);
	}
	assert_int_equal(accounts_resolve(a, S("many@example.test"), &r), STORE_OK);
	assert_int_equal(r.n, ACCOUNTS_TARGETS);
	assert_int_equal(account_delete(a, S("bob@example.test"), by, NULL), STORE_OK);
	assert_int_equal(alias_list(a, S("postmaster@example.test"), S(""), on_alias, &l), STORE_OK);
	assert_string_equal(l.text, "postmaster@example.test;alice@example.test;"
	    "r2@example.test;r1@example.test;");
	accounts_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh_dir, drop_dir)
		T(domains), T(people), T(resolving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
