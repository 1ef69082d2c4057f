/* SPDX-License-Identifier: MIT
 * The reader of DMARC aggregate reports over expat. An element's text is stored when it ends,
 * depending on its own name and its parent's; prefixes of namespaces are ignored. */
#include <malloc.h>
#include <stdlib.h>

#include <expat.h>

#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/report/dmarc.h"
#include "lib/report/unpack.h"

/* Bytes without any event of the parser: a token that long is no report. */
#define MOST_SILENCE ((size_t)262144)
#define MOST_WRAPPERS 4u

enum element {
	E_OTHER,
	E_FEEDBACK,
	E_METADATA,
	E_RANGE,
	E_PUBLISHED,
	E_RECORD,
	E_ROW,
	E_EVALUATED,
	E_REASON,
	E_IDENTIFIERS,
	E_AUTH,
	E_DKIM,
	E_SPF,
	E_LEAF, /* a text of interest, from here on */
	E_VERSION = E_LEAF,
	E_ORG,
	E_EMAIL,
	E_EXTRA,
	E_ID,
	E_GENERATOR,
	E_ERROR,
	E_BEGIN,
	E_END,
	E_DOMAIN,
	E_P,
	E_SP,
	E_NP,
	E_ADKIM,
	E_ASPF,
	E_FO,
	E_TESTING,
	E_DISCOVERY,
	E_SOURCE,
	E_COUNT,
	E_DISPOSITION,
	E_TYPE,
	E_COMMENT,
	E_ENVELOPE_TO,
	E_ENVELOPE_FROM,
	E_HEADER_FROM,
	E_SELECTOR,
	E_SCOPE,
	E_RESULT,
	E_HUMAN,
};

static const struct {
	struct slice name;
	enum element element;
} elements[] = { { S_INIT("feedback"), E_FEEDBACK }, { S_INIT("report_metadata"), E_METADATA },
	{ S_INIT("date_range"), E_RANGE }, { S_INIT("policy_published"), E_PUBLISHED },
	{ S_INIT("record"), E_RECORD }, { S_INIT("row"), E_ROW },
	{ S_INIT("policy_evaluated"), E_EVALUATED }, { S_INIT("reason"), E_REASON },
	{ S_INIT("identifiers"), E_IDENTIFIERS }, { S_INIT("identities"), E_IDENTIFIERS },
	{ S_INIT("auth_results"), E_AUTH }, { S_INIT("dkim"), E_DKIM }, { S_INIT("spf"), E_SPF },
	{ S_INIT("version"), E_VERSION }, { S_INIT("org_name"), E_ORG }, { S_INIT("email"), E_EMAIL },
	{ S_INIT("extra_contact_info"), E_EXTRA }, { S_INIT("report_id"), E_ID },
	{ S_INIT("generator"), E_GENERATOR }, { S_INIT("error"), E_ERROR }, { S_INIT("begin"), E_BEGIN },
	{ S_INIT("end"), E_END }, { S_INIT("domain"), E_DOMAIN }, { S_INIT("p"), E_P },
	{ S_INIT("sp"), E_SP }, { S_INIT("np"), E_NP }, { S_INIT("adkim"), E_ADKIM },
	{ S_INIT("aspf"), E_ASPF }, { S_INIT("fo"), E_FO }, { S_INIT("testing"), E_TESTING },
	{ S_INIT("discovery_method"), E_DISCOVERY }, { S_INIT("source_ip"), E_SOURCE },
	{ S_INIT("count"), E_COUNT }, { S_INIT("disposition"), E_DISPOSITION },
	{ S_INIT("type"), E_TYPE }, { S_INIT("comment"), E_COMMENT },
	{ S_INIT("envelope_to"), E_ENVELOPE_TO }, { S_INIT("envelope_from"), E_ENVELOPE_FROM },
	{ S_INIT("header_from"), E_HEADER_FROM }, { S_INIT("selector"), E_SELECTOR },
	{ S_INIT("scope"), E_SCOPE }, { S_INIT("result"), E_RESULT },
	{ S_INIT("human_result"), E_HUMAN } };

