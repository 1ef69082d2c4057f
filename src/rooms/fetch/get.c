/* SPDX-License-Identifier: MIT
 * One HTTPS exchange with libcurl: names are resolved by dns and addresses checked before, so that libcurl
 * resolves nothing; where it connects to is checked once more when it does. */
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock/clock.h"
#include "rooms/fetch/fetch.h"

struct exchange {
	const struct fetch_conf *conf;
	const struct room_fetch_fetch *m;
	struct arena *a;
	struct fetch_result *out;
	struct url url;
	const char *host_z;
	CURL *curl;
	struct curl_slist *fields, *resolve, *connect;
	int body;
	bool large, wrong_type, no_room;
	struct slice sent; /* of the request's body */
	char error[CURL_ERROR_SIZE];
};

bool
fetch_init(void)
{
	const curl_version_info_data *v;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return false;
	v = curl_version_info(CURLVERSION_NOW);
	return v->ssl_version != NULL && slice_starts(slice_z(v->ssl_version), S("OpenSSL/"));
}

bool
fetch_address_ok(const struct fetch_conf *conf, const struct ip *ip)
{
	struct ip it = ip_unmap(*ip);

	for (size_t i = 0; i < conf->n_allowed; i++)
		if (ip_in(&it, &conf->allowed[i], conf->allowed_bits[i]))
			return true;
	return ip_special(&it) == NULL;
}

static void
verdict(struct exchange *x, enum room_fetch_status status, const char *why)
{
	x->out->status = status;
	x->out->why = S("");
	(void)arena_copy(x->a, slice_head(slice_z(why), 200), &x->out->why);
}

/* ---- the address ---------------------------------------------------------------------------------- */

struct addresses {
	struct buf text; /* "192.0.2.1,[2001:db8::1]" */
	size_t n, refused;
	bool failed, absent;
};

static void
collect(struct exchange *x, struct resolver *dns, enum rr_type type, struct addresses *to)
{
	struct resolve_answer answer;
	const struct rr *rr;
	size_t at = 0;

	resolve(dns, x->url.host, type, x->a, &answer);
	to->failed = to->failed || resolve_failed(answer.status);
	to->absent = answer.status == RESOLVE_NXDOMAIN;
	while (rr_next(&answer, &at, &rr)) {
		struct ip ip = { .n = type == RR_A ? 4 : 16 };

		memcpy(ip.b, rr->ip, ip.n);
		if (!fetch_address_ok(x->conf, &ip)) {
			to->refused++;
		} else if (to->n < LIMIT_FETCH_ADDRESSES) {
			(void)buf_fmt(&to->text, "%s%s", to->n > 0 ? "," : "", ip.n == 16 ? "[" : "");
			(void)ip_put(&to->text, &ip);
			(void)buf_add(&to->text, ip.n == 16 ? S("]") : S(""));
			to->n++;
		}
	}
}

static bool
find_addresses(struct exchange *x, struct resolver *dns, struct addresses *to)
{
	collect(x, dns, RR_AAAA, to);
	collect(x, dns, RR_A, to);
	if (to->n > 0)
		return true;
	if (to->failed)
		verdict(x, ROOM_FETCH_STATUS_UNRESOLVED, "the DNS failed");
	else if (to->refused > 0)
		verdict(x, ROOM_FETCH_STATUS_REFUSED, "the name leads to addresses that are not of the public Internet");
	else
		verdict(x, ROOM_FETCH_STATUS_ABSENT, to->absent ? "no such name" : "the name has no address");
	return false;
}

/* ---- what libcurl calls --------------------------------------------------------------------------- */

