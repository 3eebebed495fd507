/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines, by getopt_long(3), with sentences of our own for what is wrong with them.
 */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/complain.h"
#include "cli/help.h"
#include "common/suggest.h"
#include "common/units.h"

#define OPTIONS_MAX 32

/* getopt_long's values for options without a letter: this and the option's place. */
#define LONG_BASE 256

static int parse_count(const struct cli_option *option, const char *text, uint64_t *out)
{
	const char *digits = "0123456789";
	uint64_t value = 0;

	/* strtoull() would take blanks and a minus sign. */
	errno = text[0] == '\0' || text[strspn(text, digits)] != '\0' ? EINVAL : 0;
	if (errno == 0)
		value = strtoull(text, NULL, 10);
	if (errno || value < option->min || value > option->max) {
		if (option->max == UINT64_MAX)
			return cli_complain_usage("--%s wants a whole number of %" PRIu64
						  " or more, not '%s'",
						  option->name, option->min, text);
		return cli_complain_usage("--%s wants a whole number from %" PRIu64 " to %" PRIu64
					  ", not '%s'",
					  option->name, option->min, option->max, text);
	}
	*out = value;
	return CLI_OPTIONS_RUN;
}

static int parse_size(const struct cli_option *option, const char *text, uint64_t *out)
{
	char min[ZCP_UNITS_TEXT_SIZE], max[ZCP_UNITS_TEXT_SIZE];
	uint64_t value;
	int r;

	r = zcp_units_parse_size(text, &value);
	if (r == ZCP_UNITS_E_NUMBER || r == ZCP_UNITS_E_UNIT)
		return cli_complain_usage(
			"--%s wants bytes, for example 4096, 64KiB or 8MiB, not '%s'; units are %s",
			option->name, text, ZCP_UNITS_SIZES);
	if (r != 0 || value < option->min || value > option->max)
		return cli_complain_usage("--%s wants %s to %s, not '%s'", option->name,
					  zcp_units_format_size(min, option->min),
					  zcp_units_format_size(max, option->max), text);
	*out = value;
	return CLI_OPTIONS_RUN;
}

static int parse_number(const struct cli_option *option, const char *text, double *out)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(value) || value <= 0 ||
	    value > (double)option->max)
		return cli_complain_usage("--%s wants a number above 0 and up to %" PRIu64
					  ", for example 2.5, not '%s'",
					  option->name, option->max, text);
	*out = value;
	return CLI_OPTIONS_RUN;
}

static int parse_choice(const struct cli_option *option, const char *text, uint32_t *out)
{
	char words[128] = "";
	uint32_t i;

	for (i = 0; option->choices[i]; i++) {
		size_t used = strlen(words);

		if (strcmp(option->choices[i], text) == 0) {
			*out = i + 1;
			return CLI_OPTIONS_RUN;
		}
		(void)snprintf(words + used, sizeof(words) - used, "%s%s", i ? " or " : "",
			       option->choices[i]);
	}
	return cli_complain_usage("--%s wants %s, not '%s'", option->name, words, text);
}

static int parse_value(const struct cli_option *option, void *options, const char *text)
{
	void *field = (char *)options + option->offset;

	switch (option->kind) {
	case CLI_OPTION_FLAG:
		*(bool *)field = true;
		return CLI_OPTIONS_RUN;
	case CLI_OPTION_COUNT:
		return parse_count(option, text, field);
	case CLI_OPTION_SIZE:
		return parse_size(option, text, field);
	case CLI_OPTION_NUMBER:
		return parse_number(option, text, field);
	case CLI_OPTION_TEXT:
		if (text[0] == '\0')
			return cli_complain_usage("--%s wants a %s, not ''", option->name,
						  option->argument);
		*(const char **)field = text;
		return CLI_OPTIONS_RUN;
	case CLI_OPTION_CHOICE:
		return parse_choice(option, text, field);
	case CLI_OPTION_END:
		break;
	}
	abort();
}

/* `written` begins with two dashes and getopt_long() could make nothing of it. */
static int complain_long(const struct cli_command *command, const char *written)
{
	struct zcp_suggestion suggestion;
	size_t n = strcspn(written + 2, "=");
	unsigned int n_like = 0;
	char name[64];

	(void)snprintf(name, sizeof(name), "%.*s", (int)(n < 60 ? n : 60), written + 2);
	suggestion = zcp_suggestion_for(name);
	for (const struct cli_option *o = command->options; o->kind != CLI_OPTION_END; o++) {
		n_like += strncmp(o->name, name, n) == 0;
		zcp_suggestion_offer(&suggestion, o->name);
	}
	if (n_like > 1)
		return cli_complain_usage("--%s is the beginning of several options", name);
	if (suggestion.best)
		return cli_complain_usage("there is no option --%s; did you mean --%s?", name,
					  suggestion.best);
	return cli_complain_usage("there is no option --%s", name);
}

/* What getopt_long() answered with '?' or ':'. */
static int complain(const struct cli_command *command, int answer, char **argv)
{
	if (optopt >= LONG_BASE) {
		const struct cli_option *option = &command->options[optopt - LONG_BASE];

		if (answer == ':')
			return cli_complain_usage("--%s wants a value: --%s %s", option->name,
						  option->name, option->argument);
		return cli_complain_usage("--%s takes no value", option->name);
	}
	if (optopt == 'h')
		return cli_complain_usage("--help takes no value");
	if (optopt != 0)
		return cli_complain_usage("there is no option -%c", optopt);
	return complain_long(command, argv[optind - 1]);
}

static int parse_topic(const char **topic, int argc, char **argv)
{
	if (!topic && optind < argc)
		return cli_complain_usage("'%s' is one argument too many: it takes none",
					  argv[optind]);
	if (!topic)
		return CLI_OPTIONS_RUN;
	if (optind == argc)
		return cli_complain_usage("which topic? Give its name");
	if (optind + 1 < argc)
		return cli_complain_usage("'%s' is one argument too many: it takes one topic",
					  argv[optind + 1]);
	*topic = argv[optind];
	return CLI_OPTIONS_RUN;
}

int cli_options_parse(const struct cli_command *command, void *options, const char **topic,
		      int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 2] = { { "help", no_argument, NULL, 'h' } };
	int n, r, answer;

	for (n = 0; command->options[n].kind != CLI_OPTION_END && n < OPTIONS_MAX; n++)
		longs[n + 1] = (struct option){
			.name = command->options[n].name,
			.has_arg = command->options[n].kind == CLI_OPTION_FLAG ? no_argument :
										 required_argument,
			.val = LONG_BASE + n,
		};

	/* 0 and not 1: glibc then forgets all of an earlier line. */
	optind = 0;
	opterr = 0;
	while ((answer = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (answer == 'h')
			return cli_help_command(command);
		if (answer < LONG_BASE)
			return complain(command, answer, argv);
		r = parse_value(&command->options[answer - LONG_BASE], options, optarg);
		if (r != CLI_OPTIONS_RUN)
			return r;
	}
	return parse_topic(topic, argc, argv);
}
