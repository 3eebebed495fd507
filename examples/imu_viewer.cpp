// SPDX-License-Identifier: Apache-2.0
//
// The readings of `imu publish`, which is written in C, in C++: a callback for each, which reads it
// where the sensor wrote it. `imu publish` in one terminal, `imu_viewer` in another.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <zcp/zcp.hpp>

// As in imu.c, also by name: zcpd lets the two together if name, size and alignment agree.
struct imu_sample {
	std::uint64_t time_ns;
	std::uint64_t count;
	float acceleration[3];
	float angular_velocity[3];
	float orientation[4];
	float temperature;
	std::uint32_t status;
};
ZCP_TYPE_NAME(imu_sample, "struct imu_sample");

namespace
{

int view(const char *topic, std::uint64_t n_wanted)
{
	auto node = zcp::node::open().value();
	auto subscriber = zcp::subscriber<imu_sample>::open(node, topic).value();
	std::uint64_t n = 0;

	subscriber.on_sample([&](const zcp::sample<imu_sample> &sample) {
		if (n == n_wanted)
			return;
		if (n++ % 1000 == 0)
			std::printf("%s: reading %llu, turns by %.2f rad/s, %.1f degrees\n", topic,
				    static_cast<unsigned long long>(sample->count),
				    static_cast<double>(sample->angular_velocity[2]),
				    static_cast<double>(sample->temperature));
		if (n == n_wanted)
			node.interrupt();
	});
	node.run().value();
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	const char *topic = argc > 1 ? argv[1] : "imu/body";

	if (argc > 3 || topic[0] == '-') {
		(void)std::fputs(
			"usage: imu_viewer [TOPIC [COUNT]]\n"
			"Prints the first of each 1000 readings of `imu publish`; ends after "
			"COUNT.\n",
			std::strcmp(topic, "--help") == 0 ? stdout : stderr);
		return std::strcmp(topic, "--help") == 0 ? 0 : 2;
	}
	try {
		return view(topic, argc > 2 ? std::strtoull(argv[2], nullptr, 10) : UINT64_MAX);
	} catch (const zcp::exception &exception) {
		(void)std::fprintf(stderr, "imu_viewer: %s\n", exception.what());
		return 1;
	}
}
