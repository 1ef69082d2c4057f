/* SPDX-License-Identifier: MIT */
#include "lib/config/milter.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/chars.h"
#include "lib/base/ip.h"

cfg_opt_t config_milter_opts[] = { CFG_STR("socket", "", CFGF_NONE), CFG_INT("timeout", 30, CFGF_NONE),
	CFG_STR("on_failure", "tempfail", CFGF_NONE), CFG_BOOL("incoming", cfg_true, CFGF_NONE),
	CFG_BOOL("outgoing", cfg_true, CFGF_NONE), CFG_END() };

static bool
wrong(cfg_t *sec, const char *what, const char *value)
{
	cfg_error(sec, "milter %s: %s: \"%s\"", cfg_title(sec), what, value);
	return false;
}

/* "inet:192.0.2.1:8891", "inet:[2001:db8::1]:8891" or "unix:/path". */
static bool
socket_of(cfg_t *sec, struct config_milter *m)
{
	const char *said = cfg_getstr(sec, "socket");
	struct slice s = slice_z(said), address;
	size_t colon;
	uint32_t port;
	struct ip ip;

	if (slice_starts(s, S("unix:/")) && s.n - 5 < sizeof m->path) {
		(void)snprintf(m->path, sizeof m->path, "%.*s", SFMT(slice_from(s, 5)));
		return true;
	}
	colon = slice_rfind_byte(s, ':');
	if (!slice_starts(s, S("inet:")) || colon < 5 || !slice_u32(slice_from(s, colon + 1), &port) || port == 0 ||
	    port > 65535)
		return wrong(sec, "socket has to be inet:ADDRESS:PORT or unix:/PATH", said);
	address = slice_sub(s, 5, colon - 5);
	if (address.n > 2 && slice_at(address, 0) == '[' && slice_at(address, address.n - 1) == ']')
		address = slice_sub(address, 1, address.n - 2);
	if (!ip_parse(address, &ip) || address.n >= sizeof m->address)
		return wrong(sec, "socket has to be inet:ADDRESS:PORT or unix:/PATH", said);
	(void)snprintf(m->address, sizeof m->address, "%.*s", SFMT(address));
	m->port = (uint16_t)port;
	return true;
}

static bool
name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ch_is_alnum(slice_at(name, i)) && slice_at(name, i) != '-' && slice_at(name, i) != '_')
			return false;
	return name.n > 0 && name.n < sizeof ((struct config_milter *)NULL)->name;
}

static bool
milter(cfg_t *sec, struct config_milter *m)
{
	const char *failure = cfg_getstr(sec, "on_failure");
	long timeout = cfg_getint(sec, "timeout");

	if (!name_ok(slice_z(cfg_title(sec))))
		return wrong(sec, "a name has letters, digits, - and _, at most 31", cfg_title(sec));
	if (strcmp(failure, "tempfail") != 0 && strcmp(failure, "accept") != 0)
		return wrong(sec, "on_failure can be tempfail or accept", failure);
	if (timeout < 1 || timeout > 200) {
		cfg_error(sec, "timeout is %ld; it has to be between 1 and 200 seconds", timeout);
		return false;
	}
	(void)snprintf(m->name, sizeof m->name, "%s", cfg_title(sec));
	m->timeout = (uint32_t)timeout;
	m->accept = strcmp(failure, "accept") == 0;
	m->incoming = cfg_getbool(sec, "incoming") == cfg_true;
	m->outgoing = cfg_getbool(sec, "outgoing") == cfg_true;
	return socket_of(sec, m);
}

bool
config_milters_read(cfg_t *cfg, struct config *out)
{
	for (unsigned i = 0; i < cfg_size(cfg, "milter"); i++) {
		cfg_t *sec = cfg_getnsec(cfg, "milter", i);

		if (i == CONFIG_MILTERS)
			return wrong(sec, "there are more than 8 milters", cfg_title(sec));
		if (!milter(sec, &out->milters[i]))
			return false;
		out->n_milters++;
	}
	return true;
}
