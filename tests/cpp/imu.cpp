// SPDX-License-Identifier: Apache-2.0
//
// What the imu example does, in C++: topics with a type, constructed in the loan, read where
// they lie.
#include "domain.hpp"

#include <cmath>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

namespace
{

const std::int64_t second = ZCP_SECOND;

struct imu_sample {
	std::uint64_t time_ns;
	std::uint64_t count;
	float acceleration[3];
	float angular_velocity[3];
	float orientation[4];
	float temperature;
	std::uint32_t status;
};

static_assert(sizeof(imu_sample) == 64, "a cache line");

template <typename T> struct type_name;

template <> struct type_name<imu_sample> {
	static const char *get()
	{
		return "sensor/Imu";
	}
};

// What goes through shared memory has no constructor to run and no address in it.
template <typename T> class publisher
{
	static_assert(std::is_trivially_copyable<T>::value && std::is_standard_layout<T>::value,
		      "other processes must be able to read it as it lies");

      public:
	publisher(zcp_node *node, const char *topic) : node_(node), handle_(nullptr)
	{
		zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

		options.type = type_name<T>::get();
		options.max_payload = sizeof(T);
		check_ok(zcp_publisher_open(&handle_, node, topic, &options), node,
			 "zcp_publisher_open");
	}

	~publisher()
	{
		zcp_publisher_close(handle_);
	}

	publisher(const publisher &) = delete;
	publisher &operator=(const publisher &) = delete;

	// Calls write(T &) on the message where its readers will find it.
	template <typename Write> void publish(Write write)
	{
		zcp_loan loan = ZCP_LOAN_INIT;

		check_ok(zcp_publisher_loan(handle_, sizeof(T), &loan), node_, "loan");
		write(*new (loan.data) T());
		check_ok(zcp_publisher_publish(handle_, &loan), node_, "publish");
	}

      private:
	zcp_node *node_;
	zcp_publisher *handle_;
};

// A sample that gives itself back.
template <typename T> class sample
{
      public:
	explicit sample(const zcp_sample &raw) : raw_(raw)
	{
	}

	~sample()
	{
		if (raw_.data)
			(void)zcp_sample_release(&raw_);
	}

	sample(sample &&other) noexcept : raw_(other.raw_)
	{
		other.raw_ = ZCP_SAMPLE_INIT;
	}

	sample(const sample &) = delete;
	sample &operator=(const sample &) = delete;

	const T *operator->() const
	{
		return static_cast<const T *>(raw_.data);
	}
	const zcp_sample &raw() const
	{
		return raw_;
	}

      private:
	zcp_sample raw_;
};

template <typename T> class subscriber
{
      public:
	subscriber(zcp_node *node, const char *topic) : node_(node), handle_(nullptr)
	{
		zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;

		options.type = type_name<T>::get();
		options.depth = 256;
		check_ok(zcp_subscriber_open(&handle_, node, topic, &options), node,
			 "zcp_subscriber_open");
	}

	~subscriber()
	{
		zcp_subscriber_close(handle_);
	}

	subscriber(const subscriber &) = delete;
	subscriber &operator=(const subscriber &) = delete;

	sample<T> take()
	{
		zcp_sample raw = ZCP_SAMPLE_INIT;

		check_ok(zcp_node_wait(node_, 10 * second), node_, "zcp_node_wait");
		check_ok(zcp_subscriber_take(handle_, &raw), node_, "zcp_subscriber_take");
		CHECK(raw.size == sizeof(T));
		return sample<T>(raw);
	}

      private:
	zcp_node *node_;
	zcp_subscriber *handle_;
};

void measure(imu_sample &imu, std::uint64_t count)
{
	const double half = 0.01 * static_cast<double>(count);

	imu.count = count;
	imu.acceleration[2] = 9.80665f;
	imu.orientation[0] = static_cast<float>(std::cos(half));
	imu.orientation[3] = static_cast<float>(std::sin(half));
}

} // namespace

int main()
{
	const test_domain domain;
	zcp_node *node = nullptr;

	check_ok(zcp_node_open(&node, nullptr), nullptr, "zcp_node_open");
	{
		publisher<imu_sample> sensor(node, "imu/body");
		subscriber<imu_sample> reader(node, "imu/body");
		std::uint64_t time_ns = 0;

		for (std::uint64_t i = 1; i <= 1000; i++) {
			sensor.publish([i](imu_sample &imu) { measure(imu, i); });

			const sample<imu_sample> imu = reader.take();
			const float *q = imu->orientation;
			CHECK(imu->count == i && imu.raw().sequence == i);
			CHECK(imu->time_ns == 0 && imu->acceleration[2] > 9.8f);
			CHECK(std::fabs(q[0] * q[0] + q[3] * q[3] - 1) < 1e-3f);
			CHECK(imu.raw().publish_time_ns >= time_ns);
			time_ns = imu.raw().publish_time_ns;
		}
	}
	CHECK(!zcp_node_close(node));
	return 0;
}
