/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A camera: publishes 1080p RGB frames at a steady rate. Each frame is drawn right where its
 * viewers will read it; camera_viewer is one of them.
 */
#define EXAMPLE "camera_publisher"

#include "camera.h"
#include "example.h"
#include "report.h"

struct camera {
	const struct example_options *options;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct report sent;
};

static const char usage[] =
	"usage: camera_publisher [OPTION]...\n"
	"\n"
	"Publishes moving 1920x1080 RGB frames, drawn in place.\n"
	"\n"
	"  --topic NAME           where to (" CAMERA_TOPIC ")\n"
	"  --rate HZ              frames a second (60)\n"
	"  --count N              end after N frames\n"
	"  --duration SECONDS     end after so long\n"
	"  --wait-subscribers N   begin when there are N subscribers\n"
	"  --summary              one line key=value at the end, instead of one a second\n"
	"\n"
	"for example: camera_publisher --rate 30 --duration 10\n";

/* A viewer has joined or left. */
static void on_viewer(const struct zcp_match *match, void *user)
{
	(void)user;
	printf("%s (pid %u) has %s\n", match->node, match->pid,
	       match->change == ZCP_MATCH_JOINED ? "joined" : "left");
	(void)fflush(stdout);
}

/* One frame: loan a chunk, draw into it, publish it. */
static int send_frame(struct camera *camera)
{
	struct zcp_loan loan;
	int r;

	r = zcp_publisher_loan(camera->publisher, CAMERA_FRAME_SIZE, &loan);
	if (r < 0)
		return example_failed(camera->node, "loan a frame of", camera->options->topic, r);

	sent_add(&camera->sent, &loan);
	camera_draw(loan.data, camera->sent.n);

	r = zcp_publisher_publish(camera->publisher, &loan);
	if (r < 0)
		return example_failed(camera->node, "publish on", camera->options->topic, r);
	return 0;
}

static int run(struct camera *camera)
{
	uint64_t period_ns = (uint64_t)(1e9 / camera->options->rate);
	uint64_t next_ns = example_now_ns(), now_ns;
	int r;

	report_begin(&camera->sent, camera->options);
	while (!report_is_complete(&camera->sent)) {
		r = send_frame(camera);
		if (r)
			return r;
		sent_print(&camera->sent, zcp_publisher_n_subscribers(camera->publisher));
		r = zcp_node_dispatch(camera->node, 0);
		if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
			return example_failed(camera->node, "dispatch", "", r);

		next_ns += period_ns;
		now_ns = example_now_ns();
		if (next_ns > now_ns)
			example_sleep_until(next_ns);
		else
			/* too slow: leave frames out, do not hurry after them */
			next_ns = now_ns;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct example_options options = { .topic = CAMERA_TOPIC, .rate = 60 };
	struct zcp_publisher_options publisher_options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_node *node EXAMPLE_CLEANUP(example_close_node) = NULL;
	struct camera camera = { .options = &options };
	int r;

	if (*example_parse(argc, argv, &options, usage)) {
		fputs(usage, stderr);
		return EXAMPLE_USAGE;
	}
	r = zcp_node_open(&node, NULL);
	if (r < 0)
		return example_failed(NULL, "open a node", "", r);
	example_stop_on_signals(node);
	camera.node = node;

	publisher_options.type = CAMERA_TYPE;
	publisher_options.max_payload = CAMERA_FRAME_SIZE;
	r = zcp_publisher_open(&camera.publisher, node, options.topic, &publisher_options);
	if (r < 0)
		return example_failed(node, "publish on", options.topic, r);

	if (!options.summary) {
		r = zcp_publisher_on_match(camera.publisher, on_viewer, NULL);
		if (r < 0)
			return example_failed(node, "watch", options.topic, r);
	}

	r = example_wait_subscribers(node, camera.publisher, &options);
	if (r == 0)
		r = run(&camera);
	if (r == 0)
		sent_summary(&camera.sent, zcp_publisher_n_subscribers(camera.publisher));
	return r;
}