struct reader {
	XML_Parser xml;
	struct arena *a;
	bool (*row_fn)(void *, const struct dmarc_report_row *);
	void *self;
	struct dmarc_report report;
	struct dmarc_report_row row;
	struct arena_mark mark; /* of the record under way */
	enum element stack[LIMIT_DMARC_REPORT_DEPTH];
	size_t depth;
	struct buf text;
	size_t silence;
	unsigned wrappers; /* elements around the report */
	bool closed; /* the report ended */
	enum dmarc_report_status status;
};

/* Memory of the parser is counted, since element and attribute names are remembered for ever: a
 * report of nothing but different names must not eat the machine. Expat's allocators have no
 * context, hence the thread-local budget; it is set for the time of one read. */
static _Thread_local size_t memory_left;

static void *
counted_malloc(size_t n)
{
	void *p = n > memory_left ? NULL : malloc(n);

	if (p == NULL)
		return NULL;
	n = malloc_usable_size(p);
	memory_left -= n < memory_left ? n : memory_left;
	return p;
}

static void
counted_free(void *p)
{
	if (p != NULL)
		memory_left += malloc_usable_size(p);
	free(p);
}

static void *
counted_realloc(void *p, size_t n)
{
	size_t old = p == NULL ? 0 : malloc_usable_size(p), now;
	void *q = n > old && n - old > memory_left ? NULL : realloc(p, n);

	if (q == NULL)
		return NULL;
	now = malloc_usable_size(q);
	memory_left += old;
	memory_left -= now < memory_left ? now : memory_left;
	return q;
}

static void
stop(struct reader *r, enum dmarc_report_status status)
{
	if (r->status == DMARC_REPORT_OK)
		r->status = status;
	(void)XML_StopParser(r->xml, XML_FALSE);
}

static enum element
element_of(const char *name)
{
	struct slice s = slice_z(name);
	size_t colon = slice_rfind_byte(s, ':');

	if (colon != SLICE_NONE)
		s = slice_from(s, colon + 1);
	for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
		if (slice_eq(s, elements[i].name))
			return elements[i].element;
	return E_OTHER;
}

/* The text of the element under way: trimmed, one line, in the arena. */
static struct slice
text_of(struct reader *r, bool lower)
{
	struct slice s = buf_slice(&r->text), out = S("");
	size_t from = 0, to = s.n;

	for (size_t i = 0; i < s.n; i++)
		if (r->text.p[i] < 0x20 || r->text.p[i] == 0x7f)
			r->text.p[i] = ' ';
		else if (lower)
			r->text.p[i] = ch_lower(r->text.p[i]);
	while (from < to && slice_at(s, from) == ' ')
		from++;
	while (to > from && slice_at(s, to - 1) == ' ')
		to--;
	if (!arena_copy(r->a, slice_sub(s, from, to - from), &out))
		stop(r, DMARC_REPORT_BIG);
	return out;
}

/* A number with its fraction, if any, dropped; 0 when it is none. */
static uint64_t
number_of(struct reader *r)
{
	struct slice s = text_of(r, false), whole, rest;
	uint64_t n;

	if (slice_cut(s, '.', &whole, &rest))
		s = whole;
	return slice_u64(s, &n) ? n : 0;
}

static void
take_meta(struct reader *r, enum element e)
{
	struct dmarc_report *m = &r->report;
	struct slice *to[] = { [E_ORG] = &m->org_name, [E_EMAIL] = &m->email, [E_EXTRA] = &m->extra_contact,
		[E_ID] = &m->report_id, [E_GENERATOR] = &m->generator, [E_ERROR] = &m->error };

	if (e < sizeof to / sizeof *to && to[e] != NULL)
		*to[e] = text_of(r, false);
}

static void
take_published(struct reader *r, enum element e)
{
	struct dmarc_report *m = &r->report;
	struct slice *to[] = { [E_DOMAIN] = &m->domain, [E_P] = &m->p, [E_SP] = &m->sp, [E_NP] = &m->np,
		[E_ADKIM] = &m->adkim, [E_ASPF] = &m->aspf, [E_FO] = &m->fo, [E_TESTING] = &m->testing,
		[E_DISCOVERY] = &m->discovery };

	if (e < sizeof to / sizeof *to && to[e] != NULL)
		*to[e] = text_of(r, true);
}

