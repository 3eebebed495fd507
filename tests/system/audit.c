/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit: silent where all is well, whatever goes on; and for each thing that cannot be,
 * a sentence that names it.
 */
#include <stdio.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2
/* Chunks that are looked at, most of which nobody uses. */
#define TOUCHED 300

static struct zcp_node *node;
static struct zcp_publisher *publisher;
static struct zcp_subscriber *subscriber;

static void begin(uint32_t history)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	node = zcp_test_node();
	options.max_payload = 64;
	options.history = history;
	ZCP_OK(zcp_publisher_open(&publisher, node, "t", &options), node);
	subscriber = zcp_test_subscriber(node, "t", DEPTH, HELD, 0);
	zcp_class_touch(&zcp_test_inside(publisher).pool->classes[0], TOUCHED - 1);
}

static struct zcp_audit_report *ask(struct zcp_message *reply)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_AUDIT };

	ZCP_OK(zcp_test_node_request(node, &request, ZCP_MESSAGE_AUDIT_REPORT, reply), node);
	return &reply->u.audit_report;
}

/* The audit finds `n` things, the first of which has all of `words`. */
static void expect_findings(uint64_t n, const char *words)
{
	struct zcp_message reply;
	const struct zcp_audit_report *report = ask(&reply);

	for (uint32_t i = 0; i < report->n_findings && report->n_wrong != n; i++)
		(void)fprintf(stderr, "audit: %s\n", report->findings[i].text);
	ZCP_CHECK(report->n_wrong == n);
	ZCP_CHECK(report->n_findings == (n < ZCP_FINDINGS_MAX ? n : ZCP_FINDINGS_MAX));
	ZCP_CHECK(zcp_test_has(report->findings[0].text, words));
	zcp_message_deinit(&reply);
}

static struct zcp_chunk_shm *chunk(uint32_t i)
{
	return &zcp_test_inside(publisher).pool->classes[0].chunks[i];
}

/* A word becomes wrong, is found, and is as it was again. */
#define EXPECT_WRONG(word, wrong, words)                                                           \
	do {                                                                                       \
		__typeof__(zcp_test_load(word)) as_it_was = zcp_test_load(word);                   \
                                                                                                   \
		zcp_test_store(word, wrong);                                                       \
		expect_findings(1, words);                                                         \
		zcp_test_store(word, as_it_was);                                                   \
		(void)zcp_test_audit(node);                                                        \
	} while (0)

static void everything_is_counted_and_nothing_is_found(void)
{
	struct zcp_sample sample;
	struct zcp_message reply;
	struct zcp_audit_report *report;
	struct zcp_loan loan;

	begin(3);
	for (uint64_t i = 0; i < 10; i++)
		zcp_test_send(publisher, i);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_OK(zcp_publisher_loan(publisher, 64, &loan), node);
	report = ask(&reply);
	ZCP_CHECK(report->n_wrong == 0 && report->n_topics == 1 && report->n_pools == 1);
	/* 7 is held; 8 to 10 are queued, and history that is held. */
	ZCP_CHECK(report->n_loaned == 1 && report->n_held == 1 && report->n_queued == 3);
	ZCP_CHECK(report->n_history == 0 && report->n_leaked == 0);
	ZCP_CHECK(report->n_free + report->n_spare == report->n_chunks - 5);
	zcp_message_deinit(&reply);
	/* Without its subscriber the last three are history, and all else is to spare. */
	zcp_subscriber_close(subscriber);
	ZCP_OK(zcp_publisher_discard(publisher, &loan), node);
	report = ask(&reply);
	ZCP_CHECK(report->n_wrong == 0 && report->n_history == 3);
	ZCP_CHECK(report->n_free + report->n_spare == report->n_chunks - 3);
	zcp_message_deinit(&reply);
	/* Nobody is left: nothing is. */
	zcp_node_close(node);
	node = zcp_test_node();
	report = ask(&reply);
	ZCP_CHECK(report->n_topics == 0 && report->n_chunks == 0 && report->n_wrong == 0);
	zcp_message_deinit(&reply);
	zcp_node_close(node);
}

