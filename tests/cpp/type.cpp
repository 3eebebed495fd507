// SPDX-License-Identifier: Apache-2.0
//
// A type with its name, size and alignment: with designated initialisers where there are any,
// member by member before C++20, and refused where it is another one.
#include "domain.hpp"

#include <array>
#include <cstdint>
#include <string>

#if defined(__GNUC__) && !defined(__clang__)
// g++ warns of designated initialisers that leave anything out; C and clang++ do not.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif

namespace
{

struct imu {
	double acceleration[3];
	double rotation[3];
};

#if __cplusplus >= 202002L

void check_commas()
{
	const zcp_publisher_options po = { .struct_size = sizeof(po),
					   ZCP_TYPE(std::array<float, 3>) };
	const zcp_subscriber_options so = { .struct_size = sizeof(so),
					    ZCP_TYPE(std::array<float, 3>),
					    .depth = 4 };

	CHECK(std::string(po.type) == "std::array<float, 3>" && std::string(so.type) == po.type);
	CHECK(po.type_size == 12 && po.type_alignment == 4);
	CHECK(so.type_size == 12 && so.type_alignment == 4);
}

zcp_publisher_options publisher_options()
{
	zcp_publisher_options options = { .struct_size = sizeof(options),
					  ZCP_TYPE(struct imu),
					  .loans = 3 };

	return options;
}

zcp_subscriber_options subscriber_options()
{
	zcp_subscriber_options options = { .struct_size = sizeof(options),
					   ZCP_TYPE(struct imu),
					   .depth = 4 };

	return options;
}

#else

void check_commas()
{
	static_assert(ZCP_ALIGNOF(std::array<double, 3>) == alignof(double), "alignment");
}

zcp_publisher_options publisher_options()
{
	zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	options.type = "struct imu";
	options.type_size = sizeof(imu);
	options.type_alignment = ZCP_ALIGNOF(imu);
	options.loans = 3;
	return options;
}

zcp_subscriber_options subscriber_options()
{
	zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;

	options.type = "struct imu";
	options.type_size = sizeof(imu);
	options.type_alignment = ZCP_ALIGNOF(imu);
	options.depth = 4;
	return options;
}

#endif

void check_refusal(zcp_node *node)
{
	zcp_subscriber_options options = subscriber_options();
	zcp_subscriber *subscriber = nullptr;

	options.type_size = 64;
	CHECK(zcp_subscriber_open(&subscriber, node, "imu", &options) == -EPROTOTYPE);
	const std::string sentence = zcp_node_error(node);
	CHECK(sentence.find("'struct imu' of 48 bytes aligned to 8, and this subscriber has type "
			    "'struct imu' of 64 bytes aligned to 8") != std::string::npos);
}

} // namespace

int main()
{
	const test_domain domain;
	const zcp_publisher_options po = publisher_options();
	const zcp_subscriber_options so = subscriber_options();
	zcp_publisher *publisher = nullptr;
	zcp_subscriber *subscriber = nullptr;
	zcp_node *node = nullptr;
	zcp_sample sample = ZCP_SAMPLE_INIT;
	imu message = { { 0, 0, 9.80665 }, { 0, 0, 0.01 } };

	CHECK(po.struct_size == sizeof(po) && po.loans == 3 && po.max_payload == 0);
	CHECK(so.struct_size == sizeof(so) && so.depth == 4 && so.on_full == 0);
	CHECK(std::string(po.type) == "struct imu" && std::string(so.type) == po.type);
	CHECK(po.type_size == 48 && po.type_alignment == 8);
	CHECK(so.type_size == 48 && so.type_alignment == 8);

	check_commas();

	check_ok(zcp_node_open(&node, nullptr), nullptr, "zcp_node_open");
	check_ok(zcp_publisher_open(&publisher, node, "imu", &po), node, "zcp_publisher_open");
	check_ok(zcp_subscriber_open(&subscriber, node, "imu", &so), node, "zcp_subscriber_open");
	check_refusal(node);
	CHECK(zcp_publisher_max_payload(publisher) == sizeof(imu));
	check_ok(zcp_publisher_send(publisher, &message, sizeof(message)), node, "send");
	check_ok(zcp_subscriber_take(subscriber, &sample), node, "take");
	CHECK(static_cast<const imu *>(sample.data)->acceleration[2] > 9.8);
	CHECK(zcp_sample_release(&sample) == 0);
	CHECK(!zcp_node_close(node));
	return 0;
}
