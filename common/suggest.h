/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": of the words that would have been right, the one nearest to what was written. */
#ifndef ZCP_COMMON_SUGGEST_H
#define ZCP_COMMON_SUGGEST_H

#include <stddef.h>

struct zcp_suggestion {
	const char *written;
	const char *best; /* NULL: nothing is near enough */
	size_t best_distance;
};

static inline struct zcp_suggestion zcp_suggestion_for(const char *written)
{
	return (struct zcp_suggestion){ .written = written };
}

/* Looks at one word that would have been right; it is borrowed. */
void zcp_suggestion_offer(struct zcp_suggestion *suggestion, const char *word);

#endif
