/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end: names in slots, and what has changed between two looks. The test
 * does what the runtime does, step by step.
 */
#include "pubsub/shm/members.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define N_PUBLISHERS 3
/* More than one word of the set. */
#define N_SUBSCRIBERS 70

static struct zcp_testbed bed;
static struct zcp_topic *topic;
static struct zcp_members members;

static void setup(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(N_PUBLISHERS, N_SUBSCRIBERS,
								       2, 64, 4);

	zcp_testbed_init(&bed, &options);
	topic = &bed.view.topic;
	cr_assert_eq(zcp_members_init(&members, topic, ZCP_MEMBER_SUBSCRIBER), 0);
}

static void teardown(void)
{
	zcp_members_deinit(&members);
	zcp_testbed_deinit(&bed);
}

TestSuite(members, .init = setup, .fini = teardown);

static void change(void)
{
	(void)atomic_fetch_add(&topic->shm->changes, 1);
}

static void give(enum zcp_member_kind kind, uint32_t slot, uint64_t id, const char *node)
{
	struct zcp_member member = { .id = id, .pid = (uint32_t)id + 1000 };

	(void)snprintf(member.node, sizeof(member.node), "%s", node);
	zcp_member_write(topic, kind, slot, &member);
}

static void announce(uint32_t slot, bool present)
{
	uint64_t bit = UINT64_C(1) << (slot % 64);

	if (present)
		(void)atomic_fetch_or(&topic->shm->announced[slot / 64], bit);
	else
		(void)atomic_fetch_and(&topic->shm->announced[slot / 64], ~bit);
	change();
}

static void join(uint32_t slot, uint64_t id, const char *node)
{
	give(ZCP_MEMBER_SUBSCRIBER, slot, id, node);
	announce(slot, true);
}

/* One look, as text: "+7 a(1)" joined as the first, "-7 a(0)" left as the last. */
static const char *look(void)
{
	struct zcp_members_look l = zcp_members_look(&members);
	static char text[8192];
	struct zcp_member member;
	bool has_joined;
	size_t n = 0;

	text[0] = 0;
	while (zcp_members_next(&members, &l, &member, &has_joined)) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%c%llu %s(%u)", n ? " " : "",
				      has_joined ? '+' : '-', (unsigned long long)member.id,
				      member.node, members.n_known);
		cr_assert_eq(member.pid, member.id + 1000);
	}
	return text;
}

static void assert_changes(const char *expected)
{
	cr_assert_eq(zcp_members_have_changed(&members), expected[0] != 0);
	cr_assert_str_eq(look(), expected);
	/* Once. */
	cr_assert_not(zcp_members_have_changed(&members));
	cr_assert_str_empty(look());
}

Test(members, those_who_are_there_have_joined_and_those_who_go_have_left)
{
	assert_changes("");
	join(3, 7, "a");
	join(69, 9, "b");
	cr_assert_eq(zcp_member_count(topic, ZCP_MEMBER_SUBSCRIBER), 2);
	assert_changes("+7 a(1) +9 b(2)");
	announce(3, false);
	assert_changes("-7 a(1)");
	announce(69, false);
	assert_changes("-9 b(0)");
	cr_assert_eq(zcp_member_count(topic, ZCP_MEMBER_SUBSCRIBER), 0);
}

Test(members, those_who_have_left_come_before_those_who_have_come)
{
	join(5, 7, "a");
	assert_changes("+7 a(1)");
	join(0, 8, "b");
	announce(5, false);
	assert_changes("-7 a(0) +8 b(1)");
}

Test(members, slot_that_has_changed_hands_is_one_who_left_and_one_who_came)
{
	join(1, 7, "a");
	assert_changes("+7 a(1)");
	announce(1, false);
	join(1, 8, "b");
	assert_changes("-7 a(0) +8 b(1)");
	/* Twice between two looks: who was there in between is not seen. */
	announce(1, false);
	join(1, 9, "c");
	announce(1, false);
	join(1, 10, "d");
	assert_changes("-8 b(0) +10 d(1)");
}

Test(members, change_that_cancels_out_is_none)
{
	join(0, 7, "a");
	assert_changes("+7 a(1)");
	join(1, 8, "b");
	announce(1, false);
	assert_changes("");
	/* And one of the others'. */
	change();
	assert_changes("");
}

/* It is active, and publishers would send to it: but its first number is not settled. */
Test(members, one_that_is_not_announced_is_not_there)
{
	give(ZCP_MEMBER_SUBSCRIBER, 2, 7, "a");
	(void)atomic_fetch_or(&topic->shm->active[0], 4);
	change();
	assert_changes("");
	cr_assert_eq(zcp_member_count(topic, ZCP_MEMBER_SUBSCRIBER), 0);
	announce(2, true);
	assert_changes("+7 a(1)");
}

Test(members, word_of_changes_may_wrap)
{
	zcp_test_store(&topic->shm->changes, UINT32_MAX);
	assert_changes("");
	join(0, 7, "a");
	cr_assert_eq(zcp_test_load(&topic->shm->changes), 0);
	assert_changes("+7 a(1)");
}

/* `changes` is 0 at first, as it is in a topic where nobody has come or gone yet. */
Test(members, first_look_is_made_whatever_the_word_of_changes_is)
{
	for (uint32_t before = 0; before < 3; before++) {
		join(0, 7, "a");
		zcp_test_store(&topic->shm->changes, before);
		zcp_members_reset(&members);
		assert_changes("+7 a(1)");
	}
}

