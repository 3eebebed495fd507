/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topic regions: where things lie, and what is refused at attach.
 */
#include "pubsub/shm/topic.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"

#define DOMAIN UINT64_C(42)

static const struct zcp_topic_geometry geometry = {
	.max_publishers = 3,
	.max_subscribers = 5,
	.max_depth_log2 = 4,
};

/* A topic region of the geometry; returns the descriptor. */
static int make(const struct zcp_topic_geometry *g, const char *name, struct zcp_region *region)
{
	int fd = -1;

	cr_assert_eq(zcp_region_create(region, &fd, "zcp-test", zcp_topic_size(g)), 0);
	zcp_topic_construct(region, g, name, 9, DOMAIN, 1);
	return fd;
}

Test(topic, attached_one_has_what_was_constructed)
{
	struct zcp_region region;
	struct zcp_topic topic;
	const char *why;
	int fd = make(&geometry, "camera/front", &region);

	cr_assert_eq(zcp_topic_attach(&topic, fd, DOMAIN, true, &why), 0);
	cr_assert_eq(topic.geometry.max_publishers, 3);
	cr_assert_eq(topic.geometry.max_subscribers, 5);
	cr_assert_eq(topic.geometry.max_depth_log2, 4);
	cr_assert_str_eq(topic.shm->name, "camera/front");
	cr_assert_eq(topic.shm->pool_id, 9);
	for (int p = 0; p < 3; p++) {
		cr_assert_eq(zcp_test_load(&topic.publishers[p].next_seq), 1);
		cr_assert_eq(zcp_test_load(&topic.publishers[p].op), 0);
	}
	for (int w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++) {
		cr_assert_eq(zcp_test_load(&topic.shm->active[w]), 0);
		cr_assert_eq(zcp_test_load(&topic.shm->present[w]), 0);
	}
	zcp_topic_deinit(&topic);
	cr_assert_null(topic.shm);
	zcp_region_deinit(&region);
	close(fd);
}

Test(topic, name_that_is_too_long_is_cut_and_ends)
{
	struct zcp_region region;
	struct zcp_topic_shm *shm;
	char name[400];
	int fd;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	fd = make(&geometry, name, &region);
	shm = region.base;
	cr_assert_eq(strlen(shm->name), sizeof(shm->name) - 1);
	cr_assert_eq(shm->type[0], '\0');
	zcp_region_deinit(&region);
	close(fd);
}

static void attach_acks(const struct zcp_topic_geometry *g, struct zcp_acks *acks)
{
	struct zcp_region region;
	const char *why = "";
	int fd = -1;

	cr_assert_eq(zcp_region_create(&region, &fd, "zcp-test",
				       zcp_acks_size(g->max_publishers, g->max_subscribers)),
		     0);
	zcp_acks_construct(&region, g->max_publishers, g->max_subscribers, DOMAIN, 1);
	cr_assert_eq(zcp_acks_attach(acks, fd, g->max_publishers, g->max_subscribers, DOMAIN, 1,
				     &why),
		     0, "%s", why);
	zcp_region_deinit(&region);
	close(fd);
}

/* Slots and lanes follow each other without a gap or an overlap, up to the region's end. */
static void check_layout(const struct zcp_topic_geometry *g)
{
	struct zcp_region region;
	struct zcp_topic topic;
	struct zcp_acks acks;
	const char *why = "", *next;
	int fd = make(g, "t", &region);

	cr_assert_eq(zcp_topic_attach(&topic, fd, DOMAIN, true, &why), 0, "%s", why);
	attach_acks(g, &acks);
	next = (const char *)(topic.shm + 1);
	cr_assert_eq((const char *)topic.publishers, next);
	next = (const char *)(topic.publishers + g->max_publishers);
	cr_assert_eq((const char *)topic.subscribers, next);
	next = (const char *)(topic.subscribers + g->max_subscribers);
	for (uint32_t s = 0; s < g->max_subscribers; s++)
		for (uint32_t p = 0; p < g->max_publishers; p++) {
			struct zcp_lane lane = zcp_topic_lane(&topic, &acks, p, s,
							      g->max_depth_log2);

			ZCP_CHECK((const char *)lane.shm == next);
			ZCP_CHECK((uintptr_t)next % 64 == 0);
			ZCP_CHECK(lane.ack == zcp_acks_ack(&acks, p, s));
			ZCP_CHECK(lane.mask + 1 == 1U << g->max_depth_log2);
			next += topic.lane_stride;
			ZCP_CHECK((const char *)(lane.shm->slots + lane.mask + 1) == next);
		}
	cr_assert_leq(next, (const char *)topic.region.base + topic.region.size);
	cr_assert_eq(next, (const char *)topic.region.base + zcp_topic_size(g));
	zcp_acks_deinit(&acks);
	zcp_topic_deinit(&topic);
	zcp_region_deinit(&region);
	close(fd);
}

Test(topic, lanes_fill_the_region_whatever_its_limits)
{
	static const struct zcp_topic_geometry geometries[] = {
		{ 1, 1, 0 },
		{ 1, 1, 3 },
		{ 1, 1, ZCP_LANE_LOG2_MAX },
		{ 3, 5, 4 },
		{ 64, 1, 2 },
		{ ZCP_TOPIC_PUBLISHERS_MAX, ZCP_TOPIC_SUBSCRIBERS_MAX, 8 },
	};

	for (size_t i = 0; i < sizeof(geometries) / sizeof(geometries[0]); i++)
		check_layout(&geometries[i]);
}

