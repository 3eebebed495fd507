/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The middle of a pipeline: reads one topic and publishes another. Each frame is filtered from
 * the camera's chunk right into the chunk that the viewers will read; nothing lies in between.
 * camera_publisher is before it, png_viewer after it.
 */
#define EXAMPLE "edges"

#include "camera.h"
#include "example.h"
#include "image.h"
#include "report.h"
#include "sobel.h"

struct filter {
	const struct example_options *options;
	struct zcp_node *node;
	struct zcp_subscriber *subscriber;
	struct zcp_publisher *publisher;
	struct received received;
};

static const char usage[] =
	"usage: edges [OPTION]...\n"
	"\n"
	"Finds the edges in a camera's RGB frames and publishes them as grey images.\n"
	"\n"
	"  --topic NAME           where from (" CAMERA_TOPIC ")\n"
	"  --output NAME          where to (edges/front)\n"
	"  --size WIDTHxHEIGHT    of the camera's frames (1920x1080)\n"
	"  --wait-subscribers N   begin when there are N subscribers\n"
	"  --count N              end after N frames\n"
	"  --duration SECONDS     end after so long\n"
	"  --summary              one line key=value at the end, instead of one a second\n"
	"\n"
	"for example: camera_publisher & edges & png_viewer --every 60 pictures\n";

/* One chunk in, one chunk out. */
static int filter_frame(struct filter *filter, const struct zcp_sample *frame)
{
	const struct example_options *options = filter->options;
	uint32_t width = options->width, height = options->height;
	struct zcp_loan loan;
	struct image_header *header;
	int r;

	if (frame->size != (size_t)width * height * CAMERA_PIXEL_SIZE) {
		fprintf(stderr,
			EXAMPLE ": a message on %s has %zu bytes, which is not %" PRIu32 "x%" PRIu32
				" RGB: say what it is with --size\n",
			options->topic, frame->size, width, height);
		return EXAMPLE_FAILED;
	}
	r = zcp_publisher_loan(filter->publisher, (size_t)width * height, &loan);
	if (r < 0)
		return example_failed(filter->node, "loan an image of", options->output, r);

	/* our own number and time come by themselves; these say which frame it was, and when */
	header = loan.user_header;
	header->sequence = frame->sequence;
	header->time_ns = frame->publish_time_ns;
	header->width = width;
	header->height = height;
	header->channels = 1;
	header->reserved = 0;
	sobel(frame->data, width, height, loan.data);

	/* a viewer that blocks makes us wait: look up now and then whether we are to end */
	do
		r = zcp_publisher_publish_timed(filter->publisher, &loan, 100 * ZCP_MS);
	while ((r == -EAGAIN || r == -EINTR) && !atomic_load(&example_stop));
	if (r < 0 && !atomic_load(&example_stop))
		return example_failed(filter->node, "publish on", options->output, r);
	return 0;
}

static int filter_frames(struct filter *filter)
{
	int r, failed = 0;

	zcp_for_each_sample(frame, filter->subscriber, &r) {
		received_add(&filter->received, &frame);
		failed = filter_frame(filter, &frame);
		if (failed || report_is_complete(&filter->received.report))
			break;
	}
	if (r < 0)
		return example_failed(filter->node, "take a frame of", filter->options->topic, r);
	return failed;
}

static int run(struct filter *filter)
{
	int r;

	report_begin(&filter->received.report, filter->options);
	while (!report_is_complete(&filter->received.report)) {
		r = zcp_node_wait(filter->node, report_timeout_ns(&filter->received.report));
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return example_failed(filter->node, "wait for frames of",
					      filter->options->topic, r);
		r = filter_frames(filter);
		if (r)
			return r;
		received_print(&filter->received);
	}
	received_summary(&filter->received);
	return 0;
}

/* Those behind us first: once we have subscribed, a camera that waits for us begins. */
static int open_both(struct filter *filter)
{
	const struct example_options *options = filter->options;
	struct zcp_publisher_options publisher_options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_subscriber_options subscriber_options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	char type[64];
	int r;

	publisher_options.type = IMAGE_TYPE;
	publisher_options.max_payload = (size_t)options->width * options->height;
	publisher_options.user_header_size = sizeof(struct image_header);
	r = zcp_publisher_open(&filter->publisher, filter->node, options->output,
			       &publisher_options);
	if (r < 0)
		return example_failed(filter->node, "publish on", options->output, r);
	r = example_wait_subscribers(filter->node, filter->publisher, options);
	if (r)
		return r;

	/* CAMERA_TYPE, of another size perhaps */
	(void)snprintf(type, sizeof(type), "sensor/Image.rgb8.%" PRIu32 "x%" PRIu32, options->width,
		       options->height);
	subscriber_options.type = type;
	/* should we be too slow: the latest frames and a few lost, not old ones and as many lost */
	subscriber_options.depth = 4;
	r = zcp_subscriber_open(&filter->subscriber, filter->node, options->topic,
				&subscriber_options);
	if (r < 0)
		return example_failed(filter->node, "subscribe to", options->topic, r);
	return 0;
}

int main(int argc, char **argv)
{
	struct example_options options = { .topic = CAMERA_TOPIC,
					   .output = "edges/front",
					   .width = CAMERA_WIDTH,
					   .height = CAMERA_HEIGHT };
	struct zcp_node *node EXAMPLE_CLEANUP(example_close_node) = NULL;
	static struct filter filter;
	int r;

	if (*example_parse(argc, argv, &options, usage)) {
		fputs(usage, stderr);
		return EXAMPLE_USAGE;
	}
	r = zcp_node_open(&node, NULL);
	if (r < 0)
		return example_failed(NULL, "open a node", "", r);
	example_stop_on_signals(node);

	filter.options = &options;
	filter.node = node;
	r = open_both(&filter);
	return r ? r : run(&filter);
}
