// SPDX-License-Identifier: Apache-2.0
//
// A callback that leaves by an exception: its sample is given back, and what comes after it is
// dispatched, more often than the subscriber may hold samples.
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

} // namespace

int main()
{
	const test_domain domain;
	zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	zcp_publisher *publisher = nullptr;
	zcp_subscriber *subscriber = nullptr;
	zcp_node *node = nullptr;
	int n_caught = 0;

	check_ok(zcp_node_open(&node, nullptr), nullptr, "node");
	options.max_payload = 64;
	check_ok(zcp_publisher_open(&publisher, node, "throws", &options), node, "publisher");
	check_ok(zcp_subscriber_open(&subscriber, node, "throws", nullptr), node, "subscriber");
	zcp_subscriber_on_sample(subscriber, on_sample, nullptr);
	for (int i = 0; i < 12; i++) {
		check_ok(zcp_publisher_send(publisher, "x", 1), node, "send");
		try {
			check_ok(zcp_node_dispatch(node, ZCP_FOREVER), node, "dispatch");
		} catch (const std::runtime_error &) {
			n_caught++;
		}
	}
	CHECK(n_calls == 12 && n_caught == 12);
	zcp_node_close(node);
	return 0;
}
