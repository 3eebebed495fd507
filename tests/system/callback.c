/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a callback may do: close its own subscriber and its node, open, wait and take; and what it
 * may not do: dispatch again.
 */
#include <errno.h>
#include <string.h>

#include "tests/support/cases.h"
#include "tests/support/runtime.h"

#define TOPIC "callback"

/* A node with two subscribers, and another one that publishes and looks. */
static struct {
	struct zcp_node *node, *other;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscribers[2];
	struct zcp_sample kept;
	unsigned int n_calls;
} bed;

static void count(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
	bed.n_calls++;
}

static void open_bed(zcp_on_sample_fn on_sample)
{
	memset(&bed, 0, sizeof(bed));
	bed.node = zcp_test_node();
	bed.other = zcp_test_node();
	bed.publisher = zcp_test_publisher(bed.other, TOPIC, 64, 1);
	for (int i = 0; i < 2; i++) {
		bed.subscribers[i] = zcp_test_subscriber(bed.node, TOPIC, 8, 2, 0);
		zcp_subscriber_on_sample(bed.subscribers[i], on_sample, &bed.subscribers[i]);
	}
	for (uint64_t i = 1; i <= 5; i++)
		zcp_test_send(bed.publisher, i);
}

/* The node is closed: nothing of it is left in the domain. */
static void close_rest(void)
{
	ZCP_CHECK(!bed.node);
	ZCP_CHECK(zcp_publisher_n_subscribers(bed.publisher) == 0);
	ZCP_CHECK(zcp_test_audit(bed.other) == 0);
	zcp_node_close(bed.other);
}

static bool has_number(const struct zcp_sample *sample, uint64_t number)
{
	return sample->size == sizeof(number) && memcmp(sample->data, &number, sizeof(number)) == 0;
}

/* --- closing --- */

static void close_own(const struct zcp_sample *sample, void *user)
{
	struct zcp_subscriber **own = user;

	bed.n_calls++;
	*own = zcp_subscriber_close(*own);
	/* The sample stays, whatever is published meanwhile. */
	for (uint64_t i = 6; i < 40; i++)
		zcp_test_send(bed.publisher, i);
	ZCP_CHECK(has_number(sample, 1));
}

static void own_subscriber_is_closed_after_its_callback(void)
{
	open_bed(close_own);
	zcp_subscriber_on_sample(bed.subscribers[1], count, NULL);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), bed.node);
	/* A queue's length of the other one, which may have been called before or after. */
	ZCP_CHECK(!bed.subscribers[0] && (bed.n_calls == 1 + 5 || bed.n_calls == 1 + 8));
	ZCP_CHECK(zcp_publisher_n_subscribers(bed.publisher) == 1);
	bed.subscribers[1] = zcp_subscriber_close(bed.subscribers[1]);
	ZCP_CHECK(zcp_node_dispatch(bed.node, 0) == -ETIMEDOUT);
	bed.node = zcp_node_close(bed.node);
	close_rest();
}

static void close_node(const struct zcp_sample *sample, void *user)
{
	(void)user;
	bed.n_calls++;
	bed.node = zcp_node_close(bed.node);
	ZCP_CHECK(has_number(sample, 1));
}

static void node_is_closed_after_its_callback(void)
{
	open_bed(close_node);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), NULL);
	ZCP_CHECK(bed.n_calls == 1);
	close_rest();
}

/* As above, of a node that its program polls. */
static void node_with_a_descriptor_is_closed_after_its_callback(void)
{
	open_bed(close_node);
	ZCP_CHECK(zcp_node_fd(bed.node) >= 0);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), NULL);
	ZCP_CHECK(bed.n_calls == 1);
	close_rest();
}

static void close_own_and_node(const struct zcp_sample *sample, void *user)
{
	struct zcp_subscriber **own = user;

	bed.n_calls++;
	bed.kept = *sample;
	ZCP_CHECK(zcp_sample_keep(sample) == 0);
	*own = zcp_subscriber_close(*own);
	bed.node = zcp_node_close(bed.node);
	ZCP_CHECK(has_number(&bed.kept, 1));
}

static void both_are_closed_and_what_is_kept_is_refused(void)
{
	open_bed(close_own_and_node);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), NULL);
	ZCP_CHECK(bed.n_calls == 1);
	ZCP_CHECK(zcp_sample_release(&bed.kept) == -EINVAL);
	close_rest();
}

static void close_node_on_match(const struct zcp_match *match, void *user)
{
	(void)user;
	ZCP_CHECK(bed.n_calls++ == 0);
	bed.node = zcp_node_close(bed.node);
	ZCP_CHECK(match->n == 1);
}

