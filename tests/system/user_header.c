/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user header: bytes of a fixed number before every message of a topic, wherever the
 * message lies, and who settles how many.
 */
#include <errno.h>
#include <string.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/runtime.h"

struct frame {
	uint64_t number;
	uint64_t camera;
	uint64_t exposure_ns;
};

struct pixels {
	uint64_t row[6];
};

static struct zcp_node *node;
static struct zcp_publisher *publisher;
static struct zcp_subscriber *subscriber;

static int publish(const char *topic, size_t user_header_size)
{
	const struct zcp_publisher_options options = {
		.struct_size = sizeof(options),
		.max_payload = 64,
		.user_header_size = user_header_size,
	};

	return zcp_publisher_open(&publisher, node, topic, &options);
}

static int subscribe(const char *topic, size_t user_header_size)
{
	const struct zcp_subscriber_options options = {
		.struct_size = sizeof(options),
		.user_header_size = user_header_size,
	};

	return zcp_subscriber_open(&subscriber, node, topic, &options);
}

/* The last publisher's loans, and what the runtime says. */
static void expect_user_header(const char *topic, size_t size)
{
	struct zcp_message reply;
	struct zcp_loan loan;

	ZCP_OK(zcp_publisher_loan(publisher, 10, &loan), node);
	ZCP_CHECK(loan.user_header_size == size && (loan.user_header != NULL) == (size > 0));
	ZCP_OK(zcp_publisher_discard(publisher, &loan), node);
	ZCP_CHECK(!loan.user_header && loan.user_header_size == 0);
	zcp_test_info(node, topic, &reply);
	ZCP_CHECK(reply.u.topic_info.user_header_size == size);
	zcp_message_deinit(&reply);
}

static void first_publisher_settles_the_size(void)
{
	node = zcp_test_node();
	ZCP_OK(publish("t", 24), node);
	ZCP_REFUSED(publish("t", 32), node, -EPROTOTYPE,
		    "topic 't' has a user header of 24 bytes, and this publisher has a user header "
		    "of 32 bytes: use one size, or another topic");
	ZCP_REFUSED(publish("t", 0), node, -EPROTOTYPE,
		    "a user header of 24 bytes, and this publisher has no user header: use one");
	ZCP_REFUSED(subscribe("t", 23), node, -EPROTOTYPE,
		    "a user header of 24 bytes, and this subscriber has a user header of 23 bytes");
	ZCP_OK(subscribe("t", 24), node);
	ZCP_OK(subscribe("t", 0), node);
	ZCP_OK(publish("t", 24), node);
	expect_user_header("t", 24);

	/* None is a size too. */
	ZCP_OK(publish("none", 0), node);
	ZCP_REFUSED(publish("none", 24), node, -EPROTOTYPE,
		    "topic 'none' has no user header, and this publisher has a user header of 24");
	ZCP_REFUSED(subscribe("none", 24), node, -EPROTOTYPE,
		    "topic 'none' has no user header, and this subscriber has a user header of 24");
	ZCP_OK(subscribe("none", 0), node);
	expect_user_header("none", 0);
	zcp_node_close(node);
}

static void subscriber_that_wants_one_settles_the_size(void)
{
	node = zcp_test_node();
	ZCP_OK(subscribe("t", 0), node);
	ZCP_OK(subscribe("t", 24), node);
	ZCP_REFUSED(publish("t", 0), node, -EPROTOTYPE,
		    "topic 't' has a user header of 24 bytes, and this publisher has no user "
		    "header: use one size, or another topic");
	ZCP_REFUSED(publish("t", 8), node, -EPROTOTYPE, "24 bytes, and this publisher|8 bytes");
	ZCP_REFUSED(subscribe("t", 8), node, -EPROTOTYPE, "24 bytes, and this subscriber|8 bytes");
	ZCP_OK(publish("t", 24), node);
	expect_user_header("t", 24);
	/* One that takes any leaves it to the publisher. */
	ZCP_OK(subscribe("any", 0), node);
	ZCP_OK(publish("any", 100), node);
	expect_user_header("any", 100);
	/* It stays the topic's as long as there is one. */
	zcp_publisher_close(publisher);
	ZCP_REFUSED(publish("any", 0), node, -EPROTOTYPE, "a user header of 100 bytes|no user");
	ZCP_OK(publish("any", 100), node);
	zcp_node_close(node);
}

