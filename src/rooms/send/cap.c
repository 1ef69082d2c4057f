/* SPDX-License-Identifier: MIT
 * How many messages a smarthost may have in an hour. What was counted is on the disk before the message goes, so that
 * neither a restart nor a crash gives it as many again. A clock that is set back gives nothing either: an hour that
 * was begun lasts until the clock has come there again, or for a day. */
#include "lib/clock/clock.h"
#include "lib/store/relaycap.h"
#include "rooms/send/send.h"

#define HOUR_US INT64_C(3600000000)
#define BACK 24u /* hours */

void
cap_load(struct send_house *h, struct relaycap *file)
{
	(void)pthread_mutex_init(&h->cap_lock, NULL);
	h->caps = file;
	for (size_t i = 0; file != NULL && i < h->conf->n_relays; i++) {
		struct send_relay *r = &h->conf->relays[i];

		if (r->per_hour > 0)
			(void)relaycap_get(file, r->name, &r->hour, &r->used);
	}
}

bool
cap_take(struct send_house *h, struct send_relay *r, int64_t now_us)
{
	uint64_t hour = now_us < 0 ? 0 : (uint64_t)(now_us / HOUR_US);
	bool ok;

	if (r->per_hour == 0)
		return true;
	(void)pthread_mutex_lock(&h->cap_lock);
	if (hour > r->hour || r->hour - hour > BACK) {
		r->hour = hour;
		r->used = 0;
	}
	ok = r->used < r->per_hour;
	if (ok) {
		r->used++;
		if (h->caps != NULL) /* a disk that fails does not stop mail: it is counted here all the same */
			(void)relaycap_put(h->caps, r->name, r->hour, r->used);
	}
	(void)pthread_mutex_unlock(&h->cap_lock);
	return ok;
}
