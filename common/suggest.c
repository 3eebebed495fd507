/* SPDX-License-Identifier: Apache-2.0 */
/* Edit distance: letters put in, left out, replaced or swapped with their neighbour. */
#include "common/suggest.h"

#include <string.h>

/* Longer words are not guessed at; names of topics are as long. */
#define LENGTH_MAX 255

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Upper case and '-' for '_' are no more than a slip of the shift key. */
static char folded(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '-' ? '_' : c;
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][LENGTH_MAX + 1]; /* row i is rows[i % 3] */

	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
		size_t *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			char x = folded(a[i - 1]), y = folded(b[j - 1]);

			row[j] = min(min(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]))
				row[j] = min(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

void zcp_suggestion_offer(struct zcp_suggestion *suggestion, const char *word)
{
	size_t written_length = strlen(suggestion->written);
	size_t word_length = strlen(word);
	size_t d;

	if (written_length > LENGTH_MAX || word_length > LENGTH_MAX)
		return;
	d = distance(suggestion->written, written_length, word, word_length);
	/* One slip in every three letters, and something must be left of the word. */
	if (d > 1 + word_length / 3 || d >= word_length)
		return;
	if (suggestion->best && d >= suggestion->best_distance)
		return;
	suggestion->best = word;
	suggestion->best_distance = d;
}
