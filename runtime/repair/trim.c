/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One timer for all pools.
 */
#include "runtime/repair/trim.h"

#include "pubsub/util.h"
#include "runtime/domain/trim_pool.h"
#include "runtime/open/reserve.h"
#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"

#define NS_PER_MS UINT64_C(1000000)

static void on_timer(uv_timer_t *timer);

/*
 * For a pool that the configuration does not name any more what holds for all. What is reserved
 * stays.
 */
static uint64_t trim_after_of(const struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	const struct zcpd_pool_config *named;
	struct zcpd_topic_config topic;

	if (zcpd_reserve_is_wanted(registry, pool))
		return ZCPD_CONFIG_NEVER;
	if (pool->entry.automatic) {
		zcpd_config_topic(registry->config, pool->entry.name, &topic);
		return topic.trim_after_ns;
	}
	named = zcpd_config_pool(registry->config, pool->entry.name);
	return named ? named->trim_after_ns : registry->config->defaults.trim_after_ns;
}

static void call_for_each(struct zcpd_trim *trim,
			  void (*call)(struct zcpd_trim *trim, struct zcpd_pool *pool, void *user),
			  void *user)
{
	struct zcpd_topic *topic;
	struct zcpd_pool *pool;

	LIST_FOREACH(pool, &trim->registry->pools, link)
		call(trim, pool, user);
	LIST_FOREACH(topic, &trim->registry->topics, link)
		if (topic->pool->entry.automatic)
			call(trim, topic->pool, user);
}

static void wait_until(struct zcpd_trim *trim, uint64_t due_ns)
{
	uint64_t now_ns = zcp_now_ns();

	if (due_ns == ZCPD_TRIM_IDLE)
		(void)uv_timer_stop(&trim->timer);
	else
		/*
		 * Rounded up: a turn that is not due does nothing. Never 0: libuv would run the
		 * timers again before it serves a node.
		 */
		(void)uv_timer_start(&trim->timer, on_timer,
				     due_ns > now_ns ? (due_ns - now_ns) / NS_PER_MS + 1 : 1, 0);
}

/* Frees what has come back of publishers that are gone. Returns whether they have left more. */
static bool sweep(struct zcpd_trim *trim, const struct zcpd_pool *pool)
{
	struct zcpd_topic *topic;
	bool has_left = false;

	LIST_FOREACH(topic, &trim->registry->topics, link) {
		if (topic->pool != pool || !topic->has_left)
			continue;
		ZCP_IGNORE(zcpd_topic_sweep(topic, false));
		has_left = has_left || topic->has_left;
	}
	return has_left;
}

/* Makes the turn of a pool if it is due, and finds out which one is due first. */
static void turn(struct zcpd_trim *trim, struct zcpd_pool *pool, void *user)
{
	uint64_t *first_ns = user, now_ns = zcp_now_ns();

	if (zcpd_trim_pool_due(pool) <= now_ns)
		zcpd_trim_pool_turn(pool, sweep(trim, pool), now_ns);
	if (zcpd_trim_pool_due(pool) < *first_ns)
		*first_ns = zcpd_trim_pool_due(pool);
}

static void on_timer(uv_timer_t *timer)
{
	struct zcpd_trim *trim = timer->data;
	uint64_t first_ns = ZCPD_TRIM_IDLE;

	call_for_each(trim, turn, &first_ns);
	wait_until(trim, first_ns);
}

void zcpd_trim_init(struct zcpd_trim *trim, struct zcpd_registry *registry, uv_loop_t *loop)
{
	*trim = (struct zcpd_trim){ .registry = registry };
	(void)uv_timer_init(loop, &trim->timer);
	trim->timer.data = trim;
}

static void freed(struct zcpd_trim *trim, struct zcpd_pool *pool, void *user)
{
	uint64_t before_ns = zcpd_trim_pool_due(pool);

	(void)user;
	zcpd_trim_pool_freed(pool, trim_after_of(trim->registry, pool), zcp_now_ns());
	/* What is due now is due before all others, whose turns come with it. */
	if (zcpd_trim_pool_due(pool) < before_ns)
		wait_until(trim, 0);
}

void zcpd_trim_freed(struct zcpd_trim *trim, struct zcpd_pool *pool)
{
	if (!trim->is_stopped)
		freed(trim, pool, NULL);
}

void zcpd_trim_start_all(struct zcpd_trim *trim)
{
	trim->is_stopped = false;
	call_for_each(trim, freed, NULL);
}

void zcpd_trim_stop(struct zcpd_trim *trim)
{
	trim->is_stopped = true;
	if (trim->registry)
		(void)uv_timer_stop(&trim->timer);
}

void zcpd_trim_deinit(struct zcpd_trim *trim)
{
	zcpd_trim_stop(trim);
	trim->registry = NULL;
}
