/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acks regions: where things lie, what is refused at attach, and what is left for a slot's next
 * subscriber.
 */
#include "pubsub/shm/acks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pubsub/layout/topic_shm.h"
#include "tests/support/check.h"

#define DOMAIN UINT64_C(42)
#define TOPIC UINT64_C(7)
#define N_PUBLISHERS 3
#define N_SUBSCRIBERS 5

/* Returns the descriptor. */
static int make(uint32_t max_publishers, uint32_t max_subscribers, struct zcp_region *region)
{
	int fd = -1;

	cr_assert_eq(zcp_region_create(region, &fd, "zcp-test",
				       zcp_acks_size(max_publishers, max_subscribers)),
		     0);
	zcp_acks_construct(region, max_publishers, max_subscribers, DOMAIN, TOPIC);
	return fd;
}

static void attach(struct zcp_acks *acks)
{
	struct zcp_region region;
	const char *why = "";
	int fd = make(N_PUBLISHERS, N_SUBSCRIBERS, &region);

	cr_assert_eq(zcp_acks_attach(acks, fd, N_PUBLISHERS, N_SUBSCRIBERS, DOMAIN, TOPIC, &why), 0,
		     "%s", why);
	zcp_region_deinit(&region);
	close(fd);
}

/* A block is whole pages; nothing overlaps, and no two share a line. */
static void check_layout(uint32_t max_publishers, uint32_t max_subscribers)
{
	struct zcp_region region;
	struct zcp_acks acks;
	const char *why = "", *next;
	int fd = make(max_publishers, max_subscribers, &region);

	cr_assert_eq(zcp_acks_attach(&acks, fd, max_publishers, max_subscribers, DOMAIN, TOPIC,
				     &why),
		     0, "%s", why);
	cr_assert_eq(acks.max_publishers, max_publishers);
	cr_assert_eq(acks.max_subscribers, max_subscribers);
	next = (const char *)&acks.shm->rooms[max_publishers];
	for (uint32_t s = 0; s < max_subscribers; s++) {
		const char *block = zcp_acks_block(&acks, s);

		ZCP_CHECK(block >= next);
		ZCP_CHECK((uintptr_t)block % 4096 == 0);
		ZCP_CHECK((const char *)zcp_acks_counts(&acks, s) == block);
		next = block + sizeof(struct zcp_ack_counts_shm);
		for (uint32_t p = 0; p < max_publishers; p++) {
			ZCP_CHECK((const char *)zcp_acks_ack(&acks, p, s) == next);
			ZCP_CHECK((uintptr_t)next % 64 == 0);
			next += sizeof(struct zcp_ack_shm);
		}
		ZCP_CHECK((const char *)zcp_acks_held(&acks, s) == next);
		next = (const char *)(zcp_acks_held(&acks, s) + ZCP_HELD_MAX);
	}
	cr_assert_leq((size_t)(next - (const char *)acks.region.base),
		      zcp_acks_size(max_publishers, max_subscribers));
	zcp_acks_deinit(&acks);
	cr_assert_null(acks.shm);
	zcp_region_deinit(&region);
	close(fd);
}

Test(acks, blocks_are_whole_pages_and_lie_apart_whatever_the_limits)
{
	check_layout(1, 1);
	check_layout(N_PUBLISHERS, N_SUBSCRIBERS);
	check_layout(ZCP_TOPIC_PUBLISHERS_MAX, 1);
	check_layout(1, ZCP_TOPIC_SUBSCRIBERS_MAX);
	check_layout(ZCP_TOPIC_PUBLISHERS_MAX, ZCP_TOPIC_SUBSCRIBERS_MAX);
}

