/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: the last messages of a publisher stay its chunks, and are found by owner and number.
 * A subscriber that has joined is answered with the descriptions of those that were promised to
 * it, which `floor` and `base` of each lane protect until it has taken them.
 */
#ifndef ZCPD_REPAIR_HISTORY_H
#define ZCPD_REPAIR_HISTORY_H

#include "pubsub/flow/backlog.h"
#include "runtime/domain/topic.h"

/*
 * The chunk that has message `seq` of a publisher slot and is not on loan; with its ref where `ref`
 * is not NULL. NULL where it is gone.
 */
const struct zcp_chunk_shm *zcpd_history_find(const struct zcpd_topic *topic, uint32_t publisher,
					      uint64_t seq, uint32_t *ref);

/*
 * The promised history of a subscriber that has joined, as far as it has not taken it. Returns 0 or
 * -ENOMEM.
 */
__attribute__((warn_unused_result)) int zcpd_history_backlog(const struct zcpd_topic *topic,
							     const struct zcpd_endpoint *subscriber,
							     struct zcp_backlog *backlog);

#endif
