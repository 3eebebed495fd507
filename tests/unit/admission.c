/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoints are let in: the sums over a pool, and that within them no sequence of
 * loans, whoever makes them and however large they are, leaves a publisher without a chunk.
 */
#include "runtime/admission.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/registry_helpers.h"

static void expect_text(const char *wanted)
{
	cr_assert_str_eq(text, wanted);
}

#define ONE_CLASS "[pool.p]\nclasses = [{size = 64, count = 20}]\n[topic.\"*\"]\npool = \"p\"\n"

Test(admission, sum_is_loans_and_depth_times_publishers_and_held)
{
	struct zcpd_endpoint *publishers[2], *subscribers[2], *more;

	begin(ONE_CLASS);
	/* 3 + 4 + 4 * 2 + 1 + 2 * 2 = 20 */
	cr_assert_eq(publish("t", 0, 3, &publishers[0]), 0);
	cr_assert_eq(publish("t", 0, 4, &publishers[1]), 0);
	cr_assert_eq(subscribe("t", 4, 1, &subscribers[0]), 0);
	cr_assert_eq(subscribe("t", 2, 1, &subscribers[1]), -ENOSPC);
	expect_text(
		"pool 'p' has 20 chunks of 64 bytes, 4 of them left; this subscriber (depth 2, 1 "
		"held) would need 5 with 2 publishers; raise the pool's count, or lower depth or "
		"held");
	cr_assert_eq(subscribe("t", 1, 2, &subscribers[1]), 0);
	cr_assert_eq(subscribe("t", 1, 1, &more), -ENOSPC);
	/* With a publisher less there are fewer lanes, and its loans are free. */
	close_endpoint(publishers[0]);
	cr_assert_eq(subscribe("t", 4, 3, &more), 0);
	cr_assert_eq(publish("t", 0, 1, &publishers[0]), -ENOSPC);
	expect_text(
		"pool 'p' has 20 chunks of 64 bytes, 1 of them left; this publisher (1 loan) would "
		"need 10 with 3 subscribers; raise the pool's count, or lower loans or the "
		"subscribers' depth");
	close_endpoint(more);
	cr_assert_eq(publish("t", 0, 3, &publishers[0]), 0);
	cr_assert_eq(publish("t", 0, 1, &more), -ENOSPC);
	end();
}

Test(admission, depth_counts_as_the_power_of_two_it_is_rounded_to)
{
	struct zcpd_endpoint *publisher, *subscriber;

	begin(ONE_CLASS);
	cr_assert_eq(publish("t", 0, 2, &publisher), 0);
	cr_assert_eq(subscribe("t", 9, 3, &subscriber), -ENOSPC);
	expect_text(
		"pool 'p' has 20 chunks of 64 bytes, 18 of them left; this subscriber (depth 16, 3 "
		"held) would need 19 with 1 publisher; raise the pool's count, or lower depth or "
		"held");
	cr_assert_eq(subscribe("t", 9, 2, &subscriber), 0);
	end();
}

Test(admission, sum_is_over_all_topics_of_the_pool)
{
	struct zcpd_endpoint *publishers[2], *subscribers[2], *more;

	begin(ONE_CLASS);
	cr_assert_eq(publish("a", 0, 2, &publishers[0]), 0);
	cr_assert_eq(publish("b", 0, 2, &publishers[1]), 0);
	cr_assert_eq(subscribe("a", 8, 1, &subscribers[0]), 0);
	/* Subscribers of one topic have no lanes from the publishers of the other. */
	cr_assert_eq(subscribe("b", 4, 3, &subscribers[1]), 0);
	cr_assert_eq(publish("c", 0, 1, &more), -ENOSPC);
	/* The topic that came into being for it is gone again. */
	cr_assert_null(zcpd_registry_topic(&registry, "c"));
	close_endpoint(subscribers[1]);
	cr_assert_eq(publish("c", 0, 7, &more), 0);
	end();
}

