// SPDX-License-Identifier: Apache-2.0
//
// zcp/zcp.hpp, against itself and against peer.c, which sends back twice what it gets. Built by
// run.sh with and without exceptions.
#include "../cpp/domain.hpp"

#include <zcp/zcp.hpp>

#include <array>
#include <string>
#include <vector>

struct imu {
	double acceleration[3] = { 0, 0, 9.80665 };
	double rotation[3];
};
ZCP_TYPE_NAME(imu, "struct imu");

struct stamp {
	std::uint64_t sensor_ns;
};

namespace
{

using namespace std::chrono_literals;

// The value, or the test fails with the sentence.
template <typename T> T must(zcp::result<T> result)
{
	if (!result) {
		std::fprintf(stderr, "%s (%d)\n", result.error().message().c_str(),
			     result.error().code());
		std::exit(1);
	}
	return std::move(result).value();
}

template <> void must(zcp::result<void> result)
{
	if (!result) {
		std::fprintf(stderr, "%s\n", result.error().message().c_str());
		std::exit(1);
	}
}

void check_results(zcp::node &node)
{
	auto publisher = must(zcp::publisher<imu>::open(node, "results"));
	auto subscriber = must(zcp::subscriber<imu>::open(node, "results"));
	auto nothing = subscriber.take();

	CHECK(!nothing.has_value() && !nothing && nothing.error().code() == -EAGAIN);
	CHECK(subscriber.take(0ns).error().code() == -EAGAIN);
	CHECK(nothing.error().message().find("nothing to take") != std::string::npos);
	CHECK(zcp::result<int>(zcp::error(-ENOSPC)).value_or(7) == 7);
	CHECK(zcp::result<int>(5).value_or(7) == 5 && zcp::result<int>(5).error().code() == 0);
	auto first = must(publisher.loan()), second = must(publisher.loan());
	auto third = publisher.loan();
	CHECK(third.error().code() == -EMLINK);
	CHECK(third.error().message().find("2 chunks of topic 'results'") != std::string::npos);
	const auto other = zcp::subscriber<float[]>::open(node, "results");
	CHECK(other.error().code() == -EPROTOTYPE);
	CHECK(other.error().message().find("'struct imu' of 48 bytes aligned to 8") !=
	      std::string::npos);
#if defined(__cpp_exceptions)
	int code = 0;
	try {
		(void)publisher.loan().value();
	} catch (const zcp::exception &exception) {
		code = exception.code();
		CHECK(std::string(exception.what()).find("on loan") != std::string::npos);
	}
	CHECK(code == -EMLINK);
#endif
}

// What is not published is discarded, whatever it was moved to.
void check_loans(zcp::node &node)
{
	zcp::publisher_options options;

	options.loans = 2;
	options.user_header_size = sizeof(stamp);
	auto publisher = must(zcp::publisher<imu>::open(node, "loans", options));
	auto subscriber = must(zcp::subscriber<imu>::open(node, "loans"));

	for (int i = 0; i < 5; i++) {
		auto first = must(publisher.loan()), second = must(publisher.loan());

		CHECK(first->acceleration[2] > 9.8);
		CHECK(!publisher.loan());
		first = std::move(second);
		auto third = must(publisher.loan());
		CHECK(!second.get() && !second.publish());
	}
	auto loan = must(publisher.loan());
	(*loan).rotation[1] = 4;
	CHECK(loan.user_header<imu>() == nullptr);
	loan.user_header<stamp>()->sensor_ns = 17;
	must(loan.publish());
	CHECK(!loan.get() && loan.publish().error().code() == -EINVAL);

	auto sample = must(subscriber.take(10s));
	CHECK(sample->rotation[1] > 3 && (*sample).acceleration[2] > 9.8);
	CHECK(sample.user_header<stamp>()->sensor_ns == 17);
	CHECK(sample.sequence() == 1 && sample.lost() == 0 && sample.publish_time() > 0ns);
	CHECK(sample.publisher_id() == zcp_publisher_id(publisher.handle()));
	must(publisher.send(imu{}));
	must(publisher.send(imu{}));
	CHECK(must(subscriber.latest()).sequence() == 3);
}

// Held are two at most: what is not given back is missing at the third.
void check_samples(zcp::node &node)
{
	zcp::subscriber_options options;

	options.held = 2;
	auto publisher = must(zcp::publisher<imu>::open(node, "samples"));
	auto subscriber = must(zcp::subscriber<imu>::open(node, "samples", options));

	for (int i = 0; i < 5; i++) {
		for (int n = 0; n < 3; n++)
			must(publisher.send(imu{}));
		auto first = must(subscriber.take()), second = must(subscriber.take());

		CHECK(subscriber.take().error().code() == -EMLINK);
		first = std::move(second);
		CHECK(!second.get());
		auto third = must(subscriber.take());
		CHECK(third.sequence() == first.sequence() + 1);
	}
}

void check_arrays(zcp::node &node)
{
	const std::vector<float> ranges = { 1, 2, 3, 4, 5 };
	zcp::publisher_options options;

	options.max_payload = 8 * sizeof(float);
	auto publisher = must(zcp::publisher<float[]>::open(node, "scan", options));
	auto subscriber = must(zcp::subscriber<float[]>::open(node, "scan"));

	must(publisher.send(ranges));
	auto sample = must(subscriber.take());
	CHECK(std::vector<float>(sample.get().begin(), sample.get().end()) == ranges);
	auto loan = must(publisher.loan(8));
	for (float &range : loan.get())
		range = 1;
	loan[1] = 2;
	loan.shrink(2);
	must(loan.publish());
	sample = must(subscriber.take());
	CHECK(sample.get().size() == 2 && sample[0] < 1.5F && sample[1] > 1.5F);
	CHECK(publisher.loan(9).error().code() == -EMSGSIZE);
	CHECK(publisher.loan(SIZE_MAX / 2).error().code() == -EMSGSIZE);
	must(publisher.send(std::array<float, 0>()));
	CHECK(must(subscriber.take()).get().empty());
}

// A publisher that declares no type sends anything.
void check_refusal(zcp::node &node)
{
	zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	zcp_publisher *publisher = nullptr;
	auto subscriber = must(zcp::subscriber<imu>::open(node, "untyped"));
	int n_calls = 0;

	options.max_payload = 64;
	CHECK(zcp_publisher_open(&publisher, node.handle(), "untyped", &options) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(zcp_publisher_send(publisher, "x", 1) == 0);
	for (int i = 0; i < 6; i++)
		CHECK(subscriber.take().error().code() == -EBADMSG);
	subscriber.on_sample([&](zcp::sample<imu>) { n_calls++; });
	must(node.dispatch(0ns));
	CHECK(n_calls == 0 && subscriber.n_refused() == 10);
	CHECK(!zcp_publisher_close(publisher));
}

void check_callbacks(zcp::node &node)
{
	auto publisher = must(zcp::publisher<imu>::open(node, "callbacks"));
	auto opened = must(zcp::subscriber<imu>::open(node, "callbacks"));
	// Moved to where it is closed by its own callback.
	std::optional<zcp::subscriber<imu>> subscriber;
	std::vector<zcp::sample<imu>> kept;
	int n_calls = 0;

	opened.on_sample([&](zcp::sample<imu> sample) {
		if (n_calls++ < 2)
			kept.push_back(std::move(sample));
	});
	subscriber = std::move(opened);
	// More than there are chunks: what is not kept is written anew.
	for (int i = 1; i <= 40; i++) {
		auto loan = must(publisher.loan());
		loan->rotation[0] = i;
		must(loan.publish());
		must(node.dispatch(10s));
	}
	CHECK(n_calls == 40 && kept.size() == 2 && kept[1].sequence() == 2);
	CHECK(static_cast<int>(kept[0]->rotation[0]) == 1);
	CHECK(static_cast<int>(kept[1]->rotation[0]) == 2);
	kept.clear();

	// A callback that sets another one, and one that ends all: both end as they were written.
	const std::string long_text(100, 'x');
	std::string said;
	subscriber->on_sample([&, long_text](zcp::sample<imu>) {
		subscriber->on_sample([&, long_text](zcp::sample<imu>) {
			subscriber.reset();
			said += long_text;
			node.interrupt();
		});
		said += long_text;
	});
	must(publisher.send(imu{}));
	must(publisher.send(imu{}));
	must(node.run());
	CHECK(said == long_text + long_text && !subscriber && publisher.n_subscribers() == 0);
	CHECK(node.dispatch(0ns).error().code() == -ETIMEDOUT);
}

#if defined(__cpp_exceptions)
void check_exceptions(zcp::node &node)
{
	zcp::subscriber_options options;
	int n_caught = 0;

	options.held = 1;
	auto publisher = must(zcp::publisher<imu>::open(node, "throws"));
	auto subscriber = must(zcp::subscriber<imu>::open(node, "throws", options));
	subscriber.on_sample([](const zcp::sample<imu> &) { throw std::runtime_error("thrown"); });
	for (int i = 0; i < 10; i++) {
		must(publisher.send(imu{}));
		try {
			must(node.run());
		} catch (const std::runtime_error &) {
			n_caught++;
		}
	}
	CHECK(n_caught == 10);
	subscriber.on_sample({});
	must(publisher.send(imu{}));
	CHECK(must(subscriber.take()).sequence() == 11);
}
#endif

// The node goes last, whatever is dropped first; and what is assigned anew closes the old one.
void check_lifetimes(bool publisher_is_last)
{
	std::optional<zcp::node> node = must(zcp::node::open());
	auto publisher = must(zcp::publisher<imu>::open(*node, "lifetimes"));
	auto subscriber = must(zcp::subscriber<imu>::open(*node, "lifetimes"));

	node.reset();
	must(publisher.send(imu{}));
	CHECK(must(subscriber.take()).sequence() == 1);
	node = must(zcp::node::open());
	if (publisher_is_last)
		subscriber = must(zcp::subscriber<imu>::open(*node, "lifetimes"));
	publisher = must(zcp::publisher<imu>::open(*node, "lifetimes"));
	if (!publisher_is_last)
		subscriber = must(zcp::subscriber<imu>::open(*node, "lifetimes"));
	CHECK(publisher.n_subscribers() == 1 && subscriber.n_publishers() == 1);
	must(publisher.wait_subscribers(1));
	must(subscriber.wait_publishers(1, 10s));
	CHECK(must(node->fd()) >= 0);
}

// To C and back: a struct, and an array.
void check_peer(zcp::node &node)
{
	zcp::publisher_options options;

	options.max_payload = 100 * sizeof(float);
	auto structs = must(zcp::publisher<imu>::open(node, "to_c/struct"));
	auto arrays = must(zcp::publisher<float[]>::open(node, "to_c/array", options));
	auto structs_back = must(zcp::subscriber<imu>::open(node, "to_cpp/struct"));
	auto arrays_back = must(zcp::subscriber<float[]>::open(node, "to_cpp/array"));

	must(structs.wait_subscribers(1));
	must(arrays.wait_subscribers(1));
	for (std::size_t n = 0; n <= 100; n++) {
		auto one = must(structs.loan());
		one->rotation[2] = static_cast<double>(n);
		must(one.publish());
		auto many = must(arrays.loan(n));
		for (std::size_t i = 0; i < n; i++)
			many[i] = static_cast<float>(i);
		must(many.publish());
		const auto one_back = must(structs_back.take(zcp::forever));
		CHECK(static_cast<std::size_t>(one_back->rotation[2]) == 2 * n);
		const auto many_back = must(arrays_back.take(zcp::forever));
		CHECK(many_back.get().size() == n);
		for (std::size_t i = 0; i < n; i++)
			CHECK(static_cast<std::size_t>(many_back[i]) == 2 * i);
	}
}

} // namespace

// api: all but the peer; api peer: in the domain of the environment; api value: ends by itself.
int main(int argc, char **argv)
{
	const std::string what = argc > 1 ? argv[1] : "";

	if (what == "peer") {
		auto node = must(zcp::node::open());
		check_peer(node);
		return 0;
	}
	const test_domain domain;
	zcp::node_options options;
	options.name = "api";
	auto node = must(zcp::node::open(options));
	CHECK(std::string(zcp_node_name(node.handle())) == "api");
	check_results(node);
	check_loans(node);
	check_samples(node);
	check_arrays(node);
	check_refusal(node);
	check_callbacks(node);
#if defined(__cpp_exceptions)
	check_exceptions(node);
#endif
	check_lifetimes(true);
	check_lifetimes(false);
	return 0;
}