static void node_is_closed_after_its_match_callback(void)
{
	open_bed(count);
	zcp_test_publisher(bed.other, TOPIC, 64, 1);
	for (int i = 0; i < 2; i++)
		ZCP_OK(zcp_subscriber_on_match(bed.subscribers[i], close_node_on_match, NULL),
		       bed.node);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), NULL);
	ZCP_CHECK(bed.n_calls == 1);
	close_rest();
}

/* --- dispatching, waiting, taking --- */

static void check_dispatch_is_refused(void)
{
	ZCP_REFUSED(zcp_node_dispatch(bed.node, 0), bed.node, -EBUSY, "in a callback");
	ZCP_REFUSED(zcp_node_dispatch(bed.node, ZCP_FOREVER), bed.node, -EBUSY, "in a callback");
}

static void dispatch_again(const struct zcp_sample *sample, void *user)
{
	(void)sample;
	(void)user;
	bed.n_calls++;
	check_dispatch_is_refused();
}

static void dispatch_again_on_match(const struct zcp_match *match, void *user)
{
	(void)match;
	(void)user;
	bed.n_calls++;
	check_dispatch_is_refused();
}

static void dispatch_in_a_callback_is_refused(void)
{
	open_bed(dispatch_again);
	ZCP_OK(zcp_subscriber_on_match(bed.subscribers[0], dispatch_again_on_match, NULL),
	       bed.node);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), bed.node);
	/* And nobody is left out for it. */
	ZCP_CHECK(bed.n_calls == 1 + 2 * 5);
	zcp_test_send(bed.publisher, 6);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), bed.node);
	ZCP_CHECK(bed.n_calls == 1 + 2 * 6);
	bed.node = zcp_node_close(bed.node);
	close_rest();
}

/* Takes what follows itself, until it has closed its own: then there is nothing to wait for. */
static void take_all_and_close(const struct zcp_sample *sample, void *user)
{
	struct zcp_subscriber **own = user;

	bed.n_calls++;
	ZCP_CHECK(has_number(sample, 1));
	for (uint64_t i = 2; i <= 4; i++) {
		ZCP_OK(zcp_node_wait(bed.node, ZCP_FOREVER), bed.node);
		zcp_test_expect(*own, i);
	}
	*own = zcp_subscriber_close(*own);
	ZCP_CHECK(zcp_node_wait(bed.node, 0) == -ETIMEDOUT);
	ZCP_REFUSED(zcp_node_wait(bed.node, ZCP_FOREVER), bed.node, -EINVAL, "no subscriber");
}

static void callback_may_wait_and_take(void)
{
	open_bed(take_all_and_close);
	bed.subscribers[1] = zcp_subscriber_close(bed.subscribers[1]);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), bed.node);
	ZCP_CHECK(bed.n_calls == 1);
	bed.node = zcp_node_close(bed.node);
	close_rest();
}

/* --- opening --- */

static void open_more(const struct zcp_sample *sample, void *user)
{
	struct zcp_subscriber *more = zcp_test_subscriber(bed.node, TOPIC, 8, 2, 0);
	struct zcp_node *node = zcp_test_node();

	(void)user;
	/* The first one that we open gets one message from elsewhere, and so do we. */
	zcp_subscriber_on_sample(more, count, NULL);
	if (bed.n_calls++ == 0)
		zcp_test_send(zcp_test_publisher(node, TOPIC, 64, 1), 6);
	ZCP_CHECK(sample->publisher_id != zcp_publisher_id(bed.publisher) ||
		  has_number(sample, sample->sequence));
	zcp_node_close(node);
}

static void what_a_callback_opens_is_dispatched_next(void)
{
	open_bed(open_more);
	bed.subscribers[1] = zcp_subscriber_close(bed.subscribers[1]);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), bed.node);
	ZCP_CHECK(bed.n_calls == 6);
	zcp_subscriber_close(bed.subscribers[0]);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), bed.node);
	ZCP_CHECK(bed.n_calls == 7);
	zcp_test_send(bed.publisher, 7);
	ZCP_OK(zcp_node_dispatch(bed.node, 0), bed.node);
	ZCP_CHECK(bed.n_calls == 7 + 6);
	bed.node = zcp_node_close(bed.node);
	close_rest();
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(own_subscriber_is_closed_after_its_callback),
	ZCP_TEST_CASE(node_is_closed_after_its_callback),
	ZCP_TEST_CASE(node_with_a_descriptor_is_closed_after_its_callback),
	ZCP_TEST_CASE(both_are_closed_and_what_is_kept_is_refused),
	ZCP_TEST_CASE(node_is_closed_after_its_match_callback),
	ZCP_TEST_CASE(dispatch_in_a_callback_is_refused),
	ZCP_TEST_CASE(callback_may_wait_and_take),
	ZCP_TEST_CASE(what_a_callback_opens_is_dispatched_next),
};

ZCP_TEST_MAIN(cases)
