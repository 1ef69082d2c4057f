/* SPDX-License-Identifier: MIT
 * For both tests of the mailbox store. */
#pragma once

#include "lib/store/test_help.h"

#include "lib/store/mailbox.h"
#include "lib/store/memfd.h"

#define NOW ((uint64_t)1700000000000000)
#define INBOX 1u

__attribute__((unused)) static struct mailbox *
open_box(void)
{
	struct mailbox *m = NULL;

	assert_int_equal(mailbox_open(in_dir("mail.db"), 7, NOW, &m), STORE_OK);
	return m;
}

__attribute__((unused)) static struct mailbox_input
input(struct slice content)
{
	return (struct mailbox_input){ .content = content, .fd = -1, .date = 1700000000 };
}

__attribute__((unused)) static uint32_t
append(struct mailbox *m, uint64_t folder, struct slice content, uint32_t flags)
{
	struct mailbox_input in = input(content);
	uint32_t uid = 0;

	in.flags = flags;
	assert_int_equal(mailbox_append(m, folder, &in, &uid), STORE_OK);
	return uid;
}

__attribute__((unused)) static bool
holds(struct mailbox *m, uint64_t folder, uint32_t uid, struct slice want)
{
	struct mailbox_content c;
	bool same;

	assert_int_equal(mailbox_content(m, folder, uid, &c), STORE_OK);
	same = slice_eq(c.bytes, want);
	mailbox_content_free(&c);
	return same;
}

__attribute__((unused)) static struct mailbox_folder
folder_of(struct mailbox *m, uint64_t id)
{
	struct mailbox_folder f;

	assert_int_equal(mailbox_folder_get(m, id, NULL, &f), STORE_OK);
	return f;
}
