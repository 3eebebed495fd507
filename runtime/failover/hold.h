/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper holds the words that nodes sleep on as robust futexes (set_robust_list(2)): when it
 * ends, however it ends, the kernel marks each word and wakes the node that sleeps on it. That
 * looks whether the runtime is there, and sleeps again or looks for another one.
 *
 * Another keeper takes the words over by storing its own thread id into them: an heir when the
 * keeper has died, a successor while it lives; the end of the one before then marks nothing.
 */
#ifndef ZCPD_FAILOVER_HOLD_H
#define ZCPD_FAILOVER_HOLD_H

#include <stddef.h>
#include <stdint.h>

#include "pubsub/shm/region.h"

struct zcpd_hold {
	struct zcp_region signals;
	uint32_t n_signals;
	/* which region that is */
	uint64_t inode;
	/* what the kernel goes through at our end: see hold.c */
	void *list;
	size_t list_size;
};

/*
 * Holds the words of the domain's signal region (`fd`, borrowed), and of no other from then on; of
 * the one that is held already, nothing is done. For the keeper's one thread, whose list of robust
 * futexes of the C library ends by it. Returns 0 or a negative errno; then all is as it was.
 */
__attribute__((warn_unused_result)) int zcpd_hold_signals(struct zcpd_hold *hold, int fd);

/* Takes the words back from a keeper that was to go on and does not. */
void zcpd_hold_again(const struct zcpd_hold *hold);

#endif