/* Few hold that many, and few topics have all their subscribers. */
Test(acks, region_takes_memory_only_where_it_is_used)
{
	struct zcp_region region;
	struct stat st;
	int fd = make(ZCP_TOPIC_PUBLISHERS_MAX, ZCP_TOPIC_SUBSCRIBERS_MAX, &region);
	struct zcp_acks acks;
	const char *why = "";

	cr_assert_eq(zcp_acks_attach(&acks, fd, ZCP_TOPIC_PUBLISHERS_MAX, ZCP_TOPIC_SUBSCRIBERS_MAX,
				     DOMAIN, TOPIC, &why),
		     0, "%s", why);
	/* Nobody was in any of these slots. */
	for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s += 4)
		zcp_acks_reset(&acks, s);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_leq(st.st_blocks * 512, 4096 * (2 + ZCP_TOPIC_SUBSCRIBERS_MAX / 4));
	zcp_acks_deinit(&acks);
	zcp_region_deinit(&region);
	close(fd);
}

Test(acks, held_entry_keeps_slot_and_number_apart_and_is_never_vacant)
{
	uint64_t most = ZCP_HELD_SEQ_MASK;

	cr_assert_eq(zcp_held(0, 1), 1);
	cr_assert_eq(zcp_held(63, most) >> ZCP_HELD_SLOT_SHIFT, 63);
	cr_assert_eq(zcp_held(63, most) & ZCP_HELD_SEQ_MASK, most);
	cr_assert_eq(zcp_held(5, 9) >> ZCP_HELD_SLOT_SHIFT, 5);
	cr_assert_eq(zcp_held(5, 9) & ZCP_HELD_SEQ_MASK, 9);
	/* Numbers begin at 1. */
	cr_assert_neq(zcp_held(0, 1), 0);
	/* One that is too large does not become another publisher's. */
	cr_assert_eq(zcp_held(1, most + 1) >> ZCP_HELD_SLOT_SHIFT, 1);
}

Test(acks, reset_leaves_nothing_that_is_held_and_what_was_lost)
{
	struct zcp_ack_counts_shm *counts;
	_Atomic uint64_t *held;
	struct zcp_acks acks;

	attach(&acks);
	for (uint32_t s = 0; s < N_SUBSCRIBERS; s++) {
		counts = zcp_acks_counts(&acks, s);
		held = zcp_acks_held(&acks, s);
		for (uint32_t i = 0; i < 10; i++)
			zcp_test_store(&held[i], zcp_held(0, i + 1));
		zcp_test_store(&held[ZCP_HELD_MAX - 1], zcp_held(0, 77));
		zcp_test_store(&counts->n_held, 9);
		zcp_test_store(&counts->watches, 1);
		zcp_test_store(&counts->abandoned, 1);
		zcp_test_store(&counts->n_lost, 5);
	}
	zcp_acks_reset(&acks, 2);
	for (uint32_t s = 0; s < N_SUBSCRIBERS; s++) {
		counts = zcp_acks_counts(&acks, s);
		held = zcp_acks_held(&acks, s);
		for (uint32_t i = 0; i < 9; i++)
			cr_assert_eq(zcp_test_load(&held[i]), s == 2 ? 0 : zcp_held(0, i + 1));
		cr_assert_eq(zcp_test_load(&counts->n_held), s == 2 ? 0 : 9);
		cr_assert_eq(zcp_test_load(&counts->watches), s != 2);
		cr_assert_eq(zcp_test_load(&counts->abandoned), s != 2);
		cr_assert_eq(zcp_test_load(&counts->n_lost), 5);
	}
	/* A count that lies. */
	zcp_test_store(&zcp_acks_counts(&acks, 4)->n_held, UINT32_MAX);
	zcp_acks_reset(&acks, 4);
	cr_assert_eq(zcp_test_load(&zcp_acks_held(&acks, 4)[ZCP_HELD_MAX - 1]), 0);
	cr_assert_eq(zcp_test_load(&zcp_acks_counts(&acks, 4)->n_held), 0);
	zcp_acks_deinit(&acks);
}

/* --- what is refused --- */

