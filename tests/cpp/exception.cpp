// SPDX-License-Identifier: Apache-2.0
//
// A callback that leaves by an exception: its sample is given back, and what comes after it is
// dispatched, more often than the subscriber may hold samples. What it has closed before is closed.
#include "domain.hpp"

#include <stdexcept>

namespace
{

int n_calls;

void on_sample(const zcp_sample *, void *)
{
	n_calls++;
	throw std::runtime_error("from the callback");
}

void close_and_throw(const zcp_sample *, void *user)
{
	zcp_subscriber **own = static_cast<zcp_subscriber **>(user);

	*own = zcp_subscriber_close(*own);
	throw std::runtime_error("from the callback");
}

void close_node_and_throw(const zcp_sample *, void *user)
{
	zcp_node **node = static_cast<zcp_node **>(user);

	*node = zcp_node_close(*node);
	throw std::runtime_error("from the callback");
}

void check_thrown(zcp_node *node, zcp_publisher *publisher)
{
	bool is_caught = false;

	check_ok(zcp_publisher_send(publisher, "x", 1), node, "send");
	try {
		check_ok(zcp_node_dispatch(node, ZCP_FOREVER), node, "dispatch");
	} catch (const std::runtime_error &) {
		is_caught = true;
	}
	CHECK(is_caught);
}

} // namespace

int main()
{
	const test_domain domain;
	zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	zcp_publisher *publisher = nullptr;
	zcp_subscriber *subscriber = nullptr;
	zcp_node *node = nullptr, *other = nullptr;

	check_ok(zcp_node_open(&node, nullptr), nullptr, "node");
	check_ok(zcp_node_open(&other, nullptr), nullptr, "node");
	options.max_payload = 64;
	check_ok(zcp_publisher_open(&publisher, other, "throws", &options), other, "publisher");
	check_ok(zcp_subscriber_open(&subscriber, node, "throws", nullptr), node, "subscriber");
	zcp_subscriber_on_sample(subscriber, on_sample, nullptr);
	for (int i = 0; i < 12; i++)
		check_thrown(node, publisher);
	CHECK(n_calls == 12);

	zcp_subscriber_on_sample(subscriber, close_and_throw, &subscriber);
	check_thrown(node, publisher);
	CHECK(!subscriber && zcp_publisher_n_subscribers(publisher) == 0);
	check_ok(zcp_subscriber_open(&subscriber, node, "throws", nullptr), node, "subscriber");
	zcp_subscriber_on_sample(subscriber, close_node_and_throw, &node);
	check_thrown(node, publisher);
	CHECK(!node && zcp_publisher_n_subscribers(publisher) == 0);
	zcp_node_close(other);
	return 0;
}
