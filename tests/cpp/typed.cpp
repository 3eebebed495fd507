// SPDX-License-Identifier: Apache-2.0
//
// zcp/typed.h in C++: endpoints of a type, messages as that type, and a loop that releases what it
// takes, also where an exception leaves it.
#include "domain.hpp"

#include <array>
#include <stdexcept>
#include <string>

namespace
{

struct imu {
	double acceleration[3];
	double rotation[3];
};

void publish(zcp_node *node, zcp_publisher *publisher, double x)
{
	zcp_loan loan = ZCP_LOAN_INIT;

	check_ok(zcp_publisher_loan(publisher, sizeof(imu), &loan), node, "loan");
	imu *to = zcp_loan_as(&loan, imu);
	CHECK(to);
	to->acceleration[0] = x;
	loan.size--;
	CHECK(!zcp_loan_as(&loan, imu));
	loan.size++;
	check_ok(zcp_publisher_publish(publisher, &loan), node, "publish");
	CHECK(!zcp_loan_as(&loan, imu));
}

// Held are two at most: what is not released is missing at the third.
void check_loop(zcp_node *node, zcp_publisher *publisher, zcp_subscriber *subscriber)
{
	int n = 0, error = 1;

	for (int i = 1; i <= 6; i++)
		publish(node, publisher, i);
	zcp_for_each_sample(sample, subscriber, &error) {
		const imu *from = zcp_sample_as(&sample, imu);

		CHECK(from && static_cast<int>(from->acceleration[0]) == ++n);
		if (n == 5)
			break;
	}
	CHECK(n == 5 && error == 0);
	for (int i = 0; i < 5; i++) {
		bool is_caught = false;

		try {
			zcp_for_each_sample(sample, subscriber, &error)
				throw std::runtime_error("from the loop");
		} catch (const std::runtime_error &) {
			is_caught = true;
		}
		CHECK(is_caught && error == 0);
		publish(node, publisher, i);
	}
}

} // namespace

int main()
{
	const test_domain domain;
	zcp_publisher *publisher = nullptr;
	zcp_subscriber *subscriber = nullptr, *other = nullptr;
	zcp_node *node = nullptr;

	check_ok(zcp_node_open(&node, nullptr), nullptr, "zcp_node_open");
	check_ok(ZCP_PUBLISHER_OPEN(&publisher, node, "imu", struct imu), node, "publisher");
	check_ok(ZCP_SUBSCRIBER_OPEN(&subscriber, node, "imu", struct imu), node, "subscriber");
	CHECK(ZCP_SUBSCRIBER_OPEN(&other, node, "imu", std::array<float, 3>) == -EPROTOTYPE);
	const std::string sentence = zcp_node_error(node);
	CHECK(sentence.find("'struct imu' of 48 bytes aligned to 8") != std::string::npos);
	CHECK(sentence.find("'std::array<float, 3>' of 12 bytes") != std::string::npos);
	check_loop(node, publisher, subscriber);
	CHECK(!zcp_node_close(node));
	return 0;
}
