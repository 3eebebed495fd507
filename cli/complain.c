/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each sentence is put together first, so that those of several processes do not mix.
 */
#include "cli/complain.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/utf8.h"

#define SENTENCE_SIZE 2048

static const char *command;

void cli_complain_as(const char *name)
{
	command = name;
}

/*
 * What cannot be written to standard error can be told nowhere else. Names in it, and all of a
 * runtime's sentence, come from other programs, of other users too.
 */
static void say(const char *text, const char *remedy)
{
	char sentence[SENTENCE_SIZE];

	(void)snprintf(sentence, sizeof(sentence), "%s", text);
	cli_utf8_make_printable(sentence);
	(void)fprintf(stderr, "zcp%s%s: %s%s\n", command ? " " : "", command ? command : "",
		      sentence, remedy);
}

void cli_complain(const char *format, ...)
{
	char sentence[SENTENCE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	say(sentence, "");
}

int cli_complain_usage(const char *format, ...)
{
	char sentence[SENTENCE_SIZE], remedy[64];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	(void)snprintf(remedy, sizeof(remedy), " (see zcp %s%s--help)", command ? command : "",
		       command ? " " : "");
	say(sentence, remedy);
	return CLI_EXIT_USAGE;
}

void cli_complain_anew(const char *topic)
{
	cli_complain("topic '%s' was lost with its runtime, and is opened anew: messages that were "
		     "under way are lost",
		     topic);
}

int cli_complain_error(const struct zcp_node *node, int error, const char *format, ...)
{
	const char *known = zcp_node_error(node);
	char sentence[SENTENCE_SIZE];
	va_list arguments;

	if (known[0] != '\0') {
		say(known, "");
		return CLI_EXIT_FAILED;
	}
	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	cli_complain("%s: %s", sentence, zcp_strerror(error));
	return CLI_EXIT_FAILED;
}