/* libcurl connects where it was told; this holds even if it should not. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct exchange *x = arg;
	struct ip ip = { .n = to->family == AF_INET ? 4 : 16 };

	if (purpose != CURLSOCKTYPE_IPCXN || (to->family != AF_INET && to->family != AF_INET6))
		return CURL_SOCKET_BAD;
	if (to->family == AF_INET)
		memcpy(ip.b, &((const struct sockaddr_in *)&to->addr)->sin_addr, 4);
	else
		memcpy(ip.b, &((const struct sockaddr_in6 *)(const void *)&to->addr)->sin6_addr, 16);
	if (!fetch_address_ok(x->conf, &ip))
		return CURL_SOCKET_BAD;
	return socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static bool
type_matches(struct slice got, struct slice want)
{
	struct slice main_part = got, parameters;

	(void)slice_cut(got, ';', &main_part, &parameters);
	return want.n == 0 || slice_ieq(slice_trim(main_part), want);
}

static size_t
on_body(char *p, size_t one, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct slice left = slice_of(p, one * n);
	const char *type = NULL;

	if (x->out->size == 0) {
		(void)curl_easy_getinfo(x->curl, CURLINFO_CONTENT_TYPE, &type);
		x->wrong_type = !type_matches(slice_z(type), x->m->type);
	}
	x->large = left.n > x->m->max - x->out->size;
	if (x->wrong_type || x->large)
		return 0;
	x->out->size += left.n;
	while (left.n > 0) {
		ssize_t put = write(x->body, left.p, left.n);

		if (put <= 0) {
			x->no_room = true;
			return 0;
		}
		left = slice_from(left, (size_t)put);
	}
	return one * n;
}

/* The few fields that askers need: of ACME and S3. */
static size_t
on_field(char *p, size_t one, size_t n, void *arg)
{
	static const struct slice kept[] = { S_INIT("Location"), S_INIT("Replay-Nonce"), S_INIT("Retry-After"),
		S_INIT("ETag"), S_INIT("Link") };
	struct exchange *x = arg;
	struct slice line = slice_trim(slice_of(p, one * n)), name, value;
	struct fetch_result *out = x->out;

	if (slice_starts(line, S("HTTP/"))) /* an interim answer's fields do not count */
		out->n_fields = 0;
	if (!slice_cut(line, ':', &name, &value))
		return one * n;
	while (value.n > 0 && (slice_at(value, value.n - 1) == '\r' || slice_at(value, value.n - 1) == '\n'))
		value = slice_head(value, value.n - 1);
	value = slice_trim(value);
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (slice_ieq(name, kept[i]) && value.n <= 2048 && out->n_fields < sizeof out->fields / sizeof *out->fields &&
		    arena_copy(x->a, value, &out->fields[out->n_fields].value))
			out->fields[out->n_fields++].name = kept[i];
	return one * n;
}

static size_t
on_send(char *p, size_t one, size_t n, void *arg)
{
	struct exchange *x = arg;
	struct slice part = slice_head(x->sent, one * n);

	memcpy(p, part.p, part.n);
	x->sent = slice_from(x->sent, part.n);
	return part.n;
}

/* ---- the request ------------------------------------------------------------------------------------ */

/* A field of the asker: one line, no control character. */
static bool
field_ok(const struct room_fetch_field *f)
{
	for (size_t i = 0; i < f->name.n; i++)
		if (!ch_is_alnum(slice_at(f->name, i)) && slice_at(f->name, i) != '-')
			return false;
	for (size_t i = 0; i < f->value.n; i++)
		if (slice_at(f->value, i) < 0x20 || slice_at(f->value, i) > 0x7e)
			return false;
	return f->name.n > 0;
}

static bool
add_line(struct exchange *x, struct curl_slist **list, struct slice line)
{
	const char *z = arena_z(x->a, line);
	struct curl_slist *more = z == NULL ? NULL : curl_slist_append(*list, z);

	if (more == NULL)
		return false;
	*list = more;
	return true;
}

static bool
add_fields(struct exchange *x)
{
	bool ok = add_line(x, &x->fields, S("Expect:"));

	for (size_t i = 0; ok && i < x->m->n_fields; i++) {
		own(buf_t) line = { .max = 4096 };

		ok = field_ok(&x->m->fields[i]) && buf_add(&line, x->m->fields[i].name) && buf_add(&line, S(": ")) &&
		    buf_add(&line, x->m->fields[i].value) && add_line(x, &x->fields, buf_slice(&line));
	}
	return ok;
}

static bool
add_route(struct exchange *x, const struct addresses *to)
{
	own(buf_t) line = { .max = 4096 };
	uint16_t port = x->url.port == 443 ? x->conf->port : x->url.port;

	if (!buf_fmt(&line, "%s:%u:%s:%u", x->host_z, x->url.port, x->host_z, port) ||
	    !add_line(x, &x->connect, buf_slice(&line)))
		return false;
	buf_reset(&line);
	return buf_fmt(&line, "%s:%u:", x->host_z, port) && buf_add(&line, buf_slice(&to->text)) &&
	    add_line(x, &x->resolve, buf_slice(&line));
}

static void
set_method(struct exchange *x)
{
	CURL *c = x->curl;

	x->sent = x->m->body;
	switch (x->m->method) {
	case ROOM_FETCH_METHOD_GET:
		break;
	case ROOM_FETCH_METHOD_HEAD:
		(void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
		break;
	case ROOM_FETCH_METHOD_POST:
		(void)curl_easy_setopt(c, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->sent.n);
		break;
	case ROOM_FETCH_METHOD_PUT:
		(void)curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->sent.n);
		break;
	}
	(void)curl_easy_setopt(c, CURLOPT_READFUNCTION, on_send);
	(void)curl_easy_setopt(c, CURLOPT_READDATA, x);
}

