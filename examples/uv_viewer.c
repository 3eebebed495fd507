/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber in a libuv loop: messages, a timer and signals are served by one thread
 * that sleeps when there is nothing to do.
 *
 *   uv_viewer --topic camera/front
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zcp/uv.h>
#include <zcp/zcp.h>

struct viewer {
	struct zcp_node *node;
	struct zcp_uv watch;
	uv_timer_t timer;
	uv_signal_t interrupt, terminate;
	uint64_t n_messages;
	uint64_t n_bytes;
	uint64_t n_lost;
	/* the newest message: ours until the next one comes */
	struct zcp_sample newest;
};

static void on_message(const struct zcp_sample *sample, void *user)
{
	struct viewer *viewer = user;

	viewer->n_messages++;
	viewer->n_bytes += sample->size;
	viewer->n_lost += sample->lost;
	/* It stays when we have returned; the one before it goes back. */
	if (zcp_sample_keep(sample) == 0) {
		(void)zcp_sample_release(&viewer->newest);
		viewer->newest = *sample;
	}
}

static void on_second(uv_timer_t *timer)
{
	struct viewer *viewer = timer->data;

	(void)printf("%" PRIu64 " messages, %.1f MB, %" PRIu64 " lost", viewer->n_messages,
		     (double)viewer->n_bytes / 1e6, viewer->n_lost);
	if (viewer->newest.data)
		(void)printf("; number %" PRIu64 " is the newest", viewer->newest.sequence);
	(void)printf("\n");
	(void)fflush(stdout);
	viewer->n_messages = 0;
	viewer->n_bytes = 0;
	viewer->n_lost = 0;
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	uv_stop(handle->loop);
}

static void close_handle(uv_handle_t *handle, void *user)
{
	(void)user;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static int run(struct viewer *viewer, const char *topic)
{
	struct zcp_subscriber *subscriber;
	uv_loop_t *loop = uv_default_loop();

	if (zcp_subscriber_open(&subscriber, viewer->node, topic, NULL) < 0 ||
	    zcp_node_fd(viewer->node) < 0) {
		(void)fprintf(stderr, "uv_viewer: %s\n", zcp_node_error(viewer->node));
		return 1;
	}
	zcp_subscriber_on_sample(subscriber, on_message, viewer);
	(void)uv_timer_init(loop, &viewer->timer);
	(void)uv_signal_init(loop, &viewer->interrupt);
	(void)uv_signal_init(loop, &viewer->terminate);
	viewer->timer.data = viewer;
	if (zcp_uv_start(&viewer->watch, loop, viewer->node) < 0 ||
	    uv_timer_start(&viewer->timer, on_second, 1000, 1000) < 0 ||
	    uv_signal_start(&viewer->interrupt, on_signal, SIGINT) < 0 ||
	    uv_signal_start(&viewer->terminate, on_signal, SIGTERM) < 0) {
		(void)fprintf(stderr, "uv_viewer: the loop could not be set up\n");
		return 1;
	}
	(void)uv_run(loop, UV_RUN_DEFAULT);
	if (viewer->watch.error < 0)
		(void)fprintf(stderr, "uv_viewer: %s\n", zcp_strerror(viewer->watch.error));
	uv_walk(loop, close_handle, NULL);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(loop);
	return viewer->watch.error < 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "topic", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static struct viewer viewer;
	const char *topic = "camera/front";
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			topic = optarg;
			break;
		case 'h':
			(void)puts(
				"usage: uv_viewer [--topic NAME]\n"
				"Subscribes in a libuv loop and prints once a second what came.");
			return 0;
		default:
			return 2;
		}
	}
	if (zcp_node_open(&viewer.node, NULL) < 0) {
		(void)fprintf(stderr, "uv_viewer: %s\n", zcp_node_error(NULL));
		return 1;
	}
	r = run(&viewer, topic);
	viewer.node = zcp_node_close(viewer.node);
	return r;
}
