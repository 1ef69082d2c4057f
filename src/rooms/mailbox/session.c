/* SPDX-License-Identifier: MIT */
#include "rooms/mailbox/session.h"

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"

#define SEND_AT ((size_t)16384) /* bytes of replies that are worth a write */

int64_t
session_write_deadline(void)
{
	return (int64_t)clock_mono_ms() + SESSION_WRITE_MS;
}

bool
session_send(struct session *s, bool all)
{
	if (s->out.bad)
		s->lost = true; /* more than LIMIT_IMAP_OUT in one piece: cannot be said */
	if (!s->lost && (all || s->out.n >= SEND_AT)) {
		s->lost = stream_write(&s->io, buf_slice(&s->out), session_write_deadline()) !=
		    STREAM_OK;
		buf_reset(&s->out);
	}
	s->over = s->over || s->lost;
	return !s->lost;
}

void
session_reply(struct session *s, struct slice tag, const char *text)
{
	buf_add(&s->out, tag.n == 0 ? S("*") : tag);
	buf_byte(&s->out, ' ');
	buf_add(&s->out, slice_z(text));
	buf_add(&s->out, S("\r\n"));
}

void
session_store_error(struct session *s, struct slice tag, enum store_err e, const char *none)
{
	switch (e) {
	case STORE_NONE:
		session_reply(s, tag, none);
		return;
	case STORE_EXISTS:
		session_reply(s, tag, "NO [ALREADYEXISTS] There is one already.");
		return;
	case STORE_REFUSED:
		session_reply(s, tag, "NO [CANNOT] That is not possible.");
		return;
	case STORE_LIMIT:
		session_reply(s, tag, "NO [LIMIT] Over a limit.");
		return;
	case STORE_FULL:
		session_reply(s, tag, "NO [OVERQUOTA] No space is left.");
		break;
	default:
		session_reply(s, tag, "NO [UNAVAILABLE] Try again later.");
		break;
	}
	EVENT(EVENT_STORE_ERROR, s->id, S(""), s->account,
	    EF("error", slice_z(store_err_name(e))));
}

void
session_begin(struct session *s, struct slice tag)
{
	PN_ASSERT(tag.n <= sizeof s->tag);
	memcpy(s->tag, tag.p, tag.n);
	s->tag_n = tag.n;
	imapio_init(&s->in, &s->io, LIMIT_IMAP_LINE, UINT32_MAX, true);
	buf_init(&s->out, LIMIT_IMAP_OUT);
	view_init(&s->view);
	s->until_ms = clock_mono_ms() + SESSION_IDLE_MS;
}

void
session_end(struct session *s)
{
	view_free(&s->view);
	imapio_free(&s->in);
	buf_free(&s->out);
	stream_close(&s->io);
}

void
session_unselect(struct session *s)
{
	view_free(&s->view);
}

bool
session_folder(struct session *s, const struct imap_command *c, const struct imap_mailbox *name,
    bool create, struct arena *a, struct mailbox_folder *out)
{
	const char *none = create ? "NO [TRYCREATE] No such mailbox." :
				    "NO [NONEXISTENT] No such mailbox.";
	enum store_err e = STORE_NONE;

	if (name->valid)
		e = mailbox_folder_find(s->store, name->name, a, out);
	if (e == STORE_OK && out->noselect)
		e = STORE_NONE;
	if (e == STORE_OK)
		return true;
	/* a name that could not even be created must not be asked for */
	if (e == STORE_NONE && (!name->valid || !imap_name_valid(name->name)))
		none = "NO [CANNOT] No such mailbox, and there cannot be one.";
	session_store_error(s, c->tag, e, none);
	return false;
}

bool
session_uids(struct session *s, const struct imap_command *c, const struct imap_set *set,
    struct arena *a, struct buf *uids)
{
	buf_init(uids, LIMIT_VIEW);
	if (view_list(&s->view, set, c->uid, a, uids))
		return true;
	session_reply(s, c->tag, "BAD No such message.");
	buf_free(uids);
	return false;
}

/* What a verb needs and what may be said at its end. */
enum { SELECTED = 1, WRITABLE = 2, NO_EXPUNGE = 4, NO_SYNC = 8 };

struct verb {
	session_verb *run;
	unsigned how;
};

