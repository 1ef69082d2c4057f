/* SPDX-License-Identifier: MIT
 * The section `outbound` of the configuration: how mail leaves. Inside lib/config. */
#pragma once

#include <confuse.h>

#include "lib/config/config.h"

/* For CFG_SEC("outbound", config_outbound_opts, CFGF_NONE). */
extern cfg_opt_t config_outbound_opts[];
/* Checks the section. False after cfg_error(). */
bool config_outbound_read(cfg_t *sec, struct config_outbound *out);
