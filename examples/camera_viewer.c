/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at what camera_publisher films: a function is called for each frame, checks it in
 * place, and measures how long it took to come here. Start as many as you like.
 */
#define EXAMPLE "camera_viewer"

#include "camera.h"
#include "example.h"
#include "report.h"

static const char usage[] =
	"usage: camera_viewer [OPTION]...\n"
	"\n"
	"Receives the frames of camera_publisher, checks them, and says how fast they come.\n"
	"\n"
	"  --topic NAME        where from (" CAMERA_TOPIC ")\n"
	"  --count N           end after N frames\n"
	"  --duration SECONDS  end after so long\n"
	"  --summary           one line key=value at the end, instead of one a second\n"
	"\n"
	"for example: camera_viewer --topic camera/rear\n";

/* For each frame, where the camera drew it; the camera writes elsewhere until we return. */
static void on_frame(const struct zcp_sample *sample, void *user)
{
	struct received *received = user;

	/* what else was queued */
	if (report_has_count(&received->report))
		return;
	received_add(received, sample);
	if (!camera_frame_is_good(sample->data, sample->size))
		received_damaged(received, sample);
}

static int run(struct zcp_node *node, struct received *received)
{
	const char *topic = received->report.options->topic;
	int r;

	while (!report_is_complete(&received->report)) {
		r = zcp_node_dispatch(node, report_timeout_ns(&received->report));
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return example_failed(node, "wait for frames of", topic, r);
		received_print(received);
	}
	/* what was queued when we were asked to end; that interrupt may still be on its way */
	do
		r = zcp_node_dispatch(node, 0);
	while (r == -EINTR);
	if (r < 0 && r != -ETIMEDOUT)
		return example_failed(node, "take the last frames of", topic, r);
	return 0;
}

int main(int argc, char **argv)
{
	struct example_options options = { .topic = CAMERA_TOPIC };
	struct zcp_subscriber_options subscriber_options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_node *node EXAMPLE_CLEANUP(example_close_node) = NULL;
	struct zcp_subscriber *subscriber;
	struct received received = { .n_lost = 0 };
	int r;

	if (*example_parse(argc, argv, &options, usage)) {
		fputs(usage, stderr);
		return EXAMPLE_USAGE;
	}
	r = zcp_node_open(&node, NULL);
	if (r < 0)
		return example_failed(NULL, "open a node", "", r);
	example_stop_on_signals(node);

	subscriber_options.type = CAMERA_TYPE;
	r = zcp_subscriber_open(&subscriber, node, options.topic, &subscriber_options);
	if (r < 0)
		return example_failed(node, "subscribe to", options.topic, r);
	report_begin(&received.report, &options);
	zcp_subscriber_on_sample(subscriber, on_frame, &received);

	r = run(node, &received);
	if (r == 0)
		received_summary(&received);
	return r == 0 && received.n_damaged > 0 ? EXAMPLE_FAILED : r;
}
