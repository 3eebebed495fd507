/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting and dying.
 */
#include "pubsub/shm/crashpoint.h"

#ifdef ZCP_CRASHPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern struct zcp_crashpoint __start_zcp_crashpoints[];
extern struct zcp_crashpoint __stop_zcp_crashpoints[];

static const char *armed;
static uint64_t left;

void zcp_crashpoint_arm(const char *name, uint64_t k)
{
	struct zcp_crashpoint *point = __start_zcp_crashpoints;

	armed = k > 0 ? name : NULL;
	left = k;
	for (; point < __stop_zcp_crashpoints; point++)
		atomic_store_explicit(&point->n_passed, 0, memory_order_relaxed);
}

static void die(void)
{
	const char *once = getenv("ZCP_CRASHPOINT_ONCE");
	int fd = once ? open(once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;

	armed = NULL;
	if (once && fd < 0)
		return;
	if (getenv("ZCP_CRASHPOINT_WITH_PARENT"))
		(void)kill(getppid(), SIGKILL);
	(void)kill(getpid(), SIGKILL);
}

void zcp_crashpoint_pass(struct zcp_crashpoint *point)
{
	/* Relaxed: a count. No thread arms what another one of the process passes. */
	(void)atomic_fetch_add_explicit(&point->n_passed, 1, memory_order_relaxed);
	if (armed && strcmp(armed, point->name) == 0 && --left == 0)
		die();
}

const struct zcp_crashpoint *zcp_crashpoint_begin(void)
{
	return __start_zcp_crashpoints;
}

const struct zcp_crashpoint *zcp_crashpoint_end(void)
{
	return __stop_zcp_crashpoints;
}

/* NAME:K in the environment. */
__attribute__((constructor)) static void arm_from_environment(void)
{
	static char name[64];
	const char *text = getenv("ZCP_CRASHPOINT"), *colon = text ? strrchr(text, ':') : NULL;

	if (!colon || (size_t)(colon - text) >= sizeof(name))
		return;
	memcpy(name, text, (size_t)(colon - text));
	zcp_crashpoint_arm(name, strtoull(colon + 1, NULL, 10));
}

#else

/* A file has something in it. */
typedef int zcp_no_crashpoints;

#endif
