/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a name may be made of; nodes check before they ask, the runtime before it believes.
 */
#ifndef ZCP_WIRE_NAME_H
#define ZCP_WIRE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Whether the text is well-formed UTF-8 (RFC 3629): no surrogates, nothing overlong. */
bool zcp_name_is_utf8(const char *name);

/*
 * The first control character, which a terminal would act on: U+0000 to U+001F, U+007F to U+009F,
 * or a byte of that value which belongs to no character. NULL: there is none.
 */
const char *zcp_name_find_control(const char *name, size_t *n_bytes);

/* Whether it is UTF-8 without control characters: fit for a log and a terminal. */
bool zcp_name_is_text(const char *name);

/* Writes '?' over each byte of every control character. */
void zcp_name_hide_controls(char *name);

/* Whether an array of characters from elsewhere ends with a zero. */
static inline bool zcp_name_ends(const char *name, size_t size)
{
	return memchr(name, 0, size) != NULL;
}

/* Bytes of the characters from the beginning on that fit into `most` bytes. */
size_t zcp_name_cut(const char *name, size_t most);

#endif
