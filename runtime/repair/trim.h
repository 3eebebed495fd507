/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the runtime gives memory back: one timer for all pools, which runs only while some pool
 * has a FREE chunk whose time is still to come. See trim_pool.h.
 */
#ifndef ZCPD_REPAIR_TRIM_H
#define ZCPD_REPAIR_TRIM_H

#include <stdbool.h>
#include <uv.h>

#include "runtime/domain/registry.h"

struct zcpd_trim {
	uv_timer_t timer;
	struct zcpd_registry *registry;
	bool is_stopped;
};

/* Both are borrowed. Nothing is done before something was freed. */
void zcpd_trim_init(struct zcpd_trim *trim, struct zcpd_registry *registry, uv_loop_t *loop);

/*
 * Chunks of the pool became FREE, or may be: a node says so, the runtime has freed some itself
 * (recovery, a sweep, the end of a topic whose pool goes on), or a pool was taken over. Cheap
 * where the pool is being looked at already.
 */
void zcpd_trim_freed(struct zcpd_trim *trim, struct zcpd_pool *pool);

/* The same for all pools, after those of a runtime before us were taken over; undoes a stop. */
void zcpd_trim_start_all(struct zcpd_trim *trim);

/* Nothing is given back any more: another runtime takes over, or this one ends. */
void zcpd_trim_stop(struct zcpd_trim *trim);

/* Stops; the timer's handle is closed with the loop's others. A zeroed one is allowed. */
void zcpd_trim_deinit(struct zcpd_trim *trim);

#endif