static void
take_evaluated(struct reader *r, enum element e)
{
	if (e == E_DISPOSITION)
		r->row.disposition = text_of(r, true);
	if (e == E_DKIM)
		r->row.dkim = text_of(r, true);
	if (e == E_SPF)
		r->row.spf = text_of(r, true);
}

static void
take_auth(struct reader *r, struct dmarc_report_auth *auth, enum element e)
{
	if (e == E_DOMAIN)
		auth->domain = text_of(r, true);
	if (e == E_SELECTOR)
		auth->selector = text_of(r, false);
	if (e == E_SCOPE)
		auth->scope = text_of(r, true);
	if (e == E_RESULT)
		auth->result = text_of(r, true);
	if (e == E_HUMAN)
		auth->human = text_of(r, false);
}

static void
take_identifier(struct reader *r, enum element e)
{
	if (e == E_ENVELOPE_TO)
		r->row.envelope_to = text_of(r, true);
	if (e == E_ENVELOPE_FROM)
		r->row.envelope_from = text_of(r, true);
	if (e == E_HEADER_FROM)
		r->row.header_from = text_of(r, true);
}

static enum element
above(const struct reader *r, size_t levels)
{
	return r->depth > levels ? r->stack[r->depth - 1 - levels] : E_OTHER;
}

/* A text of the record under way ends. */
static void
take_row(struct reader *r, enum element e)
{
	struct dmarc_report_row *row = &r->row;
	enum element parent = above(r, 1), grand = above(r, 2);

	if (parent == E_ROW && e == E_SOURCE)
		row->source = text_of(r, true);
	else if (parent == E_ROW && e == E_COUNT)
		row->count = number_of(r);
	else if (parent == E_EVALUATED)
		take_evaluated(r, e);
	else if (parent == E_REASON && grand == E_EVALUATED && row->n_reasons > 0 && e == E_TYPE)
		row->reasons[row->n_reasons - 1].type = text_of(r, true);
	else if (parent == E_REASON && grand == E_EVALUATED && row->n_reasons > 0 && e == E_COMMENT)
		row->reasons[row->n_reasons - 1].comment = text_of(r, false);
	else if (parent == E_IDENTIFIERS)
		take_identifier(r, e);
	else if (parent == E_DKIM && grand == E_AUTH && row->n_dkim > 0)
		take_auth(r, &row->dkim_auth[row->n_dkim - 1], e);
	else if (parent == E_SPF && grand == E_AUTH && row->n_spf > 0)
		take_auth(r, &row->spf_auth[row->n_spf - 1], e);
}

/* The element on top of the stack ends. What belongs to the report counts only in its place: texts of
 * a record, whatever their names, are gone when the record ends. */
static void
take(struct reader *r, enum element e)
{
	enum element parent = above(r, 1);

	if (r->depth > 1 && r->stack[1] == E_RECORD)
		take_row(r, e);
	else if (r->depth == 2 && e == E_VERSION)
		r->report.version = text_of(r, false);
	else if (r->depth == 3 && parent == E_METADATA)
		take_meta(r, e);
	else if (r->depth == 3 && parent == E_PUBLISHED)
		take_published(r, e);
	else if (r->depth == 4 && parent == E_RANGE && e == E_BEGIN)
		r->report.begin = number_of(r);
	else if (r->depth == 4 && parent == E_RANGE && e == E_END)
		r->report.end = number_of(r);
}