/* What a publisher that has gone left in the queues is in use until it is taken. */
Test(admission, unread_messages_of_a_publisher_that_has_gone_count)
{
	struct zcpd_endpoint *publisher, *subscriber, *more;
	struct zcp_lane lane;

	begin(ONE_CLASS);
	cr_assert_eq(publish("t", 0, 1, &publisher), 0);
	cr_assert_eq(subscribe("t", 8, 1, &subscriber), 0);
	lane = zcpd_topic_lane(subscriber->topic, 0, subscriber);
	atomic_store(&zcp_lane_slot(&lane, 1)->word, zcp_slot(1, ZCP_SLOT_LIVE, 0));
	close_endpoint(publisher);
	cr_assert_eq(zcpd_topic_demand(subscriber->topic, NULL), 1 + 8);
	atomic_store(&zcp_lane_slot(&lane, 1)->word, zcp_slot(1, 0, 0));
	cr_assert_eq(zcpd_topic_demand(subscriber->topic, NULL), 1);
	/* 1 held and 8 queued; the next publisher in that slot has the same lane. */
	cr_assert_eq(publish("t", 0, 11, &more), 0);
	end();
}

/* Without a named pool the limits make the sum, whatever the first endpoints ask for. */
Test(admission, pool_of_a_topics_own_holds_what_its_limits_allow)
{
	struct zcpd_endpoint *publishers[3], *subscribers[4], *more;

	begin("[defaults]\nmax_publishers = 3\nmax_subscribers = 4\ndepth = 4\nloans = 2\nheld = 1\n");
	for (int s = 0; s < 4; s++)
		cr_assert_eq(subscribe("t", 0, 0, &subscribers[s]), 0);
	for (int p = 0; p < 3; p++)
		cr_assert_eq(publish("t", 100, 0, &publishers[p]), 0, "%s", text);
	cr_assert_eq(subscribers[0]->topic->pool->view.classes[0].n_chunks,
		     3 * 2 + 4 * (4 * 3 + 1));
	close_endpoint(subscribers[0]);
	cr_assert_eq(subscribe("t", 8, 1, &more), -ENOSPC);
	cr_assert_not_null(strstr(text, "pool 't' has 58 chunks of 100 bytes"));
	cr_assert_not_null(strstr(text, "raise the topic's limits, or lower depth or held"));
	end();
}

/* One that has more subscribers than its limits foresaw when its first publisher comes. */
Test(admission, pool_of_a_topics_own_holds_what_was_let_in_before_it_was_made)
{
	struct zcpd_endpoint *publisher, *subscribers[2];

	begin("[defaults]\nmax_publishers = 1\nmax_subscribers = 2\ndepth = 1\nmax_depth = 64\n");
	for (int s = 0; s < 2; s++)
		cr_assert_eq(subscribe("t", 64, 100, &subscribers[s]), 0);
	cr_assert_eq(publish("t", 100, 3, &publisher), 0, "%s", text);
	end();
}

/* --- size classes: what does not fit spills into the next one --- */

#define N_CLASSES 3
#define N_MAX 3

static const char *const names[N_CLASSES] = { "small", "medium", "large" };
static const uint64_t payloads[N_CLASSES] = { 64, 128, 256 };

/* Who has how many chunks of which class. */
struct state {
	unsigned char held[N_CLASSES][N_CLASSES];
};

static unsigned char seen[1 << (2 * N_CLASSES * N_CLASSES - 3)];

/* Whether the state is new; it is not the next time. */
static bool is_new(const struct state *state)
{
	uint32_t index = 0;
	bool was;

	for (int t = 0; t < N_CLASSES; t++)
		for (int c = 0; c < N_CLASSES; c++)
			index = index << 2 | state->held[t][c];
	was = seen[index / 8] >> (index % 8) & 1;
	seen[index / 8] |= (unsigned char)(1u << (index % 8));
	return !was;
}

static unsigned int n_free(const struct state *state, const unsigned int *counts, int c)
{
	unsigned int used = 0;

	for (int t = 0; t < N_CLASSES; t++)
		used += state->held[t][c];
	return counts[c] - used;
}

static unsigned int n_held(const struct state *state, int t)
{
	return (unsigned int)state->held[t][0] + state->held[t][1] + state->held[t][2];
}

