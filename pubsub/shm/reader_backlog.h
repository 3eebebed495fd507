/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history that a subscriber is given when it joins, on its way into the reader.
 */
#ifndef ZCP_SHM_READER_BACKLOG_H
#define ZCP_SHM_READER_BACKLOG_H

#include "pubsub/shm/reader.h"

/*
 * Moves the backlog into a reader whose first look at its lanes is made. Returns 0, or
 * -ENOMEM with the backlog still the caller's.
 */
__attribute__((warn_unused_result)) int zcp_reader_take_over(struct zcp_reader *reader,
							     struct zcp_backlog *backlog);

#endif
