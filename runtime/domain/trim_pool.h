/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving a pool's memory back: what a burst has left is punched out of the data regions once it
 * has been FREE for trim_after.
 *
 * A look goes through all touched chunks, four times in trim_after. A chunk that was FREE at five
 * looks in a row and not claimed between them (`n_claims`) is claimed in the runtime's own name,
 * punched, and FREE again: one chunk at a time, which the sums of admission have room for. A look
 * is made in turns, so that the loop serves others meanwhile.
 *
 * Where a look finds no chunk whose time is still to come, the runtime asks in each size class to
 * be told of the next chunk that becomes FREE, looks once more, and is idle until then. Subscribers
 * do not tell the runtime when they give back what publishers that are gone have left: for that it
 * looks again after trim_after / 4, and after twice as long each time, a few times.
 *
 * Whole pages inside a chunk are given back, so chunks that are smaller than a page keep theirs.
 * Pools with prefault, lock or huge pages keep all.
 *
 * What a crash can leave: a chunk that is LOANED to ZCP_OWNER_RUNTIME; the next worker frees it.
 */
#ifndef ZCPD_DOMAIN_TRIM_POOL_H
#define ZCPD_DOMAIN_TRIM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/domain/pool.h"

/* No turn is due. */
#define ZCPD_TRIM_IDLE UINT64_MAX

/*
 * A chunk of the pool became FREE, or may be: the looks begin. trim_after_ns may be
 * ZCPD_CONFIG_NEVER. Where memory runs out nothing is given back until the next call.
 */
void zcpd_trim_pool_freed(struct zcpd_pool *pool, uint64_t trim_after_ns, uint64_t now_ns);

/*
 * When the next turn is due (CLOCK_MONOTONIC); a time that is past: now. ZCPD_TRIM_IDLE: none,
 * until zcpd_trim_pool_freed().
 */
uint64_t zcpd_trim_pool_due(const struct zcpd_pool *pool);

/*
 * One turn, if it is due: some thousand chunks are looked at, some are given back. `has_left`:
 * publishers that are gone have left some of the pool's chunks to subscribers.
 */
void zcpd_trim_pool_turn(struct zcpd_pool *pool, bool has_left, uint64_t now_ns);

/* What the looks remember of a pool; pool->trim, which may be NULL. Returns NULL. */
struct zcpd_trim_pool *zcpd_trim_pool_free(struct zcpd_trim_pool *trim);

#endif