Test(members, without_a_change_nobody_looks)
{
	assert_changes("");
	give(ZCP_MEMBER_SUBSCRIBER, 0, 7, "a");
	zcp_test_store(&topic->shm->announced[0], 1);
	cr_assert_not(zcp_members_have_changed(&members));
	change();
	assert_changes("+7 a(1)");
}

Test(members, look_that_is_broken_off_is_gone_on_with)
{
	struct zcp_members_look l;
	struct zcp_member member;
	bool has_joined;

	join(0, 7, "a");
	join(1, 8, "b");
	l = zcp_members_look(&members);
	cr_assert(zcp_members_next(&members, &l, &member, &has_joined));
	cr_assert(zcp_members_have_changed(&members));
	assert_changes("+8 b(2)");
}

/* Between two calls of one look somebody goes whose turn has passed: there is another look. */
Test(members, change_behind_the_look_is_seen_by_the_next)
{
	struct zcp_members_look l;
	struct zcp_member member;
	bool has_joined;

	join(0, 7, "a");
	join(1, 8, "b");
	l = zcp_members_look(&members);
	cr_assert(zcp_members_next(&members, &l, &member, &has_joined));
	announce(0, false);
	cr_assert(zcp_members_next(&members, &l, &member, &has_joined));
	cr_assert_not(zcp_members_next(&members, &l, &member, &has_joined));
	assert_changes("-7 a(1)");
}

Test(members, slot_that_is_being_given_is_nobody_s)
{
	struct zcp_member member = { .id = 99 };

	join(0, 7, "a");
	zcp_test_store(&topic->subscribers[0].subscriber_id, 0);
	assert_changes("");
	cr_assert_not(zcp_member_read(topic, ZCP_MEMBER_SUBSCRIBER, 0, &member));
	cr_assert_not(zcp_member_find(topic, ZCP_MEMBER_SUBSCRIBER, 7, &member));
	cr_assert_eq(member.id, 99);
}

Test(members, publishers_are_their_own)
{
	struct zcp_members publishers;

	give(ZCP_MEMBER_PUBLISHER, 2, 5, "p");
	zcp_test_store(&topic->shm->publishers, 4);
	join(2, 7, "s");
	cr_assert_eq(zcp_members_init(&publishers, topic, ZCP_MEMBER_PUBLISHER), 0);
	assert_changes("+7 s(1)");
	zcp_members_deinit(&members);
	members = publishers;
	assert_changes("+5 p(1)");
	cr_assert_eq(zcp_member_count(topic, ZCP_MEMBER_PUBLISHER), 1);
	zcp_test_store(&topic->shm->publishers, 0);
	change();
	assert_changes("-5 p(0)");
}

Test(members, all_slots_are_seen_and_none_behind_them)
{
	for (uint32_t s = 0; s < N_SUBSCRIBERS; s++)
		join(s, s + 1, "n");
	(void)look();
	cr_assert_eq(members.n_known, N_SUBSCRIBERS);
	/* A set that lies. */
	for (int w = 0; w < ZCP_TOPIC_SUBSCRIBER_WORDS; w++)
		zcp_test_store(&topic->shm->announced[w], UINT64_MAX);
	change();
	assert_changes("");
}

/* --- names --- */

Test(members, name_stays_until_the_slot_is_given_again)
{
	struct zcp_member member;

	cr_assert_not(zcp_member_find(topic, ZCP_MEMBER_PUBLISHER, 0, &member));
	give(ZCP_MEMBER_PUBLISHER, 1, 5, "front");
	cr_assert(zcp_member_find(topic, ZCP_MEMBER_PUBLISHER, 5, &member));
	cr_assert_str_eq(member.node, "front");
	cr_assert_not(zcp_member_find(topic, ZCP_MEMBER_PUBLISHER, 6, &member));
	give(ZCP_MEMBER_PUBLISHER, 1, 6, "rear");
	cr_assert_not(zcp_member_find(topic, ZCP_MEMBER_PUBLISHER, 5, &member));
	cr_assert(zcp_member_find(topic, ZCP_MEMBER_PUBLISHER, 6, &member));
	cr_assert_str_eq(member.node, "rear");
	cr_assert_eq(member.pid, 1006);
}

Test(members, name_without_an_end_and_with_controls_is_made_one)
{
	struct zcp_member member;
	char text[ZCP_MEMBER_NODE_SIZE];
	uint64_t words[ZCP_TOPIC_NODE_WORDS];

	give(ZCP_MEMBER_PUBLISHER, 0, 5, "");
	memset(text, 'x', sizeof(text));
	memcpy(text, "a\033[2J\n\x7f\xc3\xbc", 9);
	memcpy(words, text, sizeof(words));
	for (int i = 0; i < ZCP_TOPIC_NODE_WORDS; i++)
		zcp_test_store(&topic->publishers[0].node[i], words[i]);
	cr_assert(zcp_member_read(topic, ZCP_MEMBER_PUBLISHER, 0, &member));
	cr_assert_eq(strlen(member.node), sizeof(text) - 1);
	cr_assert_eq(memcmp(member.node, "a?[2J??\xc3\xbcxxx", 12), 0);
}