static void wrong_states_are_found(void)
{
	uint32_t owner;

	begin(2);
	for (uint64_t i = 0; i < 3; i++) {
		zcp_test_send(publisher, i);
		zcp_test_expect(subscriber, i);
	}
	owner = zcp_test_inside(publisher).writer->options.owner;
	EXPECT_WRONG(&chunk(200)->state, zcp_chunk_state(777, ZCP_CHUNK_LOANED),
		     "'t'|class 0|chunk 200|owner 777|no publisher slot");
	EXPECT_WRONG(&chunk(200)->state, zcp_chunk_state(777, 0),
		     "chunk 200|owner 777|no publisher slot");
	EXPECT_WRONG(&chunk(200)->state, zcp_chunk_state(owner, 0x100), "chunk 200|flags 0x100");
	EXPECT_WRONG(&chunk(200)->state, zcp_chunk_state(ZCP_OWNER_RUNTIME, ZCP_CHUNK_LOANED),
		     "chunk 200|left by a runtime");
	EXPECT_WRONG(&chunk(200)->seq, 5, "chunk 200|free|message 5");
	/* A spare one, and then with a number that is to come. */
	zcp_test_store(&chunk(200)->state, zcp_chunk_state(owner, 0));
	(void)zcp_test_audit(node);
	EXPECT_WRONG(&chunk(200)->seq, 4,
		     "chunk 200|message 4 of publisher slot 0|'t'|publishes 4 next");
	zcp_node_close(node);
}

static void wrong_loans_are_found(void)
{
	struct zcp_publisher *other;
	uint32_t owner;

	begin(0);
	ZCP_OK(zcp_publisher_open(&other, node, "t", NULL), node);
	ZCP_CHECK(zcp_test_inside(other).slot == 1);
	owner = zcp_test_inside(other).writer->options.owner;
	/* As many as it may have, one more, and one when it is gone. */
	zcp_test_store(&chunk(200)->state, zcp_chunk_state(owner, ZCP_CHUNK_LOANED));
	zcp_test_store(&chunk(201)->state, zcp_chunk_state(owner, ZCP_CHUNK_LOANED));
	(void)zcp_test_audit(node);
	EXPECT_WRONG(&chunk(202)->state, zcp_chunk_state(owner, ZCP_CHUNK_LOANED),
		     "topic 't', publisher|has 3 chunks on loan|2 at most");
	zcp_publisher_close(other);
	(void)zcp_test_audit(node);
	EXPECT_WRONG(&chunk(200)->state, zcp_chunk_state(owner, ZCP_CHUNK_LOANED),
		     "chunk 200|on loan to publisher slot 1|'t'|free");
	zcp_node_close(node);
}

static void wrong_queues_are_found(void)
{
	_Atomic uint64_t *word;
	struct zcp_lane lane;
	uint64_t right;

	begin(0);
	zcp_test_send(publisher, 1);
	lane = zcp_topic_lane(zcp_test_inside(publisher).topic, zcp_test_inside(publisher).acks, 0,
			      zcp_test_inside(subscriber).slot, 2);
	word = &zcp_lane_slot(&lane, 1)->word;
	right = zcp_test_load(word);
	EXPECT_WRONG(word, zcp_slot_word(1, 0x3fffffff), "message 1|chunk that there is not");
	EXPECT_WRONG(word, zcp_slot_word(2, (uint32_t)(right & ZCP_SLOT_REF_MASK)),
		     "message 1 of publisher slot 0|place in the queue has another one");
	EXPECT_WRONG(word, zcp_slot_word(1, 200), "message 1|chunk of another owner");
	EXPECT_WRONG(&chunk((uint32_t)right)->seq, 0, "message 1|chunk with another one");
	zcp_node_close(node);
}

static void wrong_samples_are_found(void)
{
	struct zcp_sample sample;
	_Atomic uint64_t *held;

	begin(0);
	zcp_test_send(publisher, 1);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	held = zcp_acks_held(zcp_test_inside(publisher).acks, zcp_test_inside(subscriber).slot);
	ZCP_CHECK(zcp_test_load(&held[0]) == zcp_held(0, 1));
	EXPECT_WRONG(&chunk(0)->seq, 0, "subscriber|holds message 1 of publisher slot 0|no chunk");
	zcp_test_store(&zcp_acks_counts(zcp_test_inside(publisher).acks,
					zcp_test_inside(subscriber).slot)
				->n_held,
		       2);
	EXPECT_WRONG(&held[1], zcp_held(5, 1), "holds message 1 of publisher slot 5");
	EXPECT_WRONG(&held[1], zcp_held(255, 1), "holds message 1 of publisher slot 255");
	EXPECT_WRONG(&held[1], zcp_held(0, 2), "holds message 2 of publisher slot 0");
	/* One may be about to find out that it was pushed out, but not two. */
	ZCP_OK(zcp_sample_release(&sample), node);
	for (uint64_t i = 0; i < 100; i++)
		zcp_test_send(publisher, i);
	zcp_test_store(&held[0], zcp_held(0, 1));
	(void)zcp_test_audit(node);
	EXPECT_WRONG(&held[1], zcp_held(0, 2), "holds message 2 of publisher slot 0");
	zcp_test_store(&held[0], 0);
	zcp_node_close(node);
}

