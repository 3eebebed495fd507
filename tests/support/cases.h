/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test program of several cases over real processes. Each case runs in a process of its
 * own, with an empty runtime directory of its own in ZCP_RUNTIME_DIR; whatever becomes of
 * it, the runtimes that it has started are ended by their pid, the directory is removed,
 * and a process that it leaves behind is a failure.
 */
#ifndef ZCP_TESTS_SUPPORT_CASES_H
#define ZCP_TESTS_SUPPORT_CASES_H

#include <stddef.h>

#include "tests/support/check.h"

struct zcp_node;

struct zcp_test_case {
	const char *name;
	/* ends the process with 1 (ZCP_CHECK) or ZCP_TEST_SKIPPED, or returns */
	void (*run)(void);
};

#define ZCP_TEST_CASE(function)                                                                    \
	{                                                                                          \
#function, function                                                                \
	}

/*
 * Runs the cases, or the one that argv[1] names. Returns what main() returns: 1 if one has
 * failed, 77 if all were skipped. Each case has 60 s, times ZCP_STRESS_ROUNDS where that is above 1.
 */
int zcp_test_cases(int argc, char **argv, const struct zcp_test_case *cases, size_t n_cases);

/* The program, by an array of its cases. */
#define ZCP_TEST_MAIN(cases)                                                                       \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof((cases)[0]));      \
	}

/* The case's directory: what ZCP_RUNTIME_DIR says. */
const char *zcp_test_directory(void);

/* Ends the case as skipped; says why. */
__attribute__((noreturn)) void zcp_test_skip(const char *why);

/* A call of zcp's that must give 0; `node` has the sentence, NULL: zcp_node_open(). */
#define ZCP_OK(call, node) zcp_test_ok(__FILE__, __LINE__, #call, (call), node)
void zcp_test_ok(const char *file, int line, const char *call, int r, const struct zcp_node *node);

/*
 * A call that must give `error`, with a sentence that has all of `words`, which are
 * separated by '|' (NULL: whatever the sentence is).
 */
#define ZCP_REFUSED(call, node, error, words)                                                      \
	zcp_test_refused(__FILE__, __LINE__, #call, (call), node, error, words)
void zcp_test_refused(const char *file, int line, const char *call, int r,
		      const struct zcp_node *node, int error, const char *words);

/* Whether `text` has all of `words`, separated by '|'; says which is missing. */
bool zcp_test_has(const char *text, const char *words);

#endif
