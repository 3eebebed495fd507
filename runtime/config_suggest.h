/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": of the words that would have been right, the one nearest to what was written. */
#ifndef ZCPD_CONFIG_SUGGEST_H
#define ZCPD_CONFIG_SUGGEST_H

#include <stddef.h>

struct zcpd_suggestion {
	const char *written;
	const char *best; /* NULL: nothing is near enough */
	size_t best_distance;
};

static inline struct zcpd_suggestion zcpd_suggestion_for(const char *written)
{
	return (struct zcpd_suggestion){ .written = written };
}

/* Looks at one word that would have been right; it is borrowed. */
void zcpd_suggestion_offer(struct zcpd_suggestion *suggestion, const char *word);

#endif
