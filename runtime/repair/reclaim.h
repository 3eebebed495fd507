/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a topic's membership, and repair after processes that are gone. Everything here may
 * be repeated, and is done while the other processes run at full speed; nothing blocks.
 *
 * Nodes that are to look again are woken through `signals`, and through their eventfd where
 * they have one in `signal_fds`.
 */
#ifndef ZCPD_REPAIR_RECLAIM_H
#define ZCPD_REPAIR_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/shm/signal.h"
#include "runtime/domain/topic.h"

/*
 * After a change of the membership: one heavy fence, and a look at which publishers are inside a
 * publish. All others see the change.
 */
void zcpd_grace_begin(struct zcpd_grace *grace, const struct zcpd_topic *topic, bool symmetric);

/* Whether all of those have left the publish they were in. */
bool zcpd_grace_is_over(struct zcpd_grace *grace, const struct zcpd_topic *topic);

/*
 * Puts down in its slot how far an endpoint is, for a runtime that the region may be handed back
 * to; where the slot is its own already. `gone`: nothing is left of it.
 */
void zcpd_member_set_state(const struct zcpd_endpoint *endpoint, bool gone);

/* Its first number: that of the slot's next message. */
void zcpd_publisher_settle_start(const struct zcpd_topic *topic, struct zcpd_endpoint *publisher);

/* A publisher's slot is given away: before the runtime answers. */
void zcpd_publisher_enter(struct zcpd_topic *topic, struct zcpd_endpoint *publisher,
			  const struct zcp_signals *signals, const int *signal_fds);

/*
 * A publisher has left or its process is dead: the publish it was in is finished or undone and its
 * loans are FREE. What it has published stays its slot's, and of that `kept` messages at most stay
 * for joiners. Wakes subscribers that may have missed its wake.
 */
void zcpd_publisher_recover(struct zcpd_topic *topic, struct zcpd_endpoint *publisher,
			    const struct zcp_signals *signals, const int *signal_fds);

/*
 * Tells nodes that wait for subscribers, or watch them, which are OPEN now. Not before: where a
 * subscriber begins is settled only when every publisher has left the publish it was in.
 */
void zcpd_members_announce(struct zcpd_topic *topic, const struct zcp_signals *signals,
			   const int *signal_fds);

/* Tells nodes that watch publishers, or wait for them, which there are now. */
void zcpd_publishers_announce(struct zcpd_topic *topic, const struct zcp_signals *signals,
			      const int *signal_fds);

/*
 * A subscriber joins: its lanes and acks are reset and publishers see it; the grace period follows.
 * Of a join that a worker before us has begun, with the subscriber active by then, only the grace
 * period is begun again.
 */
void zcpd_subscriber_join(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber);

/*
 * After the grace period, or after as much of it as a join waits for: where each lane begins and
 * where its promised history does. A lane whose publisher is still in the op that `grace` saw is
 * left to that publisher.
 */
void zcpd_subscriber_settle(struct zcpd_topic *topic, const struct zcpd_endpoint *subscriber,
			    const struct zcpd_grace *grace);

/*
 * A subscriber leaves for good: publishers no longer see it, and those that it blocked are woken;
 * the grace period follows, and then the slot may be given again.
 */
void zcpd_subscriber_leave(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber,
			   const struct zcp_signals *signals, const int *signal_fds);

/* The same for one whose process lives: what it has stays its own until the process is gone. */
void zcpd_subscriber_deactivate(struct zcpd_topic *topic, struct zcpd_endpoint *subscriber,
				const struct zcp_signals *signals, const int *signal_fds);

#endif
