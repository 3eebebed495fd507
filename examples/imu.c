/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An inertial sensor at 1 kHz: small messages of a C struct, published at absolute deadlines
 * and read by taking them in a loop. `imu publish` in one terminal, `imu read` in others.
 */
#define EXAMPLE "imu"

#include <assert.h>
#include <math.h>

#include "example.h"
#include "report.h"

#define IMU_TOPIC "imu/body"

/*
 * The message. Both sides are compiled from it: no serialisation, no parsing. Two that were
 * compiled from different ones do not come together, by its size.
 */
struct imu_sample {
	/* CLOCK_MONOTONIC when it was measured */
	uint64_t time_ns;
	/* measurements since the sensor was switched on */
	uint64_t count;
	/* x, y, z: m/s^2 and rad/s, in the sensor's frame */
	float acceleration[3];
	float angular_velocity[3];
	/* unit quaternion w, x, y, z: from the sensor's frame to the world's */
	float orientation[4];
	/* degrees Celsius */
	float temperature;
	uint32_t status;
};

static_assert(sizeof(struct imu_sample) == 64, "a cache line");

static const char usage[] =
	"usage: imu publish [OPTION]...\n"
	"       imu read [OPTION]...\n"
	"\n"
	"Publishes the samples of a simulated inertial sensor, or reads them.\n"
	"\n"
	"  --topic NAME           where to or from (" IMU_TOPIC ")\n"
	"  --rate HZ              publish: samples a second (1000)\n"
	"  --wait-subscribers N   publish: begin when there are N subscribers\n"
	"  --count N              end after N samples\n"
	"  --duration SECONDS     end after so long\n"
	"  --summary              one line key=value at the end, instead of one a second\n"
	"\n"
	"for example: imu publish --rate 500 & imu read --duration 10\n";

/* What a sensor measures that turns about its z axis twice a second and trembles a little. */
static void measure(struct imu_sample *sample, uint64_t time_ns, uint64_t count)
{
	const double turns = 2, pi = acos(-1);
	double seconds = (double)(time_ns % (1000 * ZCP_SECOND)) / 1e9;
	double half = pi * fmod(turns * seconds, 2);

	sample->time_ns = time_ns;
	sample->count = count;
	sample->acceleration[0] = (float)(0.05 * sin(40 * seconds));
	sample->acceleration[1] = (float)(0.05 * cos(40 * seconds));
	sample->acceleration[2] = 9.80665f;
	sample->angular_velocity[0] = 0;
	sample->angular_velocity[1] = 0;
	sample->angular_velocity[2] = (float)(2 * pi * turns);
	sample->orientation[0] = (float)cos(half);
	sample->orientation[1] = 0;
	sample->orientation[2] = 0;
	sample->orientation[3] = (float)sin(half);
	sample->temperature = 31.5f;
	sample->status = 0;
}

/* Whether it can be a sample: an orientation is a unit quaternion. */
static bool is_plausible(const struct imu_sample *sample)
{
	const float *q = sample->orientation;
	float norm = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3];

	return fabsf(norm - 1) < 1e-3f && sample->time_ns > 0;
}

static int imu_publish(struct zcp_node *node, const struct example_options *options)
{
	uint64_t period_ns = (uint64_t)(1e9 / options->rate), next_ns, now_ns;
	struct zcp_publisher *publisher;
	struct report sent = { 0 };
	struct zcp_loan loan;
	int r;

	r = ZCP_PUBLISHER_OPEN(&publisher, node, options->topic, struct imu_sample);
	if (r < 0)
		return example_failed(node, "publish on", options->topic, r);
	r = example_wait_subscribers(node, publisher, options);
	if (r)
		return r;

	report_begin(&sent, options);
	next_ns = example_now_ns();
	while (!report_is_complete(&sent)) {
		r = zcp_publisher_loan(publisher, sizeof(struct imu_sample), &loan);
		if (r < 0)
			return example_failed(node, "loan a sample of", options->topic, r);
		sent_add(&sent, &loan);
		measure(zcp_loan_as(&loan, struct imu_sample), example_now_ns(), sent.n);
		r = zcp_publisher_publish(publisher, &loan);
		if (r < 0)
			return example_failed(node, "publish on", options->topic, r);
		sent_print(&sent, zcp_publisher_n_subscribers(publisher));

		/*
		 * The deadlines are a grid in time: what one sample is late, the next is not.
		 * Pauses of one period after each would add up all delays.
		 */
		next_ns += period_ns;
		example_sleep_until(next_ns);
		/* the machine slept: begin a new grid, do not make up for an hour */
		now_ns = example_now_ns();
		if (now_ns > next_ns + ZCP_SECOND)
			next_ns = now_ns;
	}
	sent_summary(&sent, zcp_publisher_n_subscribers(publisher));
	return 0;
}

/* Takes what there is, and checks it in place. */
static int take_samples(struct zcp_node *node, struct zcp_subscriber *subscriber,
			struct received *received)
{
	int r;

	zcp_for_each_sample(sample, subscriber, &r) {
		const struct imu_sample *imu = zcp_sample_as(&sample, struct imu_sample);

		/* what else is queued */
		if (report_has_count(&received->report))
			break;
		received_add(received, &sample);
		if (!imu || !is_plausible(imu))
			received_damaged(received, &sample);
	}
	if (r < 0)
		return example_failed(node, "take a sample of", received->report.options->topic, r);
	return 0;
}

static int imu_read(struct zcp_node *node, const struct example_options *options)
{
	struct zcp_subscriber *subscriber;
	struct received received = { .n_lost = 0 };
	int r;

	/* a queue for a quarter of a second, in a few kilobytes */
	r = ZCP_SUBSCRIBER_OPEN(&subscriber, node, options->topic, struct imu_sample, .depth = 256);
	if (r < 0)
		return example_failed(node, "subscribe to", options->topic, r);

	report_begin(&received.report, options);
	while (!report_is_complete(&received.report)) {
		r = zcp_node_wait(node, report_timeout_ns(&received.report));
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return example_failed(node, "wait for samples of", options->topic, r);
		r = take_samples(node, subscriber, &received);
		if (r)
			return r;
		received_print(&received);
	}
	/* what was queued when we were asked to end */
	r = take_samples(node, subscriber, &received);
	if (r)
		return r;
	received_summary(&received);
	return received.n_damaged > 0 ? EXAMPLE_FAILED : 0;
}

int main(int argc, char **argv)
{
	struct example_options options = { .topic = IMU_TOPIC, .rate = 1000 };
	struct zcp_node *node EXAMPLE_CLEANUP(example_close_node) = NULL;
	char **role = example_parse(argc, argv, &options, usage);
	bool publishes = role[0] && strcmp(role[0], "publish") == 0;
	bool reads = role[0] && strcmp(role[0], "read") == 0;
	int r;

	if ((!publishes && !reads) || role[1]) {
		fputs(usage, stderr);
		return EXAMPLE_USAGE;
	}
	r = zcp_node_open(&node, NULL);
	if (r < 0)
		return example_failed(NULL, "open a node", "", r);
	example_stop_on_signals(node);
	return publishes ? imu_publish(node, &options) : imu_read(node, &options);
}