static const struct verb verbs[IMAP_VERBS] = {
	[IMAP_CAPABILITY] = { cmd_capability, 0 },
	[IMAP_NOOP] = { cmd_noop, 0 },
	[IMAP_ID] = { cmd_id, 0 },
	[IMAP_ENABLE] = { cmd_enable, 0 },
	[IMAP_NAMESPACE] = { cmd_namespace, 0 },
	[IMAP_SELECT] = { cmd_select, NO_SYNC },
	[IMAP_EXAMINE] = { cmd_select, NO_SYNC },
	[IMAP_CREATE] = { cmd_create, 0 },
	[IMAP_DELETE] = { cmd_delete, 0 },
	[IMAP_RENAME] = { cmd_rename, 0 },
	[IMAP_SUBSCRIBE] = { cmd_subscribe, 0 },
	[IMAP_UNSUBSCRIBE] = { cmd_unsubscribe, 0 },
	[IMAP_LIST] = { cmd_list, 0 },
	[IMAP_LSUB] = { cmd_lsub, 0 },
	[IMAP_STATUS] = { cmd_status, 0 },
	[IMAP_APPEND] = { cmd_append, 0 },
	[IMAP_IDLE] = { cmd_idle, 0 },
	[IMAP_CHECK] = { cmd_noop, SELECTED },
	[IMAP_CLOSE] = { cmd_close, SELECTED | NO_SYNC },
	[IMAP_UNSELECT] = { cmd_unselect, SELECTED | NO_SYNC },
	[IMAP_EXPUNGE] = { cmd_expunge, SELECTED | WRITABLE },
	[IMAP_SEARCH] = { cmd_search, SELECTED | NO_EXPUNGE },
	[IMAP_FETCH] = { cmd_fetch, SELECTED | NO_EXPUNGE },
	[IMAP_STORE] = { cmd_store, SELECTED | WRITABLE | NO_EXPUNGE },
	[IMAP_COPY] = { cmd_copy, SELECTED },
	[IMAP_MOVE] = { cmd_copy, SELECTED | WRITABLE },
};

static void
bad(struct session *s, struct slice tag, const char *text)
{
	session_reply(s, tag, text);
	if (++s->bad < LIMIT_IMAP_BAD)
		return;
	EVENT(EVENT_PROTOCOL_ABUSE, s->id, S(""), s->account, EF("what", S("bad commands")));
	session_reply(s, S(""), "BYE Too many errors.");
	s->over = true;
}

static void
dispatch(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct verb *v = &verbs[c->verb];

	if (c->verb == IMAP_LOGOUT) {
		session_reply(s, S(""), "BYE Logging out.");
		session_reply(s, c->tag, "OK Done.");
		s->over = true;
		return;
	}
	if (v->run == NULL) { /* LOGIN and its like */
		bad(s, c->tag, "BAD You are logged in.");
		return;
	}
	if ((v->how & SELECTED) != 0 && s->view.folder == 0) {
		bad(s, c->tag, "BAD No mailbox is selected.");
		return;
	}
	if ((v->how & WRITABLE) != 0 && s->view.read_only) {
		session_reply(s, c->tag, "NO [READ-ONLY] The mailbox was opened read-only.");
		return;
	}
	v->run(s, c, a);
}

void
session_done(struct session *s, const struct imap_command *c, const char *text)
{
	unsigned how = verbs[c->verb].how;

	if ((how & NO_SYNC) == 0)
		session_sync(s, c->uid || (how & NO_EXPUNGE) == 0);
	session_reply(s, c->tag, text);
}

static void
command(struct session *s, struct slice line)
{
	own(arena_p) a = arena_new("command", LIMIT_ARENA_IMAP);
	struct imap_command c = { .uid = false };
	struct cursor cur = cur_of(line);

	switch (imap_parse(&cur, a, &c)) {
	case IMAP_FINE:
		dispatch(s, &c, a);
		break;
	case IMAP_BAD_TAG:
		bad(s, S(""), "BAD No valid tag.");
		break;
	case IMAP_BAD_VERB:
		bad(s, c.tag, "BAD Unknown command.");
		break;
	case IMAP_BAD_ARGS:
		bad(s, c.tag, "BAD Invalid arguments.");
		break;
	case IMAP_OVER_DEPTH:
		bad(s, c.tag, "BAD Nested too deep.");
		break;
	case IMAP_OVER:
		session_reply(s, c.tag, "NO [LIMIT] More than is allowed at once.");
		break;
	}
}

