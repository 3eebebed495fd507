// SPDX-License-Identifier: Apache-2.0
//
// What the camera examples do, in C++: handles that close themselves, a frame drawn in place by
// an algorithm of the standard library, a viewer that is an object.
#include "domain.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>

namespace
{

const std::size_t width = 1920, height = 1080, frame_size = width * height * 3;
const unsigned int n_frames = 30;
const std::int64_t second = ZCP_SECOND;

struct closer {
	void operator()(zcp_node *node) const
	{
		zcp_node_close(node);
	}
	void operator()(zcp_publisher *publisher) const
	{
		zcp_publisher_close(publisher);
	}
	void operator()(zcp_subscriber *subscriber) const
	{
		zcp_subscriber_close(subscriber);
	}
};

using node_ptr = std::unique_ptr<zcp_node, closer>;
using publisher_ptr = std::unique_ptr<zcp_publisher, closer>;
using subscriber_ptr = std::unique_ptr<zcp_subscriber, closer>;

node_ptr open_node()
{
	zcp_node *node = nullptr;

	check_ok(zcp_node_open(&node, nullptr), nullptr, "zcp_node_open");
	return node_ptr(node);
}

class camera
{
      public:
	explicit camera(zcp_node *node) : node_(node)
	{
		zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
		zcp_publisher *publisher = nullptr;

		options.type = "sensor/Image.rgb8.1920x1080";
		options.max_payload = frame_size;
		check_ok(zcp_publisher_open(&publisher, node, "camera/front", &options), node,
			 "zcp_publisher_open");
		publisher_.reset(publisher);
	}

	void shoot(std::uint8_t brightness)
	{
		zcp_loan loan = ZCP_LOAN_INIT;

		check_ok(zcp_publisher_loan(publisher_.get(), frame_size, &loan), node_, "loan");
		std::uint8_t *pixels = static_cast<std::uint8_t *>(loan.data);
		std::iota(pixels, pixels + frame_size, brightness);
		check_ok(zcp_publisher_publish(publisher_.get(), &loan), node_, "publish");
	}

      private:
	zcp_node *node_;
	publisher_ptr publisher_;
};

class viewer
{
      public:
	explicit viewer(zcp_node *node)
	{
		zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
		zcp_subscriber *subscriber = nullptr;

		options.type = "sensor/Image.rgb8.1920x1080";
		check_ok(zcp_subscriber_open(&subscriber, node, "camera/front", &options), node,
			 "zcp_subscriber_open");
		subscriber_.reset(subscriber);
		zcp_subscriber_on_sample(
			subscriber,
			[](const zcp_sample *sample, void *user) {
				static_cast<viewer *>(user)->look(*sample);
			},
			this);
	}

	viewer(const viewer &) = delete;
	viewer &operator=(const viewer &) = delete;

	unsigned int n_seen() const
	{
		return n_seen_;
	}

      private:
	subscriber_ptr subscriber_;
	unsigned int n_seen_ = 0;

	void look(const zcp_sample &sample)
	{
		const std::uint8_t *pixels = static_cast<const std::uint8_t *>(sample.data);
		const std::uint8_t *wrong = std::adjacent_find(
			pixels, pixels + sample.size, [](std::uint8_t a, std::uint8_t b) {
				return static_cast<std::uint8_t>(a + 1) != b;
			});

		CHECK(sample.size == frame_size);
		CHECK(pixels[0] == static_cast<std::uint8_t>(n_seen_));
		CHECK(wrong == pixels + sample.size);
		CHECK(sample.lost == 0 && sample.sequence == n_seen_ + 1);
		n_seen_++;
	}
};

} // namespace

int main()
{
	const test_domain domain;
	// Threads that work at the same time would each open a node.
	const node_ptr camera_node = open_node(), viewer_node = open_node();
	camera front(camera_node.get());
	const viewer first(viewer_node.get()), second_one(viewer_node.get());

	for (unsigned int i = 0; i < n_frames; i++) {
		front.shoot(static_cast<std::uint8_t>(i));
		while (std::min(first.n_seen(), second_one.n_seen()) <= i)
			check_ok(zcp_node_dispatch(viewer_node.get(), 10 * second),
				 viewer_node.get(), "zcp_node_dispatch");
	}
	CHECK(first.n_seen() == n_frames && second_one.n_seen() == n_frames);
	return 0;
}
