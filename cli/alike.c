/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are compared as they look: without slashes that separate nothing, and each character of
 * several bytes as one.
 */
#include "cli/alike.h"

#include <stdio.h>
#include <string.h>

#include "cli/complain.h"
#include "cli/elsewhere.h"
#include "cli/topics.h"
#include "cli/utf8.h"
#include "common/suggest.h"
#include "pubsub/util.h"

struct search {
	const char *topic;
	/* those that have subscribers alone; else those that have been published on */
	bool waited_for;
	struct zcp_suggestion suggestion;
	char written[ZCP_TOPIC_SIZE];
	/* "": none is alike */
	char found[ZCP_TOPIC_SIZE];
};

/* One byte for each character; two that share a byte only make two names more alike. */
static void simplify(char to[ZCP_TOPIC_SIZE], const char *name)
{
	uint32_t character;
	size_t n = 0;

	while ((character = cli_utf8_next(&name)) != 0) {
		if (character == '/' && (n == 0 || to[n - 1] == '/'))
			continue;
		to[n++] = (char)(character < 0x80 ? character : 0x80 | (character & 0x7f));
	}
	if (n > 0 && to[n - 1] == '/')
		n--;
	to[n] = '\0';
}

static void look_at(const struct zcp_topic_line *line, void *user)
{
	struct search *search = user;
	char word[ZCP_TOPIC_SIZE];

	if (cli_topic_is_waited_for(line) != search->waited_for ||
	    strcmp(line->name, search->topic) == 0)
		return;
	simplify(word, line->name);
	zcp_suggestion_offer(&search->suggestion, word);
	if (search->suggestion.best != word)
		return;
	(void)strcpy(search->found, line->name);
	search->suggestion.best = search->found;
}

/* " (they differ from byte 8 on)" where that may not be seen. */
static void describe_difference(const char *a, const char *b, char *text, size_t text_size)
{
	size_t at = 0;

	while (a[at] != '\0' && a[at] == b[at])
		at++;
	text[0] = '\0';
	if (((unsigned char)a[at] | (unsigned char)b[at]) & 0x80)
		(void)snprintf(text, text_size, " (they differ from byte %zu on)", at + 1);
}

/* The topic that looks like search->topic, and what to add; whether there is one. */
static bool find(struct zcp_node *node, struct search *search, char *difference, size_t size)
{
	simplify(search->written, search->topic);
	search->suggestion = zcp_suggestion_for(search->written);
	/* A runtime that does not answer is not what this is about. */
	if (cli_topics_each(node, look_at, search) < 0 || search->found[0] == '\0')
		return false;
	describe_difference(search->topic, search->found, difference, size);
	return true;
}

void cli_complain_no_publisher(struct zcp_node *node, const char *topic)
{
	struct search search = { .topic = topic };
	char difference[64];

	if (find(node, &search, difference, sizeof(difference)))
		cli_complain("nobody publishes on '%s'; there is '%s'%s", topic, search.found,
			     difference);
	else
		cli_complain("nobody publishes on '%s'", topic);
	cli_elsewhere_complain_chosen(node);
}

void cli_complain_no_subscriber(struct zcp_node *node, const char *topic, bool only_alike)
{
	struct search search = { .topic = topic, .waited_for = true };
	char difference[64];

	if (find(node, &search, difference, sizeof(difference)))
		cli_complain("nobody subscribes to '%s'; there are subscribers of '%s'%s", topic,
			     search.found, difference);
	else if (!only_alike)
		cli_complain("nobody subscribes to '%s'", topic);
	if (!only_alike)
		cli_elsewhere_complain_chosen(node);
}

bool cli_complain_no_topic(struct zcp_node *node, const char *topic)
{
	struct search search = { .topic = topic };
	char difference[64];

	if (!find(node, &search, difference, sizeof(difference)))
		return false;
	cli_complain("there is no topic '%s'; there is '%s'%s", topic, search.found, difference);
	return true;
}
