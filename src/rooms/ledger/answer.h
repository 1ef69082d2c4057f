/* SPDX-License-Identifier: MIT
 * Questions of the administrator to the log. */
#pragma once

#include "rooms/ledger/room.h"

/* Receives one question and answers it. */
enum ipc_status ledger_answer_serve(struct ledger_room *r, struct ipc_channel *ch);
