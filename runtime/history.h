/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: the messages that publishers have left RETAINED. Who joins late is given the last
 * of them; what a publisher leaves behind is cleared, or kept where the topic says so.
 */
#ifndef ZCPD_HISTORY_H
#define ZCPD_HISTORY_H

#include "pubsub/shm/backlog.h"
#include "runtime/topic.h"

/*
 * After the grace period of a join: the last messages of each publisher, at most the
 * subscriber's history of each, that are not in its lanes. They have its bit from here on.
 * Returns 0, or -ENOMEM with bits that the subscriber's end clears.
 */
__attribute__((warn_unused_result)) int zcpd_history_give(struct zcpd_topic *topic,
							  const struct zcpd_endpoint *subscriber,
							  struct zcp_backlog *backlog);

/*
 * A publisher gets a slot whose former ones have left messages: all but the last ones, as
 * many as it keeps itself, are history no more; the others are its to let go of.
 * Returns 0 or -ENOMEM.
 */
__attribute__((warn_unused_result)) int zcpd_history_hand_on(struct zcpd_topic *topic,
							     const struct zcpd_endpoint *publisher,
							     struct zcp_backlog *backlog);

/*
 * Before the recovery of a publisher's chunks: none of its slot's messages stay. They go from the
 * oldest on, so that whoever joins when this has ended halfway is not given older ones than those
 * that it cannot have. Without memory for that they stay, for recovery to clear.
 */
void zcpd_history_forget(struct zcpd_topic *topic, uint32_t slot);

/*
 * After the recovery of a publisher's chunks: only the last `history` messages of its slot
 * stay. Returns how many there are.
 */
uint32_t zcpd_history_trim(struct zcpd_topic *topic, uint32_t slot, uint32_t history);

#endif
