/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who plays.
 */
#include "bench/peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PEER(name) extern const struct bench_peer bench_##name##_peer;
#include "bench/peers.def"
#undef PEER

const struct bench_peer *const bench_peers[] = {
#define PEER(name) &bench_##name##_peer,
#include "bench/peers.def"
#undef PEER
	NULL,
};

static char error[160];

const struct bench_peer *bench_peer_find(const char *name)
{
	for (size_t i = 0; bench_peers[i]; i++)
		if (strcmp(bench_peers[i]->name, name) == 0)
			return bench_peers[i];
	return NULL;
}

int bench_peer_fail(int r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(error, sizeof(error), format, arguments);
	va_end(arguments);
	return r;
}

const char *bench_peer_error(void)
{
	return error;
}
