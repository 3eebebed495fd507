/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back-pressure: a recorder that must not lose anything, and what its sensor does when the disk
 * is slower than the measurements come. `recorder record FILE` in one terminal, `recorder
 * publish` in another.
 */
#define EXAMPLE "recorder"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "example.h"
#include "report.h"

#define READINGS_TOPIC "encoder/readings"

enum { READINGS_BLOCK = 4096 };

/* The message: as many readings of a counter, one after the other. */
struct block {
	uint32_t readings[READINGS_BLOCK];
};

static_assert(sizeof(struct block) == 16384, "a file is blocks of this size");

static const char usage[] =
	"usage: recorder record [OPTION]... FILE\n"
	"       recorder publish [OPTION]...\n"
	"\n"
	"Records all readings of a sensor into a new file, or publishes them.\n"
	"\n"
	"  --topic NAME           where from or to (" READINGS_TOPIC ")\n"
	"  --rate HZ              publish: blocks a second (as fast as they can be recorded)\n"
	"  --wait-subscribers N   publish: begin when there are N subscribers\n"
	"  --count N              end after N blocks\n"
	"  --duration SECONDS     end after so long\n"
	"  --summary              one line key=value at the end, instead of one a second\n"
	"\n"
	"for example: recorder record readings & recorder publish --wait-subscribers 1 --count 1000\n";

/* --- the sensor --- */

struct sensor {
	const struct example_options *options;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct report sent;
	/* how often a block had to be tried again */
	uint64_t n_waits;
};

static void measure(struct block *block, uint64_t number)
{
	uint32_t first = (uint32_t)(number * READINGS_BLOCK);
	uint32_t i;

	for (i = 0; i < READINGS_BLOCK; i++)
		block->readings[i] = first + i;
}

static void say_what_it_waits_for(struct sensor *sensor)
{
	const char *topic = sensor->options->topic;

	sensor->n_waits++;
	fprintf(stderr,
		EXAMPLE ": block %" PRIu64 " waits: whoever records %s has taken nothing for 1 s; "
			"`zcp info %s` says who that is\n",
		sensor->sent.n, topic, topic);
}

/*
 * Publishes a block as soon as there is room in the recorder's queue. It waits for a second at a
 * time, to say what is the matter and to be able to end. A sensor that cannot wait at all would
 * zcp_publisher_discard() the block and count it: the next readings show where it is missing.
 */
static int publish_block(struct sensor *sensor, struct zcp_loan *loan)
{
	int r;

	while (!atomic_load(&example_stop)) {
		r = zcp_publisher_publish_timed(sensor->publisher, loan, ZCP_SECOND);
		if (r == 0) {
			report_add(&sensor->sent, sizeof(struct block), example_now_ns());
			return 0;
		}
		/* nobody has got it, and the loan is still ours: the same block again */
		if (r == -EAGAIN)
			say_what_it_waits_for(sensor);
		else if (r != -EINTR)
			return example_failed(sensor->node, "publish on", sensor->options->topic,
					      r);
	}
	r = zcp_publisher_discard(sensor->publisher, loan);
	if (r < 0)
		return example_failed(sensor->node, "discard a block of", sensor->options->topic,
				      r);
	return 0;
}

static int send_blocks(struct sensor *sensor)
{
	const struct example_options *options = sensor->options;
	uint64_t period_ns = options->rate > 0 ? (uint64_t)(1e9 / options->rate) : 0;
	uint64_t next_ns = example_now_ns();
	struct zcp_loan loan;
	int r;

	report_begin(&sensor->sent, options);
	while (!report_is_complete(&sensor->sent)) {
		r = zcp_publisher_loan(sensor->publisher, sizeof(struct block), &loan);
		if (r < 0)
			return example_failed(sensor->node, "loan a block of", options->topic, r);
		measure(zcp_loan_as(&loan, struct block), sensor->sent.n);
		r = publish_block(sensor, &loan);
		if (r)
			return r;
		sent_print(&sensor->sent, zcp_publisher_n_subscribers(sensor->publisher));
		if (period_ns) {
			next_ns += period_ns;
			example_sleep_until(next_ns);
		}
	}
	return 0;
}