static void XMLCALL
on_start(void *self, const char *name, const char **attributes)
{
	struct reader *r = self;
	enum element e = element_of(name), parent = above(r, 0);
	struct dmarc_report_row *row = &r->row;

	r->silence = 0;
	if (r->depth == LIMIT_DMARC_REPORT_DEPTH) {
		stop(r, DMARC_REPORT_BIG);
		return;
	}
	if (r->depth == 0 && e != E_FEEDBACK) {
		/* some wrap the report, even into an element that never ends */
		if (r->closed || ++r->wrappers > MOST_WRAPPERS)
			stop(r, DMARC_REPORT_BAD);
		return;
	}
	r->stack[r->depth++] = e;
	buf_reset(&r->text);
	if (e == E_RECORD && r->depth == 2) {
		memset(row, 0, sizeof *row);
		r->mark = arena_mark(r->a);
	}
	if (e == E_DKIM && parent == E_AUTH && row->n_dkim < LIMIT_DMARC_REPORT_LIST)
		row->n_dkim++;
	if (e == E_SPF && parent == E_AUTH && row->n_spf < LIMIT_DMARC_REPORT_LIST)
		row->n_spf++;
	if (e == E_REASON && parent == E_EVALUATED && row->n_reasons < LIMIT_DMARC_REPORT_LIST)
		row->n_reasons++;
}

static void
end_record(struct reader *r)
{
	struct dmarc_report_row *row = &r->row;

	(void)ip_parse(row->source, &row->ip);
	if (r->report.rows == LIMIT_DMARC_REPORT_ROWS) {
		stop(r, DMARC_REPORT_BIG);
		return;
	}
	r->report.rows++;
	r->report.messages = row->count > UINT64_MAX - r->report.messages
	    ? UINT64_MAX
	    : r->report.messages + row->count;
	if (!r->row_fn(r->self, row))
		stop(r, DMARC_REPORT_STOPPED);
	arena_rewind(r->a, r->mark);
}

static void XMLCALL
on_end(void *self, const char *name)
{
	struct reader *r = self;
	enum element e = above(r, 0);

	(void)name;
	r->silence = 0;
	if (r->status != DMARC_REPORT_OK || r->depth == 0)
		return;
	take(r, e);
	if (e == E_RECORD && r->depth == 2)
		end_record(r);
	r->depth--;
	r->closed = r->depth == 0;
	buf_reset(&r->text);
}

static void XMLCALL
on_text(void *self, const char *s, int n)
{
	struct reader *r = self;
	size_t room = r->text.max - r->text.n;

	r->silence = 0;
	(void)buf_add(&r->text, slice_of(s, (size_t)n < room ? (size_t)n : room));
}

static void XMLCALL
on_doctype(void *self, const char *name, const char *system, const char *public, int subset)
{
	(void)name, (void)system, (void)public, (void)subset;
	stop(self, DMARC_REPORT_BAD);
}

static void XMLCALL
on_other(void *self, const char *s, int n)
{
	struct reader *r = self;

	(void)s, (void)n;
	r->silence = 0;
}

/* Bytes that are no UTF-8, and characters that XML forbids, become "?": reporters put raw bytes of
 * mails into reports. A sequence cut by the end of the piece is carried over by the caller. */
static void
feed_clean(struct slice in, size_t *used, struct buf *out, bool last)
{
	size_t at = 0;

	while (at < in.n) {
		uint8_t c = slice_at(in, at);
		size_t was = at;
		int32_t cp;

		if (c < 0x80) {
			at++;
			(void)buf_byte(out, c >= 0x20 || c == '\t' || c == '\n' || c == '\r' ? c : '?');
			continue;
		}
		if (!last && in.n - at < 4)
			break;
		cp = utf8_next(in, &at);
		if (cp < 0 || cp == 0xfffe || cp == 0xffff)
			(void)buf_byte(out, '?');
		else
			(void)buf_add(out, slice_sub(in, was, at - was));
	}
	*used = at;
}

/* XML that breaks off or breaks its form behind whole records: they are kept, and the report says that
 * it is damaged. Anything that smells of entities is refused. */
static void
broken(struct reader *r, enum XML_Error error)
{
	bool form = error == XML_ERROR_INVALID_TOKEN || error == XML_ERROR_TAG_MISMATCH ||
		    error == XML_ERROR_UNCLOSED_TOKEN || error == XML_ERROR_NO_ELEMENTS ||
		    error == XML_ERROR_PARTIAL_CHAR;

	if (error == XML_ERROR_NO_MEMORY)
		r->status = DMARC_REPORT_BIG;
	else if (!form || r->report.rows == 0 || r->report.report_id.n == 0)
		r->status = DMARC_REPORT_BAD;
	else
		r->report.damaged = r->closed = true;
}

