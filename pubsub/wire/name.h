/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a name may be made of; nodes check before they ask, the runtime before it believes.
 */
#ifndef ZCP_WIRE_NAME_H
#define ZCP_WIRE_NAME_H

#include <stdbool.h>

/* Whether the text is well-formed UTF-8 (RFC 3629): no surrogates, nothing overlong. */
bool zcp_name_is_utf8(const char *name);

/* The same, and without control characters: fit for a log and a terminal. */
bool zcp_name_is_text(const char *name);

#endif