/* A message of the size of class s takes that or the next larger one with room; -1: none. */
static int claim(const struct state *state, const unsigned int *counts, int s)
{
	for (int c = s; c < N_CLASSES; c++)
		if (n_free(state, counts, c) > 0)
			return c;
	return -1;
}

/*
 * Every state that topics can come to which hold up to `demands` chunks each, with messages
 * up to the size of their class: whether a loan fails in one of them.
 */
static bool can_starve(const unsigned int *counts, const unsigned int *demands)
{
	static struct state stack[1 << 16];
	size_t n = 1;

	memset(seen, 0, sizeof(seen));
	stack[0] = (struct state){ 0 };
	(void)is_new(&stack[0]);
	while (n > 0) {
		struct state state = stack[--n];

		for (int t = 0; t < N_CLASSES; t++)
			for (int s = 0; s < N_CLASSES; s++) {
				struct state next = state;
				int c = claim(&state, counts, s);

				if (s <= t && n_held(&state, t) < demands[t]) {
					if (c < 0)
						return true;
					next.held[t][c]++;
					if (is_new(&next))
						stack[n++] = next;
				}
				next = state;
				if (next.held[t][s] > 0) {
					next.held[t][s]--;
					if (is_new(&next))
						stack[n++] = next;
				}
				cr_assert_lt(n + 2 * N_CLASSES * N_CLASSES,
					     sizeof(stack) / sizeof(stack[0]));
			}
	}
	return false;
}

/* Opens a publisher with so many loans for each class; whether all were let in. */
static bool are_let_in(const unsigned int *demands)
{
	struct zcpd_endpoint *publishers[N_CLASSES] = { NULL };
	bool all = true;

	for (int t = 0; t < N_CLASSES && all; t++)
		all = demands[t] == 0 ||
		      publish(names[t], payloads[t], demands[t], &publishers[t]) == 0;
	for (int t = 0; t < N_CLASSES; t++)
		if (publishers[t])
			close_endpoint(publishers[t]);
	return all;
}

static void check_counts(const unsigned int *counts, unsigned int *n_safe, unsigned int *n_let_in)
{
	char toml[512];

	snprintf(toml, sizeof(toml),
		 "[pool.p]\nclasses = [{size = 64, count = %u}, {size = 128, count = %u}, "
		 "{size = 256, count = %u}]\n[topic.\"*\"]\npool = \"p\"\nmax_publishers = 1\n"
		 "max_subscribers = 1\ndepth = 1\nmax_depth = 1\n",
		 counts[0], counts[1], counts[2]);
	begin(toml);
	for (unsigned int i = 0; i < 1u << (2 * N_CLASSES); i++) {
		unsigned int demands[N_CLASSES] = { i & 3, i >> 2 & 3, i >> 4 & 3 };
		bool let_in = are_let_in(demands), safe = !can_starve(counts, demands);

		cr_assert(!let_in || safe, "counts %u %u %u, demands %u %u %u", counts[0],
			  counts[1], counts[2], demands[0], demands[1], demands[2]);
		*n_safe += safe;
		*n_let_in += let_in;
	}
	end();
}

Test(admission, nobody_who_is_let_in_can_starve_another)
{
	unsigned int n_safe = 0, n_let_in = 0;

	for (unsigned int i = 0; i < N_MAX * N_MAX * N_MAX; i++) {
		unsigned int counts[N_CLASSES] = { i % 3 + 1, i / 3 % 3 + 1, i / 9 + 1 };

		check_counts(counts, &n_safe, &n_let_in);
	}
	/* And the sums are not so careful that little is left. */
	cr_assert_geq(10 * n_let_in, 9 * n_safe, "only %u of %u", n_let_in, n_safe);
}

