/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of match callbacks share: what the callbacks were told.
 */
#ifndef ZCP_TESTS_SYSTEM_MATCH_HELPERS_H
#define ZCP_TESTS_SYSTEM_MATCH_HELPERS_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/cases.h"
#include "tests/support/runtime.h"

#define TOPIC "match"
#define MS INT64_C(1000000)
#define N_ROUNDS 200
#define N_EVENTS 64

/* What the callbacks were told, as text: "+front(1)" has joined as the first. */
static struct {
	unsigned int n;
	char texts[N_EVENTS][80];
	struct zcp_match matches[N_EVENTS];
} told;

static inline void note(const struct zcp_match *match, void *user)
{
	char sign = match->change == ZCP_MATCH_JOINED ? '+' : '-';

	ZCP_CHECK(match->change == ZCP_MATCH_JOINED || match->change == ZCP_MATCH_LEFT);
	ZCP_CHECK(told.n < N_EVENTS);
	(void)snprintf(told.texts[told.n], sizeof(told.texts[0]), "%s%c%s(%u)",
		       user ? (const char *)user : "", sign, match->node, match->n);
	told.matches[told.n++] = *match;
}

/* Dispatches until the next callbacks say that, separated by blanks, and no others. */
static inline void expect(struct zcp_node *node, const char *texts)
{
	char text[N_EVENTS * 80] = "";

	told.n = 0;
	while (strlen(text) < strlen(texts)) {
		unsigned int before = told.n;

		ZCP_OK(zcp_node_dispatch(node, ZCP_FOREVER), node);
		for (unsigned int i = before; i < told.n; i++) {
			(void)strcat(text, *text ? " " : "");
			(void)strcat(text, told.texts[i]);
		}
	}
	if (strcmp(text, texts) != 0)
		(void)fprintf(stderr, "wanted %s, got %s\n", texts, text);
	ZCP_CHECK(strcmp(text, texts) == 0);
	ZCP_CHECK(zcp_node_dispatch(node, 0) == -ETIMEDOUT);
}

static inline struct zcp_node *open_node(const char *name)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node = NULL;

	options.name = name;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	return node;
}

#endif