static void wrong_members_are_found(void)
{
	struct zcp_topic_shm *shm;

	begin(0);
	shm = zcp_test_inside(publisher).topic->shm;
	EXPECT_WRONG(&zcp_test_inside(publisher).topic->publishers[1].op, 1,
		     "publisher slot 1|inside a publish");
	EXPECT_WRONG(&shm->publishers, 3, "publisher slot 1|taken, and it is free");
	EXPECT_WRONG(&shm->publishers, 0, "publisher slot 0|free");
	EXPECT_WRONG(&shm->active[1], 1, "subscriber slot 64|active, and it is not");
	EXPECT_WRONG(&shm->active[0], 0, "subscriber slot 0|inactive, and it is not");
	EXPECT_WRONG(&shm->present[1], 1, "subscriber slot 64|present, and it is not");
	EXPECT_WRONG(&shm->present[0], 0, "subscriber slot 0|absent, and it is not");
	zcp_node_close(node);
}

/* More is wrong than is told one by one. */
static void findings_have_an_end(void)
{
	struct zcp_message reply;
	const struct zcp_audit_report *report;

	begin(0);
	zcp_test_send(publisher, 1);
	for (uint32_t i = 10; i < TOUCHED; i++)
		zcp_test_store(&chunk(i)->state, zcp_chunk_state(777, ZCP_CHUNK_LOANED));
	report = ask(&reply);
	ZCP_CHECK(report->n_wrong == TOUCHED - 10 && report->n_findings == ZCP_FINDINGS_MAX);
	ZCP_CHECK(report->n_leaked == TOUCHED - 10);
	zcp_message_deinit(&reply);
	zcp_node_close(node);
}

static void send_for_ever(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *other = zcp_test_node();
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *sender;

	(void)arg;
	options.max_payload = 64;
	options.history = 5;
	ZCP_OK(zcp_publisher_open(&sender, other, "t", &options), other);
	zcp_test_say_step(self, 0);
	for (uint64_t i = 0;; i++)
		zcp_test_send(sender, i);
}

static void take_for_ever(struct zcp_test_child *self, void *arg)
{
	struct zcp_node *other = zcp_test_node();
	struct zcp_subscriber *taker = zcp_test_subscriber(other, "t", DEPTH, HELD, 0);
	uint64_t number, lost;

	(void)arg;
	zcp_test_say_step(self, 0);
	for (;;)
		if (!zcp_test_take(taker, &number, &lost))
			ZCP_OK(zcp_node_wait(other, ZCP_FOREVER), other);
}

/* Nothing is found that only was in the middle of a step; and they are killed in one. */
static void what_moves_is_not_wrong(void)
{
	struct zcp_test_child children[4];
	struct zcp_message reply;
	struct zcp_audit_report *report;

	begin(0);
	zcp_publisher_close(publisher);
	for (int i = 0; i < 4; i++)
		zcp_test_fork(&children[i], i % 2 ? take_for_ever : send_for_ever, NULL);
	for (int i = 0; i < 4; i++)
		zcp_test_hear_step(&children[i], 0);
	for (int i = 0; i < 200; i++)
		(void)zcp_test_audit(node);
	for (int i = 0; i < 4; i++) {
		zcp_test_kill(&children[i]);
		(void)zcp_test_audit(node);
	}
	zcp_test_wait_for_members(node, "t", 0, 1);
	zcp_subscriber_close(subscriber);
	report = ask(&reply);
	ZCP_CHECK(report->n_wrong == 0 && report->n_topics == 0);
	zcp_message_deinit(&reply);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(everything_is_counted_and_nothing_is_found),
	ZCP_TEST_CASE(wrong_states_are_found),
	ZCP_TEST_CASE(wrong_loans_are_found),
	ZCP_TEST_CASE(wrong_queues_are_found),
	ZCP_TEST_CASE(wrong_samples_are_found),
	ZCP_TEST_CASE(wrong_members_are_found),
	ZCP_TEST_CASE(findings_have_an_end),
	ZCP_TEST_CASE(what_moves_is_not_wrong),
};

ZCP_TEST_MAIN(cases)