static int publish(struct zcp_node *node, const struct example_options *options)
{
	static struct sensor sensor;
	int r;

	sensor.options = options;
	sensor.node = node;
	r = ZCP_PUBLISHER_OPEN(&sensor.publisher, node, options->topic, struct block);
	if (r < 0)
		return example_failed(node, "publish on", options->topic, r);
	r = example_wait_subscribers(node, sensor.publisher, options);
	if (r == 0)
		r = send_blocks(&sensor);
	if (r == 0 && options->summary) {
		report_summary(&sensor.sent, "sent");
		printf(" waits=%" PRIu64 "\n", sensor.n_waits);
	}
	return r;
}

/* --- the recorder --- */

struct recorder {
	struct zcp_node *node;
	const char *path;
	int fd;
	bool failed;
	struct received received;
};

static void close_file(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int complain(const struct recorder *recorder, const char *what)
{
	fprintf(stderr, EXAMPLE ": cannot %s %s: %s\n", what, recorder->path, strerror(errno));
	return EXAMPLE_FAILED;
}

/* For each block: from the memory that the sensor has measured into right into the file. */
static void on_block(const struct zcp_sample *sample, void *user)
{
	struct recorder *recorder = user;
	const char *at = sample->data, *end = at + sample->size;
	ssize_t n;

	/* what else was queued */
	if (recorder->failed || report_has_count(&recorder->received.report))
		return;
	received_add(&recorder->received, sample);
	while (at < end) {
		n = write(recorder->fd, at, (size_t)(end - at));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)complain(recorder, "write");
			recorder->failed = true;
			return;
		}
		at += n;
	}
}

static int record_blocks(struct recorder *recorder)
{
	const char *topic = recorder->received.report.options->topic;
	int r;

	while (!report_is_complete(&recorder->received.report) && !recorder->failed) {
		r = zcp_node_dispatch(recorder->node,
				      report_timeout_ns(&recorder->received.report));
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return example_failed(recorder->node, "wait for blocks of", topic, r);
		received_print(&recorder->received);
	}
	/* what was queued when we were asked to end; that interrupt may still be on its way */
	do
		r = zcp_node_dispatch(recorder->node, 0);
	while (r == -EINTR);
	if (r < 0 && r != -ETIMEDOUT)
		return example_failed(recorder->node, "take the last blocks of", topic, r);
	if (!recorder->failed && fsync(recorder->fd) < 0)
		return complain(recorder, "bring to the disk what was written into");
	return recorder->failed ? EXAMPLE_FAILED : 0;
}

static int record(struct zcp_node *node, const struct example_options *options, const char *path)
{
	int fd EXAMPLE_CLEANUP(close_file) = -1;
	struct zcp_subscriber *subscriber;
	static struct recorder recorder;
	int r;

	recorder.node = node;
	recorder.path = path;
	/* a recording that is there already is not to be lost either */
	recorder.fd = fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return complain(&recorder, "create");

	/*
	 * A publisher that finds our queue full waits until we have taken something; it does not
	 * have to while the disk is busy for the time of 64 blocks.
	 */
	r = ZCP_SUBSCRIBER_OPEN(&subscriber, node, options->topic, struct block,
				.on_full = ZCP_ON_FULL_BLOCK, .depth = 64);
	if (r < 0)
		return example_failed(node, "subscribe to", options->topic, r);
	report_begin(&recorder.received.report, options);
	zcp_subscriber_on_sample(subscriber, on_block, &recorder);

	r = record_blocks(&recorder);
	if (r == 0)
		received_summary(&recorder.received);
	return r == 0 && recorder.received.n_lost > 0 ? EXAMPLE_FAILED : r;
}

int main(int argc, char **argv)
{
	struct example_options options = { .topic = READINGS_TOPIC };
	struct zcp_node *node EXAMPLE_CLEANUP(example_close_node) = NULL;
	char **arguments = example_parse(argc, argv, &options, usage);
	bool publishes = arguments[0] && strcmp(arguments[0], "publish") == 0 && !arguments[1];
	bool records = arguments[0] && strcmp(arguments[0], "record") == 0 && arguments[1] &&
		       !arguments[2];
	int r;

	if (!publishes && !records) {
		fputs(usage, stderr);
		return EXAMPLE_USAGE;
	}
	r = zcp_node_open(&node, NULL);
	if (r < 0)
		return example_failed(NULL, "open a node", "", r);
	example_stop_on_signals(node);
	return publishes ? publish(node, &options) : record(node, &options, arguments[1]);
}