static void configuration_settles_the_size(void)
{
	struct zcp_test_runtime runtime;

	zcp_test_runtime_start(&runtime, "[pool.p]\nclasses = [{size = 100, count = 1000}]\n"
					 "[pool.roomy]\nclasses = [{size = 100, count = 1000}]\n"
					 "user_header = 200\n"
					 "[topic.\"set\"]\nuser_header = 16\n"
					 "[topic.\"p/*\"]\npool = \"p\"\n"
					 "[topic.\"p/set\"]\nuser_header = 40\n"
					 "[topic.\"roomy\"]\npool = \"roomy\"\n");
	node = zcp_test_node();
	ZCP_REFUSED(publish("set", 8), node, -EPROTOTYPE,
		    "topic 'set' has a user header of 16 bytes|8 bytes");
	ZCP_REFUSED(subscribe("set", 8), node, -EPROTOTYPE,
		    "topic 'set' has a user header of 16 bytes|8 bytes");
	/* Who says nothing takes what is configured. */
	ZCP_OK(publish("set", 0), node);
	expect_user_header("set", 16);
	ZCP_OK(publish("set", 16), node);
	ZCP_OK(subscribe("set", 16), node);

	/* A pool has room for what is configured, or for what it says. */
	ZCP_OK(publish("p/set", 0), node);
	expect_user_header("p/set", 40);
	ZCP_REFUSED(publish("p/other", 41), node, -EINVAL,
		    "pool 'p' has room for user headers of 40 bytes, and this publisher has a user "
		    "header of 41 bytes: set user_header = 41 in [pool.\"p\"] of the "
		    "configuration");
	ZCP_REFUSED(subscribe("p/other", 64), node, -EINVAL,
		    "of 40 bytes, and this subscriber has a user header of 64 bytes: set "
		    "user_header = 64 in [pool.\"p\"]");
	ZCP_OK(publish("p/other", 8), node);
	expect_user_header("p/other", 8);
	ZCP_OK(publish("roomy", 200), node);
	expect_user_header("roomy", 200);
	zcp_node_close(node);
}

static void size_beyond_the_largest_is_refused(void)
{
	static const size_t wrong[] = { 4097, SIZE_MAX, (size_t)1 << 32 };

	node = zcp_test_node();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ZCP_REFUSED(publish("t", wrong[i]), node, -EINVAL,
			    "user_header_size is|4096 at most|lower it");
		ZCP_REFUSED(subscribe("t", wrong[i]), node, -EINVAL,
			    "user_header_size is|4096 at most|lower it");
	}
	ZCP_OK(publish("t", 4096), node);
	expect_user_header("t", 4096);
	zcp_node_close(node);
}

/* --- from end to end --- */

#define LOANS 3
#define ROUNDS 20

static const size_t sizes[] = { sizeof(struct pixels), 4096, 20000 };

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void write_message(struct zcp_loan *loan, uint64_t who, uint64_t number)
{
	const struct frame frame = { .number = number, .camera = who, .exposure_ns = ~number };

	ZCP_CHECK(loan->user_header_size == sizeof(frame));
	ZCP_CHECK((uintptr_t)loan->user_header % 64 == 0 && (uintptr_t)loan->data % 4096 == 0);
	memcpy(loan->user_header, &frame, sizeof(frame));
	zcp_test_fill(loan->data, loan->size, who, number);
}

static void check_message(const struct zcp_sample *sample, uint64_t who, uint64_t number)
{
	const struct frame *frame = sample->user_header;

	ZCP_CHECK(sample->user_header_size == sizeof(*frame));
	ZCP_CHECK((uintptr_t)frame % 64 == 0 && (uintptr_t)sample->data % 4096 == 0);
	ZCP_CHECK(frame->number == number && frame->camera == who && frame->exposure_ns == ~number);
	ZCP_CHECK(sample->sequence == number && sample->lost == 0 && sample->size == sizes[who]);
	ZCP_CHECK(zcp_test_is_filled(sample->data, sample->size, who, number));
}

/* Three publishers, each with all its loans written before one is published. */
static void send_and_take(const char *topic, struct zcp_node *other)
{
	struct zcp_subscriber_options so = {
		.struct_size = sizeof(so),
		ZCP_TYPE(struct pixels),
		.held = N_SIZES * LOANS,
		.user_header_size = sizeof(struct frame),
	};
	struct zcp_publisher *publishers[N_SIZES];

	ZCP_OK(zcp_subscriber_open(&subscriber, other, topic, &so), other);
	for (size_t i = 0; i < N_SIZES; i++) {
		const struct zcp_publisher_options po = {
			.struct_size = sizeof(po),
			ZCP_TYPE(struct pixels),
			.max_payload = i == 0 ? 0 : sizes[i],
			.loans = LOANS,
			.alignment = 4096,
			.user_header_size = sizeof(struct frame),
		};

		ZCP_OK(zcp_publisher_open(&publishers[i], node, topic, &po), node);
	}
	for (uint64_t first = 1; first < LOANS * ROUNDS; first += LOANS) {
		struct zcp_loan loans[N_SIZES][LOANS];
		struct zcp_sample samples[N_SIZES * LOANS];
		uint64_t numbers[N_SIZES] = { first, first, first };

		for (size_t i = 0; i < N_SIZES; i++)
			for (uint64_t l = 0; l < LOANS; l++) {
				ZCP_OK(zcp_publisher_loan(publishers[i], sizes[i], &loans[i][l]),
				       node);
				write_message(&loans[i][l], i, first + l);
			}
		for (size_t i = 0; i < N_SIZES; i++)
			for (uint64_t l = 0; l < LOANS; l++)
				ZCP_OK(zcp_publisher_publish(publishers[i], &loans[i][l]), node);
		for (size_t i = 0; i < N_SIZES * LOANS; i++)
			ZCP_OK(zcp_subscriber_take(subscriber, &samples[i]), other);
		for (size_t i = 0; i < N_SIZES * LOANS; i++) {
			const struct frame *frame = samples[i].user_header;

			ZCP_CHECK(frame && frame->camera < N_SIZES);
			check_message(&samples[i], frame->camera, numbers[frame->camera]++);
		}
		for (size_t i = 0; i < N_SIZES * LOANS; i++) {
			ZCP_CHECK(zcp_sample_release(&samples[i]) == 0);
			ZCP_CHECK(!samples[i].user_header);
		}
	}
	ZCP_CHECK(zcp_test_inside(publishers[N_SIZES - 1]).pool->n_classes == N_SIZES);
	ZCP_CHECK(zcp_test_n_busy(node) == 0);
}