Test(admission, smaller_messages_spill_into_larger_classes)
{
	struct zcpd_endpoint *publishers[3];

	begin("[pool.p]\nclasses = [{size = 64, count = 4}, {size = \"1KiB\", count = 4}]\n"
	      "[topic.\"*\"]\npool = \"p\"\n");
	/* Eight small ones fit, in both classes; nine do not. */
	cr_assert_eq(publish("small", 64, 9, &publishers[0]), -ENOSPC);
	expect_text(
		"pool 'p' has 8 chunks of 64 bytes or more, 8 of them left; this publisher (9 "
		"loans) would need 9; raise the pool's count, or lower loans or the subscribers' "
		"depth");
	cr_assert_eq(publish("small", 64, 8, &publishers[0]), 0);
	close_endpoint(publishers[0]);
	/* A large one has no other place. */
	cr_assert_eq(publish("large", 1024, 5, &publishers[1]), -ENOSPC);
	cr_assert_not_null(strstr(text, "has 4 chunks of 1 KiB, 4 of them left;"));
	cr_assert_eq(publish("large", 1024, 4, &publishers[1]), 0);
	end();
}

/* Whoever cannot spill any further leaves less of the larger class than it has. */
Test(admission, what_spills_is_not_left_for_larger_messages)
{
	struct zcpd_endpoint *publishers[2], *subscriber;
	struct zcpd_admission_sum sums[ZCP_CLASSES_MAX];

	begin("[pool.p]\nclasses = [{size = 64, count = 4}, {size = \"1KiB\", count = 4}]\n"
	      "[topic.\"*\"]\npool = \"p\"\n");
	cr_assert_eq(publish("small", 64, 2, &publishers[0]), 0);
	cr_assert_eq(subscribe("small", 2, 1, &subscriber), 0);
	zcpd_admission_sums(&registry, subscriber->topic->pool, NULL, sums);
	cr_assert(sums[0].n_chunks == 8 && sums[0].n_reserved == 5 && sums[0].is_bound);
	cr_assert(sums[1].n_chunks == 4 && sums[1].n_reserved == 1 && !sums[1].is_bound);
	cr_assert(zcpd_admission_left(&sums[0]) == 3 && zcpd_admission_left(&sums[1]) == 3);
	cr_assert_eq(zcpd_admission_reserved(&registry, subscriber->topic->pool), 5);
	/* Each large one may take a small chunk's place, as its messages may be small. */
	cr_assert_eq(publish("large", 1024, 2, &publishers[1]), -ENOSPC);
	expect_text(
		"pool 'p' has 4 chunks of 1 KiB, 3 of them left; this publisher (2 loans) would "
		"need 4; raise the pool's count, or lower loans or the subscribers' depth");
	cr_assert_eq(publish("large", 1024, 1, &publishers[1]), 0);
	zcpd_admission_sums(&registry, subscriber->topic->pool, NULL, sums);
	cr_assert(sums[1].n_reserved == 3 && sums[1].is_bound);
	end();
}

/* Its queues take the larger chunks with it. */
Test(admission, topic_goes_to_the_larger_class_as_a_whole)
{
	struct zcpd_endpoint *publishers[2], *subscriber;

	begin("[pool.p]\nclasses = [{size = 64, count = 20}, {size = \"1KiB\", count = 5}]\n"
	      "[topic.\"*\"]\npool = \"p\"\n");
	cr_assert_eq(publish("t", 64, 1, &publishers[0]), 0);
	cr_assert_eq(subscribe("t", 2, 1, &subscriber), 0);
	cr_assert_eq(publish("t", 1024, 1, &publishers[1]), -ENOSPC);
	/* 1 + 1 loans, 2 * 2 queued, 1 held */
	expect_text("pool 'p' has 5 chunks of 1 KiB, 5 of them left; this publisher (1 loan) would "
		    "need 7 with 1 subscriber; raise the pool's count, or lower loans or the "
		    "subscribers' depth");
	end();
}

Test(admission, sizes_are_for_people)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{ 0, "0 bytes" },
		{ 1, "1 bytes" },
		{ 1023, "1023 bytes" },
		{ 1024, "1 KiB" },
		{ 1025, "1025 bytes" },
		{ 921600, "900 KiB" },
		{ UINT64_C(8) << 20, "8 MiB" },
		{ UINT64_C(3) << 30, "3 GiB" },
		{ UINT64_C(5) << 40, "5 TiB" },
		{ UINT64_C(1) << 50, "1024 TiB" },
	};
	char formatted[64];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		zcpd_format_size(sizes[i].bytes, formatted, sizeof(formatted));
		cr_assert_str_eq(formatted, sizes[i].text);
	}
}
