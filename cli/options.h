/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's options as a table: what the command line is read by, and what --help prints.
 */
#ifndef ZCP_CLI_OPTIONS_H
#define ZCP_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_option_kind {
	CLI_OPTION_END = 0,
	CLI_OPTION_FLAG,   /* bool */
	CLI_OPTION_COUNT,  /* uint64_t; from min to max */
	CLI_OPTION_SIZE,   /* uint64_t: bytes, "8MiB"; from min to max */
	CLI_OPTION_NUMBER, /* double; above 0, at most max */
	CLI_OPTION_TEXT,   /* const char * into argv; not empty */
	CLI_OPTION_CHOICE, /* uint32_t: 1 for the first of `choices`, and so on */
};

struct cli_option {
	enum cli_option_kind kind;
	/* of the field in the command's struct; what is not given keeps its value there */
	size_t offset;
	/* without the dashes */
	const char *name;
	/* its argument as --help shows it; NULL for a flag */
	const char *argument;
	/* for --help, lines end with \n; no full stop */
	const char *help;
	uint64_t min;
	uint64_t max;
	/* NULL after the last */
	const char *const *choices;
};

/* What every command knows: which runtime. */
struct cli_common {
	const char *domain;
	const char *runtime_dir;
	bool no_start;
	/* the command only asks: root may ask any user's runtime */
	bool looks;
	/* it says nothing of runtimes elsewhere, or says it itself */
	bool quiet;
};

/* The lines for it in a command's table; `member` is its place in struct `type`. */
#define CLI_COMMON_OPTIONS(type, member)                                                           \
	{ .kind = CLI_OPTION_TEXT,                                                                 \
	  .offset = offsetof(struct type, member.domain),                                          \
	  .name = "domain",                                                                        \
	  .argument = "NAME",                                                                      \
	  .help = "which runtime (default: $ZCP_DOMAIN, else \"default\")" },                      \
		{ .kind = CLI_OPTION_TEXT,                                                         \
		  .offset = offsetof(struct type, member.runtime_dir),                             \
		  .name = "runtime-dir",                                                           \
		  .argument = "DIR",                                                               \
		  .help = "where runtimes have their sockets (default: $ZCP_RUNTIME_DIR,\n"        \
			  "else $XDG_RUNTIME_DIR/zcp, else /run/zcp or /tmp/zcp-UID)" },           \
	{                                                                                          \
		.kind = CLI_OPTION_FLAG, .offset = offsetof(struct type, member.no_start),         \
		.name = "no-start",                                                                \
		.help = "do not start a runtime where none answers (list and info\n"               \
			"never do)",                                                               \
	}

struct cli_command;

/* What cli_options_parse() returns when the command is to run. */
#define CLI_OPTIONS_RUN (-1)

/*
 * Reads a command line into the struct at `options`, whose fields are set to their defaults.
 * `topic` receives the one argument; NULL where the command takes none.
 * Returns CLI_OPTIONS_RUN, or the exit code where there is nothing to run: --help was asked
 * for and printed, or a mistake was complained about.
 */
__attribute__((warn_unused_result)) int cli_options_parse(const struct cli_command *command,
							  void *options, const char **topic,
							  int argc, char **argv);

#endif
