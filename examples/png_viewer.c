/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a pipeline: writes the images of a topic as PNG files. libpng reads the pixels where
 * the filter before it wrote them. Should writing take longer than the images take to come, the
 * oldest of those that wait are lost: a viewer holds up nobody.
 */
#define EXAMPLE "png_viewer"

#include <limits.h>
#include <png.h>
#include <sys/stat.h>

#include "example.h"
#include "image.h"
#include "report.h"

struct viewer {
	const struct example_options *options;
	const char *directory;
	struct zcp_node *node;
	struct zcp_subscriber *subscriber;
	struct received received;
};

static const char usage[] =
	"usage: png_viewer [OPTION]... DIRECTORY\n"
	"\n"
	"Writes the images that edges publishes into DIRECTORY, as frame-NUMBER.png.\n"
	"\n"
	"  --topic NAME        where from (edges/front)\n"
	"  --every N           write the first of each N images (1)\n"
	"  --count N           end after N images\n"
	"  --duration SECONDS  end after so long\n"
	"  --summary           one line key=value at the end, instead of one a second\n"
	"\n"
	"for example: png_viewer --every 60 pictures\n";

static int write_png(const struct viewer *viewer, const struct image_header *header,
		     const uint8_t *pixels)
{
	double age_ms = header->time_ns ? (double)(example_now_ns() - header->time_ns) / 1e6 : 0;
	png_image png = { .version = PNG_IMAGE_VERSION,
			  .width = header->width,
			  .height = header->height,
			  .format = header->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB,
			  .flags = PNG_IMAGE_FLAG_FAST };
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/frame-%06" PRIu64 ".png", viewer->directory,
		       header->sequence);
	if (!png_image_write_to_file(&png, path, 0, pixels, 0, NULL)) {
		fprintf(stderr, EXAMPLE ": cannot write %s: %s\n", path, png.message);
		return EXAMPLE_FAILED;
	}
	if (!viewer->options->summary) {
		printf("%s  %" PRIu32 "x%" PRIu32 "  came %.1f ms after the camera's frame\n", path,
		       header->width, header->height, age_ms);
		(void)fflush(stdout);
	}
	return 0;
}

static int view_images(struct viewer *viewer)
{
	struct report *report = &viewer->received.report;
	int r, failed = 0;

	zcp_for_each_sample(sample, viewer->subscriber, &r) {
		received_add(&viewer->received, &sample);
		if (!image_is_good(sample.user_header, sample.size))
			received_damaged(&viewer->received, &sample);
		else if ((report->n - 1) % viewer->options->every == 0)
			failed = write_png(viewer, sample.user_header, sample.data);
		if (failed || report_is_complete(report))
			break;
	}
	if (r < 0)
		return example_failed(viewer->node, "take an image of", report->options->topic, r);
	return failed;
}

static int run(struct viewer *viewer)
{
	int r;

	report_begin(&viewer->received.report, viewer->options);
	while (!report_is_complete(&viewer->received.report)) {
		r = zcp_node_wait(viewer->node, report_timeout_ns(&viewer->received.report));
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return example_failed(viewer->node, "wait for images of",
					      viewer->options->topic, r);
		r = view_images(viewer);
		if (r)
			return r;
		received_print(&viewer->received);
	}
	received_summary(&viewer->received);
	return viewer->received.n_damaged > 0 ? EXAMPLE_FAILED : 0;
}

int main(int argc, char **argv)
{
	struct example_options options = { .topic = "edges/front", .every = 1 };
	struct zcp_subscriber_options subscriber_options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_node *node EXAMPLE_CLEANUP(example_close_node) = NULL;
	char **arguments = example_parse(argc, argv, &options, usage);
	static struct viewer viewer;
	int r;

	if (!arguments[0] || arguments[1]) {
		fputs(usage, stderr);
		return EXAMPLE_USAGE;
	}
	if (mkdir(arguments[0], 0777) < 0 && errno != EEXIST) {
		fprintf(stderr, EXAMPLE ": cannot make the directory %s: %s\n", arguments[0],
			strerror(errno));
		return EXAMPLE_FAILED;
	}
	r = zcp_node_open(&node, NULL);
	if (r < 0)
		return example_failed(NULL, "open a node", "", r);
	example_stop_on_signals(node);

	viewer.options = &options;
	viewer.directory = arguments[0];
	viewer.node = node;
	subscriber_options.type = IMAGE_TYPE;
	/* who publishes here with another header, or none, is refused: we may look at it */
	subscriber_options.user_header_size = sizeof(struct image_header);
	r = zcp_subscriber_open(&viewer.subscriber, node, options.topic, &subscriber_options);
	if (r < 0)
		return example_failed(node, "subscribe to", options.topic, r);
	return run(&viewer);
}
