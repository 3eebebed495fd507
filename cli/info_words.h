/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for what is a number on the wire, and what follows from two.
 */
#ifndef ZCP_CLI_INFO_WORDS_H
#define ZCP_CLI_INFO_WORDS_H

#include <stdint.h>
#include <zcp/subscriber.h>

#include "pubsub/wire/message.h"

static inline const char *cli_info_on_full(uint32_t on_full)
{
	switch (on_full) {
	case ZCP_ON_FULL_DEFAULT:
	case ZCP_ON_FULL_DROP_OLDEST:
		return "drop-oldest";
	case ZCP_ON_FULL_BLOCK:
		return "block";
	default:
		/* a newer runtime's */
		return "unknown";
	}
}

static inline const char *cli_info_order(uint32_t order)
{
	switch (order) {
	case ZCP_ORDER_DEFAULT:
	case ZCP_ORDER_TURN:
		return "turn";
	case ZCP_ORDER_TIME:
		return "time";
	default:
		/* a newer runtime's */
		return "unknown";
	}
}

/* Chunks of a class that are left for further endpoints. */
static inline uint64_t cli_info_left(const struct zcp_class_info *c)
{
	return c->n_chunks > c->n_reserved ? c->n_chunks - c->n_reserved : 0;
}

#endif