static void assert_refused(int fd, uint32_t max_publishers, uint32_t max_subscribers,
			   const char *words)
{
	struct zcp_acks acks = { .shm = NULL };
	const char *why = "";

	cr_assert_eq(zcp_acks_attach(&acks, fd, max_publishers, max_subscribers, DOMAIN, TOPIC,
				     &why),
		     -EPROTO);
	cr_assert(strstr(why, words), "it says: %s", why);
	cr_assert_null(acks.shm);
}

Test(acks, region_of_another_topic_is_refused)
{
	struct zcp_region region;
	int fd = make(N_PUBLISHERS, N_SUBSCRIBERS, &region);

	/* Its limits are others, and the region is large enough for these. */
	assert_refused(fd, N_PUBLISHERS - 1, N_SUBSCRIBERS, "not the topic's");
	assert_refused(fd, N_PUBLISHERS, N_SUBSCRIBERS - 1, "not the topic's");
	assert_refused(fd, N_PUBLISHERS, N_SUBSCRIBERS + 1, "too short");
	/* Its number is. */
	zcp_region_publish(&region, ZCP_REGION_ACKS, DOMAIN, TOPIC + 1);
	assert_refused(fd, N_PUBLISHERS, N_SUBSCRIBERS, "not the topic's");
	zcp_region_publish(&region, ZCP_REGION_ACKS, DOMAIN + 1, TOPIC);
	assert_refused(fd, N_PUBLISHERS, N_SUBSCRIBERS, "another domain");
	zcp_region_publish(&region, ZCP_REGION_TOPIC, DOMAIN, TOPIC);
	assert_refused(fd, N_PUBLISHERS, N_SUBSCRIBERS, "another kind");
	zcp_region_deinit(&region);
	close(fd);
}

Test(acks, layout_other_than_the_limits_say_is_refused)
{
	for (int i = 0; i < 4; i++) {
		struct zcp_region region;
		int fd = make(N_PUBLISHERS, N_SUBSCRIBERS, &region);
		struct zcp_acks_shm *shm = region.base;

		shm->max_publishers += i == 0;
		shm->max_subscribers += i == 1;
		shm->blocks_offset += i == 2 ? 4096 : 0;
		shm->block_stride += i == 3 ? 4096 : 0;
		assert_refused(fd, N_PUBLISHERS, N_SUBSCRIBERS, "not the topic's");
		zcp_region_deinit(&region);
		close(fd);
	}
}

Test(acks, region_that_cannot_be_written_is_refused)
{
	struct zcp_acks acks = { .shm = NULL };
	struct zcp_region region;
	const char *why = "";
	int fd = make(N_PUBLISHERS, N_SUBSCRIBERS, &region);
	int readonly = zcp_region_open_readonly(fd);

	cr_assert_eq(zcp_acks_attach(&acks, readonly, N_PUBLISHERS, N_SUBSCRIBERS, DOMAIN, TOPIC,
				     &why),
		     -EACCES);
	cr_assert_str_not_empty(why);
	cr_assert_null(acks.shm);
	close(readonly);
	zcp_region_deinit(&region);
	close(fd);
}

/* The runtime believes nothing in it, not even the header: others have been able to write there. */
Test(acks, runtime_maps_by_what_it_knows)
{
	struct zcp_region region;
	struct zcp_acks acks = { .shm = NULL };
	int fd = make(N_PUBLISHERS, N_SUBSCRIBERS, &region);

	memset(region.base, 0xff, sizeof(struct zcp_acks_shm));
	cr_assert_eq(zcp_acks_map(&acks, fd, N_PUBLISHERS, N_SUBSCRIBERS + 1, 0), -EPROTO);
	cr_assert_null(acks.shm);
	cr_assert_eq(zcp_acks_map(&acks, fd, N_PUBLISHERS, N_SUBSCRIBERS, 0), 0);
	cr_assert_eq((size_t)(zcp_acks_block(&acks, N_SUBSCRIBERS) - (char *)acks.region.base),
		     zcp_acks_size(N_PUBLISHERS, N_SUBSCRIBERS));
	zcp_acks_deinit(&acks);
	zcp_region_deinit(&region);
	close(fd);
}
