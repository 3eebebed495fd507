// SPDX-License-Identifier: Apache-2.0
//
// The public API as a C++ program sees it: every header, every initialiser, and each function
// once for real.
#include <zcp/export.h>
#include <zcp/match.h>
#include <zcp/node.h>
#include <zcp/publisher.h>
#include <zcp/subscriber.h>
#include <zcp/version.h>
#include <zcp/zcp.h>

#include "domain.hpp"

#include <string>

namespace
{

const char topic[] = "cpp/api";
const std::int64_t second = ZCP_SECOND;

struct inbox {
	std::string text;
	unsigned int n;
	zcp_sample sample;
};

void check_initialisers()
{
	const zcp_node_options node = ZCP_NODE_OPTIONS_INIT;
	const zcp_publisher_options publisher = ZCP_PUBLISHER_OPTIONS_INIT;
	const zcp_subscriber_options subscriber = ZCP_SUBSCRIBER_OPTIONS_INIT;
	const zcp_loan loan = ZCP_LOAN_INIT;
	const zcp_sample sample = ZCP_SAMPLE_INIT;

	CHECK(node.struct_size == sizeof(node) && !node.name && node.auto_start == 0);
	CHECK(publisher.struct_size == sizeof(publisher) && !publisher.type);
	CHECK(subscriber.struct_size == sizeof(subscriber) && subscriber.depth == 0);
	CHECK(!loan.data && !sample.data);
	CHECK(zcp_version() == ZCP_VERSION);
	CHECK(std::string(zcp_version_string()).find('.') != std::string::npos);
}

// A subscriber of another type is refused, and the sentence names both.
void check_refusal(zcp_node *node)
{
	zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	zcp_subscriber *subscriber = nullptr;

	options.type = "test/Other";
	CHECK(zcp_subscriber_open(&subscriber, node, topic, &options) == -EPROTOTYPE);
	CHECK(!subscriber);
	const std::string sentence = zcp_node_error(node);
	CHECK(sentence.find("test/Text") != std::string::npos);
	CHECK(sentence.find("test/Other") != std::string::npos);
}

// Each sees the other, and its node's name.
void check_match(zcp_node *node, zcp_publisher *publisher, zcp_subscriber *subscriber)
{
	const zcp_on_match_fn note = [](const zcp_match *match, void *user) {
		inbox *into = static_cast<inbox *>(user);

		CHECK(match->change == ZCP_MATCH_JOINED && match->n == 1 && match->pid != 0);
		into->text += match->node;
		into->n++;
	};
	inbox in = { "", 0, ZCP_SAMPLE_INIT };

	check_ok(zcp_subscriber_wait_publishers(subscriber, 1, 10 * second), node, "wait");
	check_ok(zcp_publisher_on_match(publisher, note, &in), node, "on_match");
	check_ok(zcp_subscriber_on_match(subscriber, note, &in), node, "on_match");
	check_ok(zcp_node_dispatch(node, 10 * second), node, "dispatch");
	CHECK(in.n == 2 && in.text == "cpp-testcpp-test");
	check_ok(zcp_publisher_on_match(publisher, nullptr, nullptr), node, "on_match");
	check_ok(zcp_subscriber_on_match(subscriber, nullptr, nullptr), node, "on_match");
}

// Loan, write, publish; be called back, and keep the sample.
void check_callback(zcp_node *node, zcp_publisher *publisher, zcp_subscriber *subscriber)
{
	const std::string text = "written in place";
	zcp_loan loan = ZCP_LOAN_INIT;
	inbox in = { "", 0, ZCP_SAMPLE_INIT };

	zcp_subscriber_on_sample(
		subscriber,
		[](const zcp_sample *sample, void *user) {
			inbox *into = static_cast<inbox *>(user);

			into->sample = *sample;
			CHECK(zcp_sample_keep(&into->sample) == 0);
			into->n++;
		},
		&in);
	check_ok(zcp_publisher_loan(publisher, text.size(), &loan), node, "loan");
	CHECK(loan.size == text.size() && loan.capacity >= loan.size);
	text.copy(static_cast<char *>(loan.data), text.size());
	check_ok(zcp_publisher_publish(publisher, &loan), node, "publish");
	CHECK(!loan.data);

	check_ok(zcp_node_dispatch(node, 10 * second), node, "dispatch");
	CHECK(in.n == 1 && in.sample.size == text.size());
	CHECK(std::string(static_cast<const char *>(in.sample.data), in.sample.size) == text);
	CHECK(zcp_sample_release(&in.sample) == 0);
	zcp_subscriber_on_sample(subscriber, nullptr, nullptr);
}

// Send, which copies; wait and take.
void check_take(zcp_node *node, zcp_publisher *publisher, zcp_subscriber *subscriber)
{
	const std::string text = "copied";
	zcp_sample sample = ZCP_SAMPLE_INIT;
	std::uint64_t taken = 0, lost = 1;
	char name[ZCP_NODE_NAME_MAX + 1];

	CHECK(zcp_subscriber_take(subscriber, &sample) == -EAGAIN);
	CHECK(zcp_node_wait(node, 0) == -ETIMEDOUT);
	check_ok(zcp_publisher_send(publisher, text.data(), text.size()), node, "send");
	check_ok(zcp_node_wait(node, 10 * second), node, "wait");
	check_ok(zcp_subscriber_take(subscriber, &sample), node, "take");
	CHECK(std::string(static_cast<const char *>(sample.data), sample.size) == text);
	CHECK(sample.sequence == 2 && sample.lost == 0);
	CHECK(sample.publisher_id == zcp_publisher_id(publisher));
	check_ok(zcp_sample_publisher_name(&sample, name, sizeof(name)), node, "publisher_name");
	CHECK(std::string(name) == "cpp-test");
	CHECK(zcp_sample_release(&sample) == 0);
	CHECK(!sample.data);

	zcp_subscriber_counts(subscriber, &taken, &lost);
	CHECK(taken == 2 && lost == 0);
}

// What is left: discard, an interrupt, the numbers.
void check_rest(zcp_node *node, zcp_publisher *publisher, zcp_subscriber *subscriber)
{
	zcp_loan loan = ZCP_LOAN_INIT;

	check_ok(zcp_publisher_loan(publisher, 0, &loan), node, "loan");
	check_ok(zcp_publisher_discard(publisher, &loan), node, "discard");
	check_ok(zcp_publisher_loan(publisher, 1, &loan), node, "loan");
	check_ok(zcp_publisher_publish_timed(publisher, &loan, 0), node, "publish_timed");
	CHECK(zcp_publisher_loan(publisher, zcp_publisher_max_payload(publisher) + 1, &loan) ==
	      -EMSGSIZE);

	check_ok(zcp_publisher_wait_subscribers(publisher, 1, 10 * second), node, "wait");
	CHECK(zcp_publisher_n_subscribers(publisher) == 1);
	CHECK(zcp_subscriber_n_publishers(subscriber) == 1);
	CHECK(std::string(zcp_node_name(node)) == "cpp-test");

	zcp_node_interrupt(node);
	CHECK(zcp_node_wait(node, ZCP_FOREVER) == -EINTR);
}

} // namespace

