/* SPDX-License-Identifier: MIT */
#include "lib/make/dsn/words.h"

static const struct {
	struct slice detail; /* what follows the class; "4." is all of a subject */
	struct slice words;
} table[] = {
	{ S_INIT("1.1"), S_INIT("There is no such user there.") },
	{ S_INIT("1.2"), S_INIT("There is no such domain, or it takes no mail.") },
	{ S_INIT("1.3"), S_INIT("The address is not written as an address.") },
	{ S_INIT("1.4"), S_INIT("The address means more than one mailbox there.") },
	{ S_INIT("1.6"), S_INIT("The mailbox has moved, and nobody left a new address.") },
	{ S_INIT("1.7"), S_INIT("The other server does not like the form of the sender's address.") },
	{ S_INIT("1.8"), S_INIT("The other server does not believe in the sender's domain.") },
	{ S_INIT("1.9"), S_INIT("The message was relayed to a system that does not report what becomes of it.") },
	{ S_INIT("1.10"), S_INIT("The domain says that it takes no mail at all.") },
	{ S_INIT("1."), S_INIT("The other server does not take this address.") },
	{ S_INIT("2.1"), S_INIT("The mailbox is switched off.") },
	{ S_INIT("2.2"), S_INIT("The mailbox is full.") },
	{ S_INIT("2.3"), S_INIT("The message is larger than this mailbox takes.") },
	{ S_INIT("2.4"), S_INIT("A mailing list there could not be expanded.") },
	{ S_INIT("2."), S_INIT("The mailbox does not take the message.") },
	{ S_INIT("3.1"), S_INIT("The other server has no space left.") },
	{ S_INIT("3.2"), S_INIT("The other server takes no mail at the moment.") },
	{ S_INIT("3.4"), S_INIT("The message is larger than the other server takes.") },
	{ S_INIT("3."), S_INIT("The mail system could not take the message.") },
	{ S_INIT("4.1"), S_INIT("The other server does not answer.") },
	{ S_INIT("4.2"), S_INIT("The connection to the other server broke.") },
	{ S_INIT("4.3"), S_INIT("The name of the other server could not be looked up.") },
	{ S_INIT("4.4"), S_INIT("There is no way to the other server.") },
	{ S_INIT("4.5"), S_INIT("The other server is overloaded.") },
	{ S_INIT("4.6"), S_INIT("The message goes round in a circle.") },
	{ S_INIT("4.7"), S_INIT("It could not be delivered in time.") },
	{ S_INIT("4."), S_INIT("The network did not carry the message.") },
	{ S_INIT("5.3"), S_INIT("The message has too many recipients for the other server.") },
	{ S_INIT("5."), S_INIT("The two servers did not understand each other.") },
	{ S_INIT("6.1"), S_INIT("The other server does not take this kind of content.") },
	{ S_INIT("6.3"), S_INIT("The message would have to be converted, and cannot be.") },
	{ S_INIT("6.7"), S_INIT("The other server cannot take addresses with letters beyond ASCII.") },
	{ S_INIT("6."), S_INIT("The other server does not take this content.") },
	{ S_INIT("7.1"), S_INIT("The other server has refused the message by its rules.") },
	{ S_INIT("7.2"), S_INIT("The sender may not write to this mailing list.") },
	{ S_INIT("7.4"), S_INIT("A security feature that the message needs is not there.") },
	{ S_INIT("7.8"), S_INIT("The relay did not accept the user name and password.") },
	{ S_INIT("7.10"), S_INIT("The message has to travel encrypted, and the other server could not.") },
	{ S_INIT("7.13"), S_INIT("The recipient's account is switched off.") },
	{ S_INIT("7.14"), S_INIT("The message has to travel encrypted all the way, and the other server could not.") },
	{ S_INIT("7.20"), S_INIT("The other server found no good DKIM signature.") },
	{ S_INIT("7.21"), S_INIT("The other server found no DKIM signature that it accepts.") },
	{ S_INIT("7.22"), S_INIT("The DKIM signature is not that of the author.") },
	{ S_INIT("7.23"), S_INIT("The sender's domain does not permit this server (SPF).") },
	{ S_INIT("7.25"), S_INIT("The sending server's address has no name (reverse DNS).") },
	{ S_INIT("7.26"), S_INIT("The sender could not be proved (SPF, DKIM, DMARC).") },
	{ S_INIT("7.27"), S_INIT("The sender's domain says that it sends no mail.") },
	{ S_INIT("7.28"), S_INIT("The other server sees a flood of mail from here.") },
	{ S_INIT("7.30"), S_INIT("The message has to travel encrypted, and the other server could not.") },
	{ S_INIT("7."), S_INIT("The other server does not permit it.") },
};

static struct slice
by_code(uint32_t code)
{
	switch (code) {
	case 0:
		return S("It could not be delivered.");
	case 421:
		return S("The other server is closing or overloaded.");
	case 450:
		return S("The mailbox is busy, or the other server wants the message again later.");
	case 452:
		return S("The other server has no space left.");
	case 530:
	case 535:
		return S("The relay did not accept the user name and password.");
	case 550:
		return S("The other server does not take mail for this address.");
	case 552:
		return S("The mailbox is full, or the message is larger than it takes.");
	case 553:
		return S("The other server does not take this address.");
	case 554:
		return S("The other server has refused the message.");
	case 556:
		return S("The domain says that it takes no mail at all.");
	default:
		return code >= 500 ? S("The other server has refused the message.") :
		    code >= 400	   ? S("The other server wants the message again later.") :
				     S("The other server has taken the message.");
	}
}

struct slice
dsn_words(struct slice status, uint32_t code)
{
	struct slice class, detail;

	if (!slice_cut(status, '.', &class, &detail) || slice_eq(detail, S("0.0")))
		return by_code(code);
	if (slice_eq(class, S("2")))
		return by_code(250);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct slice want = table[i].detail;

		if (slice_ends(want, S(".")) ? slice_starts(detail, want) : slice_eq(detail, want))
			return table[i].words;
	}
	return by_code(code);
}
