/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit: silent where all is well, whatever goes on; and for each thing that cannot be,
 * a sentence that names it.
 */
#include <stdio.h>
#include <string.h>

#include "pubsub/client/control.h"
#include "pubsub/client/publisher.h"
#include "pubsub/client/subscriber.h"
#include "tests/support/cases.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

#define DEPTH 4
#define HELD 2

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
}

static struct zcp_audit_report *ask(struct zcp_message *reply)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_AUDIT };

	ZCP_OK(zcp_control_request(node, &request, ZCP_MESSAGE_AUDIT_REPORT, reply, NULL), node);
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
	return &publisher->endpoint.pool.classes[0].chunks[i];
}

/* A word becomes wrong, is found, and is as it was again. */
static void expect_wrong(_Atomic uint64_t *word, uint64_t wrong, const char *words)
{
	uint64_t right = zcp_test_load(word);

	zcp_test_store(word, wrong);
	expect_findings(1, words);
	zcp_test_store(word, right);
	(void)zcp_test_audit(node);
}

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
	ZCP_CHECK(report->n_loaned == 1 && report->n_held + report->n_retained == 4);
	ZCP_CHECK(report->n_free == report->n_chunks - 5);
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
	uint32_t owner, former;

	begin(2);
	for (uint64_t i = 0; i < 3; i++) {
		zcp_test_send(publisher, i);
		zcp_test_expect(subscriber, i);
	}
	owner = publisher->writer.options.owner;
	/* The runtime gives a slot two numbers that follow one another. */
	former = owner + 1;
	expect_wrong(&chunk(9)->state, zcp_state(1, 77, ZCP_CHUNK_LOANED),
		     "'t'|class 0|chunk 9|loaned by owner 77|gone");
	expect_wrong(&chunk(9)->state, zcp_state(1, former, ZCP_CHUNK_LOANED),
		     "chunk 9|loaned by owner|gone");
	expect_wrong(&chunk(9)->state, zcp_state(1, owner, ZCP_CHUNK_PINNED), "chunk 9|flags 0x4");
	expect_wrong(&chunk(9)->state, zcp_state(1, owner, 0x100), "chunk 9|flags 0x100");
	expect_wrong(&chunk(9)->state, zcp_state(1, owner, ZCP_CHUNK_LOANED | ZCP_CHUNK_RETAINED),
		     "chunk 9|flags 0x3");
	/* History, but of number 0: older than what is kept. */
	expect_wrong(&chunk(9)->state, zcp_state(1, owner, ZCP_CHUNK_RETAINED),
		     "chunk 9|history with number 0|last 2 before 4");
	expect_wrong(&chunk(9)->state, zcp_state(1, 77, ZCP_CHUNK_RETAINED),
		     "chunk 9|history of nobody");
	zcp_node_close(node);
}

static void wrong_holders_are_found(void)
{
	begin(0);
	zcp_test_send(publisher, 1);
	zcp_test_expect(subscriber, 1);
	expect_wrong(&chunk(0)->holders[3], UINT64_C(1) << 63, "chunk 0|holder 255|gone");
	/* One more than may be held, each of which could be. */
	zcp_test_send(publisher, 2);
	for (uint32_t i = 5; i < 5 + HELD; i++) {
		zcp_test_store(&chunk(i)->state, zcp_state(1, publisher->writer.options.owner, 0));
		zcp_test_store(&chunk(i)->holders[0], UINT64_C(1)
							      << subscriber->reader.options.holder);
	}
	(void)zcp_test_audit(node);
	zcp_test_store(&chunk(7)->state, zcp_state(1, publisher->writer.options.owner, 0));
	expect_wrong(&chunk(7)->holders[0], UINT64_C(1) << subscriber->reader.options.holder,
		     "subscriber|has 3 chunks|2 at most");
	zcp_node_close(node);
}

static void wrong_slots_are_found(void)
{
	_Atomic uint64_t *word;
	uint64_t right;

	begin(0);
	zcp_test_send(publisher, 1);
	word = &zcp_lane_slot(&subscriber->reader.lanes[0], 1)->word;
	right = zcp_test_load(word);
	expect_wrong(word, zcp_slot(1, ZCP_SLOT_LIVE, 0x3fffffff), "message 1|which there is not");
	expect_wrong(word, zcp_slot(2, ZCP_SLOT_LIVE, zcp_slot_ref(right)),
		     "message 2|another number");
	expect_wrong(word, zcp_slot(1, ZCP_SLOT_LIVE, 20), "message 1|chunk 20|not held");
	zcp_node_close(node);
}

static void wrong_members_are_found(void)
{
	struct zcp_topic_shm *shm;

	begin(0);
	shm = publisher->endpoint.topic.shm;
	expect_wrong(&publisher->endpoint.topic.publishers[1].op, 1,
		     "publisher slot 1|inside a publish");
	expect_wrong(&shm->publishers, 3, "publisher slot 1|taken, and it is free");
	expect_wrong(&shm->publishers, 0, "publisher slot 0|free");
	expect_wrong(&shm->active[1], 1, "subscriber slot 64|active");
	zcp_node_close(node);
}

/* More is wrong than is told one by one. */
static void findings_have_an_end(void)
{
	struct zcp_message reply;
	const struct zcp_audit_report *report;

	begin(0);
	zcp_test_send(publisher, 1);
	for (uint32_t i = 10; i < 300; i++)
		zcp_test_store(&chunk(i)->holders[3], UINT64_MAX);
	report = ask(&reply);
	ZCP_CHECK(report->n_wrong == 290 && report->n_findings == ZCP_FINDINGS_MAX);
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
	ZCP_TEST_CASE(wrong_holders_are_found),
	ZCP_TEST_CASE(wrong_slots_are_found),
	ZCP_TEST_CASE(wrong_members_are_found),
	ZCP_TEST_CASE(findings_have_an_end),
	ZCP_TEST_CASE(what_moves_is_not_wrong),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