int main()
{
	check_initialisers();

	const test_domain domain;
	zcp_node_options node_options = ZCP_NODE_OPTIONS_INIT;
	zcp_publisher_options publisher_options = ZCP_PUBLISHER_OPTIONS_INIT;
	zcp_subscriber_options subscriber_options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	zcp_node *node = nullptr;
	zcp_publisher *publisher = nullptr;
	zcp_subscriber *subscriber = nullptr;

	node_options.name = "cpp-test";
	node_options.auto_start = ZCP_AUTO_START_ON;
	check_ok(zcp_node_open(&node, &node_options), nullptr, "zcp_node_open");
	publisher_options.type = "test/Text";
	publisher_options.max_payload = 100;
	check_ok(zcp_publisher_open(&publisher, node, topic, &publisher_options), node,
		 "zcp_publisher_open");
	subscriber_options.type = "test/Text";
	subscriber_options.on_full = ZCP_ON_FULL_DROP_OLDEST;
	check_ok(zcp_subscriber_open(&subscriber, node, topic, &subscriber_options), node,
		 "zcp_subscriber_open");

	check_refusal(node);
	check_match(node, publisher, subscriber);
	check_callback(node, publisher, subscriber);
	check_take(node, publisher, subscriber);
	check_rest(node, publisher, subscriber);

	CHECK(!zcp_subscriber_close(subscriber));
	CHECK(zcp_publisher_n_subscribers(publisher) == 0);
	CHECK(!zcp_publisher_close(publisher));
	CHECK(!zcp_node_close(node));
	return 0;
}
