/* SPDX-License-Identifier: MIT
 * The sections `milter` of the configuration. Inside lib/config. */
#pragma once

#include <confuse.h>

#include "lib/config/config.h"

/* For CFG_SEC("milter", config_milter_opts, CFGF_MULTI | CFGF_TITLE). */
extern cfg_opt_t config_milter_opts[];
/* Checks all of them. False after cfg_error(). */
bool config_milters_read(cfg_t *cfg, struct config *out);