static bool
set_trust(struct exchange *x)
{
	struct curl_blob roots = { .data = (void *)(uintptr_t)x->conf->roots.p, .len = x->conf->roots.n,
		.flags = CURL_BLOB_NOCOPY };
	CURL *c = x->curl;

	return x->conf->roots.n > 0 && curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &roots) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
}

static bool
set_up(struct exchange *x, const struct addresses *to, uint64_t ms)
{
	CURL *c = x->curl;
	const char *z = arena_z(x->a, x->m->url);

	if (z == NULL || !add_fields(x) || !add_route(x, to) || !set_trust(x))
		return false;
	(void)curl_easy_setopt(c, CURLOPT_URL, z);
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c, CURLOPT_USERAGENT, "postern/" PN_VERSION);
	(void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)ms);
	(void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(ms < 15000 ? ms : 15000));
	(void)curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->m->max);
	(void)curl_easy_setopt(c, CURLOPT_RESOLVE, x->resolve);
	(void)curl_easy_setopt(c, CURLOPT_CONNECT_TO, x->connect);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->fields);
	(void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	(void)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, x);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	(void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_field);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
	(void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->error);
	set_method(x);
	return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK;
}

static enum room_fetch_status
status_of(const struct exchange *x, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return ROOM_FETCH_STATUS_DONE;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return ROOM_FETCH_STATUS_UNREACHABLE;
	case CURLE_PEER_FAILED_VERIFICATION:
		return ROOM_FETCH_STATUS_UNTRUSTED;
	case CURLE_OPERATION_TIMEDOUT:
		return ROOM_FETCH_STATUS_SLOW;
	case CURLE_FILESIZE_EXCEEDED:
		return ROOM_FETCH_STATUS_LARGE;
	case CURLE_WRITE_ERROR:
		return x->wrong_type ? ROOM_FETCH_STATUS_TYPE :
		    x->large	      ? ROOM_FETCH_STATUS_LARGE :
					ROOM_FETCH_STATUS_BROKEN;
	default:
		return ROOM_FETCH_STATUS_BROKEN;
	}
}

static void
perform(struct exchange *x)
{
	CURLcode code = curl_easy_perform(x->curl);
	const char *type = NULL;
	long http = 0;

	(void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &http);
	(void)curl_easy_getinfo(x->curl, CURLINFO_CONTENT_TYPE, &type);
	x->out->code = http > 0 && http < 1000 ? (uint16_t)http : 0;
	if (type != NULL)
		(void)arena_copy(x->a, slice_head(slice_z(type), 100), &x->out->type);
	if (code == CURLE_OK && x->out->size == 0 && !type_matches(slice_z(type), x->m->type) && http == 200) {
		verdict(x, ROOM_FETCH_STATUS_TYPE, "");
		return;
	}
	verdict(x, status_of(x, code), code == CURLE_OK ? "" : x->error[0] != '\0' ? x->error : curl_easy_strerror(code));
}

void
fetch_exchange(const struct fetch_conf *conf, struct resolver *dns, const struct room_fetch_fetch *m, int body,
    struct arena *a, struct fetch_result *out)
{
	struct exchange x = { .conf = conf, .m = m, .a = a, .out = out, .body = body };
	struct addresses to = { .text = { .max = 1024 } };
	uint64_t start = clock_mono_ms(), spent, ms = m->ms < conf->most_ms ? m->ms : conf->most_ms;

	*out = (struct fetch_result){ .type = S(""), .why = S("") };
	verdict(&x, ROOM_FETCH_STATUS_REFUSED, "no https URL of a host on a port that is allowed");
	if (!url_parse(m->url, &x.url) || x.url.port != 443 || m->max > LIMIT_FETCH_BODY)
		return;
	x.host_z = arena_z(a, x.url.host);
	if (x.host_z != NULL && find_addresses(&x, dns, &to)) {
		spent = clock_mono_ms() - start;
		x.curl = curl_easy_init();
		verdict(&x, ROOM_FETCH_STATUS_BROKEN, "the request could not be made");
		if (spent >= ms)
			verdict(&x, ROOM_FETCH_STATUS_SLOW, "the DNS took too long");
		else if (x.curl != NULL && set_up(&x, &to, ms - spent))
			perform(&x);
		if (x.curl != NULL)
			curl_easy_cleanup(x.curl);
		curl_slist_free_all(x.fields);
		curl_slist_free_all(x.resolve);
		curl_slist_free_all(x.connect);
	}
	buf_free(&to.text);
}