static void
misframed(struct session *s, enum imapio_status st, struct slice begun)
{
	struct cursor cur = cur_of(begun);
	struct slice tag = S("");

	if (!cur_until(&cur, ' ', &tag) || tag.n > LIMIT_IMAP_TAG)
		tag = S("");
	if (st == IMAPIO_CUT) {
		session_reply(s, tag, "BAD [TOOBIG] Literal is too big.");
		session_reply(s, S(""), "BYE Too big.");
		s->over = true;
	} else if (st == IMAPIO_TOO_LONG) {
		bad(s, tag, "BAD [TOOBIG] Command is too long.");
	} else {
		bad(s, S(""), "BAD Octets that no command has.");
	}
}

/* Waits for one command, or the end of IDLE, and carries it out. False: there is none yet. */
static bool
step(struct session *s)
{
	int64_t deadline = (int64_t)clock_mono_ms() + (s->idling ? 0 : SESSION_LINGER_MS);
	struct slice line = S("");
	enum imapio_status st = imapio_read(&s->in, deadline, &line);

	switch (st) {
	case IMAPIO_TIMEOUT:
		return false;
	case IMAPIO_GONE:
		s->over = true;
		return false;
	case IMAPIO_COMMAND:
	case IMAPIO_APPEND:
		s->commands++;
		if (s->idling)
			idle_line(s, line);
		else
			command(s, line);
		break;
	default:
		misframed(s, st, line);
		break;
	}
	imapio_wipe(&s->in);
	s->until_ms = clock_mono_ms() + SESSION_IDLE_MS;
	s->rest_ms = 0;
	return session_send(s, true) && !s->over;
}

static void
greet(struct session *s)
{
	struct slice tag = slice_of(s->tag, s->tag_n);

	s->greeted = true;
	if (hub_join(s->hub, s)) {
		session_reply(s, tag, "OK [CAPABILITY " SESSION_CAPABILITY "] Logged in.");
		return;
	}
	session_reply(s, tag, "NO [LIMIT] Too many sessions.");
	session_reply(s, S(""), "BYE Too many sessions.");
	s->over = true;
}

uint64_t
session_deadline(const struct session *s)
{
	return s->rest_ms != 0 && s->rest_ms < s->until_ms ? s->rest_ms : s->until_ms;
}

/* Rows stay a while for the client's next command; in IDLE nobody waits for one. */
static void
park(struct session *s)
{
	uint64_t now = clock_mono_ms();

	if (s->view.loaded && !s->idling && s->rest_ms == 0)
		s->rest_ms = now + SESSION_REST_MS;
	if (!s->view.loaded || s->idling || now >= s->rest_ms) {
		view_rest(&s->view);
		s->rest_ms = 0;
	}
	buf_free(&s->out);
	imapio_idle(&s->in);
}

/* Whether a deadline was that of the whole session, not of its rows. */
static bool
expired(const struct session *s)
{
	return clock_mono_ms() >= s->until_ms;
}

int
session_release(struct session *s)
{
	own(buf_t) none = { .max = 0 };

	if (!s->idling || s->in.half || s->over || !stream_idle(&s->io))
		return -1;
	return stream_detach(&s->io, &none);
}

void
session_resume(struct session *s, int fd)
{
	stream_init_fd(&s->io, fd);
}

enum session_next
session_turn(struct session *s, enum session_why why)
{
	if (!s->greeted)
		greet(s);
	if ((why == SESSION_EXPIRED && expired(s)) || why == SESSION_END) {
		session_reply(s, S(""), why == SESSION_END ? "BYE Ended by the server." :
							     "BYE Autologout, idle for too long.");
		s->over = true;
	}
	if (s->idling && !s->over)
		session_sync(s, true);
	(void)session_send(s, true);
	while (!s->over && step(s))
		;
	(void)session_send(s, true);
	if (stream_flush(&s->io, session_write_deadline()) != STREAM_OK || s->over) {
		hub_leave(s->hub, s);
		return SESSION_CLOSE;
	}
	park(s);
	return SESSION_PARK;
}