static void it_travels_with_the_message_in_every_size_class(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *other;

	zcp_test_runtime_start(&runtime,
			       "[pool.p]\nclasses = [{size = 48, count = 100}, {size = 4096, "
			       "count = 100}, {size = 20000, count = 100}]\nalignment = 4096\n"
			       "[topic.\"pooled\"]\npool = \"p\"\n"
			       "user_header = 24\n");
	node = zcp_test_node();
	other = zcp_test_node();
	send_and_take("own", other);
	send_and_take("pooled", other);
	zcp_node_close(node);
	zcp_node_close(other);
}

static void message_that_is_copied_has_one_of_zeros(void)
{
	static const char zeros[4096];
	struct zcp_sample sample;
	struct zcp_loan loan;

	node = zcp_test_node();
	ZCP_OK(publish("t", sizeof(zeros)), node);
	ZCP_OK(subscribe("t", 0), node);
	for (int i = 0; i < 100; i++) {
		ZCP_OK(zcp_publisher_loan(publisher, 8, &loan), node);
		memset(loan.user_header, 0xa5, loan.user_header_size);
		ZCP_OK(zcp_publisher_discard(publisher, &loan), node);
		zcp_test_send(publisher, 1);
		ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
		ZCP_CHECK(sample.user_header_size == sizeof(zeros));
		ZCP_CHECK(memcmp(sample.user_header, zeros, sizeof(zeros)) == 0);
		ZCP_CHECK(zcp_sample_release(&sample) == 0);
	}
	zcp_node_close(node);
}

static void message_without_one_says_so(void)
{
	struct zcp_sample sample;

	node = zcp_test_node();
	ZCP_OK(publish("t", 0), node);
	ZCP_OK(subscribe("t", 0), node);
	zcp_test_send(publisher, 1);
	memset(&sample, 0xa5, sizeof(sample));
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	ZCP_CHECK(!sample.user_header && sample.user_header_size == 0);
	zcp_node_close(node);
}

static void expect_frame(const struct zcp_sample *sample, uint64_t number)
{
	const struct frame *frame = sample->user_header;

	ZCP_CHECK(sample->user_header_size == sizeof(*frame));
	ZCP_CHECK(sample->sequence == number && frame->number == number);
}

static void history_and_the_newest_have_it_too(void)
{
	const struct zcp_publisher_options po = {
		.struct_size = sizeof(po),
		ZCP_TYPE(struct pixels),
		.history = 3,
		.user_header_size = sizeof(struct frame),
	};
	const struct zcp_subscriber_options so = { .struct_size = sizeof(so),
						   ZCP_TYPE(struct pixels),
						   .history = 3 };
	struct zcp_sample sample;
	struct zcp_loan loan;

	node = zcp_test_node();
	ZCP_OK(zcp_publisher_open(&publisher, node, "t", &po), node);
	for (uint64_t i = 1; i <= 10; i++) {
		ZCP_OK(zcp_publisher_loan(publisher, sizeof(struct pixels), &loan), node);
		*(struct frame *)loan.user_header = (struct frame){ .number = i };
		ZCP_OK(zcp_publisher_publish(publisher, &loan), node);
	}
	ZCP_OK(zcp_subscriber_open(&subscriber, node, "t", &so), node);
	ZCP_OK(zcp_subscriber_take(subscriber, &sample), node);
	expect_frame(&sample, 8);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	ZCP_OK(zcp_subscriber_latest(subscriber, &sample), node);
	expect_frame(&sample, 10);
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	zcp_node_close(node);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(first_publisher_settles_the_size),
	ZCP_TEST_CASE(subscriber_that_wants_one_settles_the_size),
	ZCP_TEST_CASE(configuration_settles_the_size),
	ZCP_TEST_CASE(size_beyond_the_largest_is_refused),
	ZCP_TEST_CASE(it_travels_with_the_message_in_every_size_class),
	ZCP_TEST_CASE(message_that_is_copied_has_one_of_zeros),
	ZCP_TEST_CASE(message_without_one_says_so),
	ZCP_TEST_CASE(history_and_the_newest_have_it_too),
};

ZCP_TEST_MAIN(cases)
