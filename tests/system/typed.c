/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp/typed.h: endpoints that are opened for a C type, and the loop that releases what it takes.
 */
#include <errno.h>
#include <string.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/runtime.h"

struct imu {
	double acceleration[3], rotation[3];
};

/* --- opening --- */

static void type_size_and_alignment_are_declared(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_loan loan;
	struct zcp_sample sample;

	ZCP_OK(ZCP_PUBLISHER_OPEN(&publisher, node, "imu", struct imu), node);
	ZCP_CHECK(zcp_publisher_max_payload(publisher) == sizeof(struct imu));
	ZCP_OK(ZCP_SUBSCRIBER_OPEN(&subscriber, node, "imu", struct imu), node);
	ZCP_OK(zcp_publisher_loan(publisher, sizeof(struct imu), &loan), node);
	*zcp_loan_as(&loan, struct imu) = (struct imu){ .acceleration = { 0, 0, 9.80665 } };
	ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	ZCP_CHECK(!zcp_loan_as(&loan, struct imu));
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_CHECK(zcp_sample_as(&sample, struct imu)->acceleration[2] > 9.8);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	{
		struct imu {
			float acceleration[3], rotation[3];
		};

		ZCP_REFUSED(ZCP_SUBSCRIBER_OPEN(&subscriber, node, "imu", struct imu), node,
			    -EPROTOTYPE,
			    "'struct imu' of 48 bytes aligned to 8|'struct imu' of 24 bytes "
			    "aligned to 4");
		ZCP_REFUSED(ZCP_PUBLISHER_OPEN(&publisher, node, "imu", struct imu), node,
			    -EPROTOTYPE, "'struct imu' of 24 bytes aligned to 4");
	}
	zcp_node_close(node);
}

static void options_may_follow_the_type(void)
{
	struct zcp_node *node = zcp_test_node();
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	struct zcp_loan loans[4];
	struct zcp_sample sample;

	ZCP_OK(ZCP_PUBLISHER_OPEN(&publisher, node, "imu", struct imu, .loans = 3, .history = 2),
	       node);
	for (int i = 0; i < 3; i++)
		ZCP_OK(zcp_publisher_loan(publisher, sizeof(struct imu), &loans[i]), node);
	ZCP_CHECK(zcp_publisher_loan(publisher, sizeof(struct imu), &loans[3]) == -EMLINK);
	for (int i = 0; i < 3; i++)
		ZCP_OK(zcp_publisher_publish(publisher, &loans[i]), node);
	ZCP_OK(ZCP_SUBSCRIBER_OPEN(&subscriber, node, "imu", struct imu, .history = 1), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_CHECK(sample.sequence == 3);
	zcp_node_close(node);
}

/* --- the loop --- */

static struct zcp_node *node;
static struct zcp_publisher *publisher;
static struct zcp_subscriber *subscriber;

/* A subscriber that may hold one sample, and five messages for it. */
static void begin(void)
{
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", 64, 1);
	subscriber = zcp_test_subscriber(node, "t", 8, 1, 0);
	for (uint64_t i = 1; i <= 5; i++)
		zcp_test_send(publisher, i);
}

static uint64_t number_of(const struct zcp_sample *sample)
{
	const uint64_t *number = zcp_sample_as(sample, uint64_t);

	ZCP_CHECK(number);
	return *number;
}

static void all_are_taken_and_released(void)
{
	uint64_t n = 0;
	int error = 1;

	begin();
	zcp_for_each_sample(sample, subscriber, &error) {
		ZCP_CHECK(number_of(&sample) == ++n);
		if (n % 2)
			continue;
	}
	ZCP_CHECK(n == 5 && error == 0);
	/* Where there is nothing the statement does not run. */
	zcp_for_each_sample(sample, subscriber, NULL)
		ZCP_CHECK(!sample.data);
	zcp_node_close(node);
}

static uint64_t first_one(void)
{
	zcp_for_each_sample(sample, subscriber, NULL)
		return number_of(&sample);
	return 0;
}

/* Each of these is followed by a take, for which nothing may be held. */
static void sample_is_released_however_the_loop_is_left(void)
{
	int error = 1;

	begin();
	zcp_for_each_sample(sample, subscriber, &error)
		break;
	ZCP_CHECK(error == 0);
	ZCP_CHECK(first_one() == 2);
	zcp_for_each_sample(sample, subscriber, NULL) {
		ZCP_CHECK(number_of(&sample) == 3);
		goto left;
	}
left:
	zcp_test_expect(subscriber, 4);
	/* The statement may release it itself, once more is nothing. */
	zcp_for_each_sample(sample, subscriber, &error)
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
	ZCP_CHECK(error == 0);
	zcp_node_close(node);
}

static void moved_sample_is_the_callers(void)
{
	struct zcp_sample kept = ZCP_SAMPLE_INIT;
	int error = 0;

	begin();
	zcp_for_each_sample(sample, subscriber, &error)
		kept = zcp_sample_move(&sample);
	/* The second one could not be taken: the first one is held. */
	ZCP_CHECK(error == -EMLINK && number_of(&kept) == 1);
	ZCP_CHECK(zcp_sample_release(&kept) == 0);
	zcp_test_expect(subscriber, 2);
	zcp_node_close(node);
}

static void subscriber_may_be_closed_on_the_way_out(void)
{
	begin();
	zcp_for_each_sample(sample, subscriber, NULL) {
		subscriber = zcp_subscriber_close(subscriber);
		break;
	}
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(type_size_and_alignment_are_declared),
	ZCP_TEST_CASE(options_may_follow_the_type),
	ZCP_TEST_CASE(all_are_taken_and_released),
	ZCP_TEST_CASE(sample_is_released_however_the_loop_is_left),
	ZCP_TEST_CASE(moved_sample_is_the_callers),
	ZCP_TEST_CASE(subscriber_may_be_closed_on_the_way_out),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