static bool
feed(struct reader *r, struct slice piece, bool last)
{
	r->silence += piece.n;
	if (XML_Parse(r->xml, (const char *)piece.p, (int)piece.n, last) != XML_STATUS_OK &&
	    r->status == DMARC_REPORT_OK && !r->closed)
		broken(r, XML_GetErrorCode(r->xml));
	if (r->silence > MOST_SILENCE && r->status == DMARC_REPORT_OK)
		r->status = DMARC_REPORT_BIG;
	/* what follows the root element is not looked at: some add line noise */
	return r->status == DMARC_REPORT_OK && !r->closed;
}

static void
run(struct reader *r, struct unpack *u)
{
	struct buf pending, clean;
	struct slice piece;
	enum unpack_status status;
	size_t used;
	bool more = true;

	buf_init(&pending, 65536 + 8);
	buf_init(&clean, 65536 + 8);
	while (more && (status = unpack_next(u, &piece)) == UNPACK_MORE) {
		(void)buf_add(&pending, piece);
		buf_reset(&clean);
		feed_clean(buf_slice(&pending), &used, &clean, false);
		buf_drop_front(&pending, used);
		more = feed(r, buf_slice(&clean), false);
	}
	if (more && status == UNPACK_END) {
		buf_reset(&clean);
		feed_clean(buf_slice(&pending), &used, &clean, true);
		(void)feed(r, buf_slice(&clean), true);
	} else if (more) {
		r->status = status == UNPACK_BIG ? DMARC_REPORT_BIG : DMARC_REPORT_BAD;
	}
	if (r->status == DMARC_REPORT_OK && (!r->closed || r->report.rows == 0))
		r->status = DMARC_REPORT_BAD;
	buf_free(&pending);
	buf_free(&clean);
}

static bool
set_up(struct reader *r)
{
	static const XML_Memory_Handling_Suite memory = { counted_malloc, counted_realloc,
		counted_free };

	/* the encoding is ours whatever the declaration says: feed_clean() made it UTF-8 */
	r->xml = XML_ParserCreate_MM("UTF-8", &memory, NULL);
	if (r->xml == NULL)
		return false;
	XML_SetUserData(r->xml, r);
	XML_SetElementHandler(r->xml, on_start, on_end);
	XML_SetCharacterDataHandler(r->xml, on_text);
	XML_SetStartDoctypeDeclHandler(r->xml, on_doctype);
	XML_SetDefaultHandler(r->xml, on_other);
	(void)XML_SetParamEntityParsing(r->xml, XML_PARAM_ENTITY_PARSING_NEVER);
	return true;
}

enum dmarc_report_status
dmarc_report_read(struct slice packed, struct arena *a,
    bool (*row)(void *self, const struct dmarc_report_row *row), void *self,
    struct dmarc_report *out)
{
	struct reader *r = ARENA_NEW(a, struct reader);
	struct unpack *u;
	enum dmarc_report_status status = DMARC_REPORT_MEMORY;

	if (r == NULL)
		return DMARC_REPORT_MEMORY;
	r->a = a;
	r->row_fn = row;
	r->self = self;
	buf_init(&r->text, LIMIT_DMARC_REPORT_TEXT);
	memory_left = LIMIT_DMARC_REPORT_MEMORY;
	u = unpack_new(packed);
	if (u != NULL && set_up(r)) {
		run(r, u);
		status = r->status;
		if (status == DMARC_REPORT_OK)
			*out = r->report;
	}
	if (r->xml != NULL)
		XML_ParserFree(r->xml);
	unpack_free(&u);
	buf_free(&r->text);
	return status;
}

const char *
dmarc_report_status_name(enum dmarc_report_status s)
{
	static const char *const names[] = { "ok", "bad", "big", "stopped", "memory" };

	return (unsigned)s < sizeof names / sizeof *names ? names[s] : "bad";
}