Test(topic, lane_deeper_than_the_topic_s_is_cut_down)
{
	struct zcp_region region;
	struct zcp_topic topic;
	struct zcp_acks acks;
	struct zcp_lane lane;
	const char *why;
	int fd = make(&geometry, "t", &region);

	cr_assert_eq(zcp_topic_attach(&topic, fd, DOMAIN, true, &why), 0);
	attach_acks(&geometry, &acks);
	for (uint32_t log2 = 4; log2 < 70; log2++) {
		lane = zcp_topic_lane(&topic, &acks, 2, 4, log2);
		cr_assert_eq(lane.mask, 15);
	}
	lane = zcp_topic_lane(&topic, &acks, 2, 4, 1);
	cr_assert_eq(lane.mask, 1);
	zcp_acks_deinit(&acks);
	zcp_topic_deinit(&topic);
	zcp_region_deinit(&region);
	close(fd);
}

/* Subscribers get the region so: they write nothing in it. */
Test(topic, readonly_descriptor_is_attached_for_reading_and_for_nothing_else)
{
	struct zcp_topic topic = { .shm = NULL };
	struct zcp_region region;
	const char *why = "";
	int fd = make(&geometry, "t", &region), readonly = zcp_region_open_readonly(fd);

	cr_assert_geq(readonly, 0);
	cr_assert_eq(zcp_topic_attach(&topic, readonly, DOMAIN, true, &why), -EACCES);
	cr_assert_null(topic.shm);
	cr_assert_eq(zcp_topic_attach(&topic, readonly, DOMAIN, false, &why), 0, "%s", why);
	cr_assert_str_eq(topic.shm->name, "t");
	zcp_topic_deinit(&topic);
	zcp_region_deinit(&region);
	close(readonly);
	close(fd);
}

/* Attach must refuse the region, and say why. */
static void assert_refused(int fd, const char *words)
{
	struct zcp_topic topic = { .shm = NULL };
	const char *why = "";

	cr_assert_eq(zcp_topic_attach(&topic, fd, DOMAIN, true, &why), -EPROTO);
	cr_assert(strstr(why, words), "it says: %s", why);
	cr_assert_null(topic.shm);
}

Test(topic, limits_beyond_the_project_s_are_refused_where_all_else_fits)
{
	static const struct zcp_topic_geometry wrong[] = {
		{ 0, 1, 0 },
		{ ZCP_TOPIC_PUBLISHERS_MAX + 1, 1, 0 },
		{ 1, 0, 0 },
		{ 1, ZCP_TOPIC_SUBSCRIBERS_MAX + 1, 0 },
		{ 1, 1, ZCP_LANE_LOG2_MAX + 1 },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct zcp_region region;
		int fd = make(&wrong[i], "t", &region);

		assert_refused(fd, "impossible limits");
		zcp_region_deinit(&region);
		close(fd);
	}
}

Test(topic, limits_that_would_overflow_are_refused)
{
	for (int i = 0; i < 3; i++) {
		struct zcp_region region;
		int fd = make(&geometry, "t", &region);
		struct zcp_topic_shm *shm = region.base;
		uint32_t *limits[] = { &shm->max_publishers, &shm->max_subscribers,
				       &shm->max_depth_log2 };

		*limits[i] = UINT32_MAX;
		assert_refused(fd, "impossible limits");
		zcp_region_deinit(&region);
		close(fd);
	}
}

Test(topic, layout_other_than_the_limits_say_is_refused)
{
	for (int i = 0; i < 6; i++) {
		struct zcp_region region;
		int fd = make(&geometry, "t", &region);
		struct zcp_topic_shm *shm = region.base;
		uint64_t *words[] = { &shm->publishers_offset, &shm->subscribers_offset,
				      &shm->lanes_offset, &shm->lane_stride };

		if (i < 4)
			*words[i] -= 64;
		else if (i == 4)
			shm->max_publishers++;
		else
			shm->max_depth_log2++;
		assert_refused(fd, "otherwise than its limits");
		zcp_region_deinit(&region);
		close(fd);
	}
}

Test(topic, limits_that_fit_together_but_not_the_region_are_refused)
{
	const struct zcp_topic_geometry large = { 64, 256, 8 };
	struct zcp_region region, whole;
	int fd = make(&geometry, "t", &region), whole_fd = make(&large, "t", &whole);
	struct zcp_region_shm header = *(struct zcp_region_shm *)region.base;

	memcpy(region.base, whole.base, sizeof(struct zcp_topic_shm));
	*(struct zcp_region_shm *)region.base = header;
	assert_refused(fd, "too short");
	zcp_region_deinit(&whole);
	zcp_region_deinit(&region);
	close(whole_fd);
	close(fd);
}

Test(topic, region_of_another_kind_or_domain_is_refused)
{
	struct zcp_region region;
	int fd = make(&geometry, "t", &region);

	zcp_region_publish(&region, ZCP_REGION_TOPIC, DOMAIN + 1, 1);
	assert_refused(fd, "another domain");
	zcp_region_publish(&region, ZCP_REGION_SIGNALS, DOMAIN, 1);
	assert_refused(fd, "another kind");
	zcp_region_deinit(&region);
	close(fd);
}
