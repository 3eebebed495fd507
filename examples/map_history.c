/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map that is published once, and that everybody gets who comes later: the publisher keeps its
 * last message and stays, a reader asks for what was kept. `map_history publish` in one terminal,
 * `map_history read` in others, whenever you like.
 */
#define EXAMPLE "map_history"

#include "example.h"

#define MAP_TOPIC "map/hall"

enum { MAP_WIDTH = 200, MAP_HEIGHT = 120 };

enum cell { FREE = 0, OCCUPIED = 100 };

/* The message. Both sides are compiled from it. */
struct map {
	/* metres from cell to cell */
	float resolution;
	/* enum cell */
	int8_t cells[MAP_HEIGHT][MAP_WIDTH];
};

static const char usage[] =
	"usage: map_history publish [OPTION]...\n"
	"       map_history read [OPTION]...\n"
	"\n"
	"Publishes a map once and stays until it is stopped, or reads the map.\n"
	"\n"
	"  --topic NAME        where to or from (" MAP_TOPIC ")\n"
	"  --count N           read: end after N maps (1)\n"
	"  --duration SECONDS  read: fail if none comes for so long\n"
	"\n"
	"for example: map_history publish & map_history read\n";

/* A hall with a wall around it and three rows of columns. */
static void draw(struct map *map)
{
	int x, y;

	map->resolution = 0.25f;
	for (y = 0; y < MAP_HEIGHT; y++) {
		for (x = 0; x < MAP_WIDTH; x++) {
			bool wall = x == 0 || y == 0 || x == MAP_WIDTH - 1 || y == MAP_HEIGHT - 1;
			bool column = x % 20 == 10 && y % 40 == 20;

			map->cells[y][x] = wall || column ? OCCUPIED : FREE;
		}
	}
}

static int publish_map(struct zcp_node *node, const struct example_options *options)
{
	struct zcp_publisher *publisher;
	struct zcp_loan loan;
	int r;

	/* the last message is kept for subscribers that come later */
	r = ZCP_PUBLISHER_OPEN(&publisher, node, options->topic, struct map, .history = 1);
	if (r < 0)
		return example_failed(node, "publish on", options->topic, r);

	r = zcp_publisher_loan(publisher, sizeof(struct map), &loan);
	if (r < 0)
		return example_failed(node, "loan a map of", options->topic, r);
	draw(zcp_loan_as(&loan, struct map));
	r = zcp_publisher_publish(publisher, &loan);
	if (r < 0)
		return example_failed(node, "publish on", options->topic, r);
	printf("%s: published\n", options->topic);
	(void)fflush(stdout);

	/* The map goes with its publisher (unless the topic has keep_history): so stay. */
	r = zcp_node_run(node);
	return r < 0 ? example_failed(node, "stay on", options->topic, r) : 0;
}

static int show(const struct example_options *options, const struct zcp_sample *sample)
{
	const struct map *map = zcp_sample_as(sample, struct map);
	unsigned int n_occupied = 0;
	int x, y;

	if (!map) {
		fprintf(stderr, EXAMPLE ": message %" PRIu64 " on %s is no map: it has %zu bytes\n",
			sample->sequence, options->topic, sample->size);
		return EXAMPLE_FAILED;
	}
	for (y = 0; y < MAP_HEIGHT; y++)
		for (x = 0; x < MAP_WIDTH; x++)
			n_occupied += map->cells[y][x] == OCCUPIED;
	printf("%s: map %" PRIu64 ", %dx%d cells of %g m, %u of them occupied", options->topic,
	       sample->sequence, MAP_WIDTH, MAP_HEIGHT, (double)map->resolution, n_occupied);
	/* no time where the configuration says timestamps = false */
	if (sample->publish_time_ns)
		printf(", published %.3f s ago",
		       (double)(example_now_ns() - sample->publish_time_ns) / 1e9);
	printf("\n");
	(void)fflush(stdout);
	return 0;
}

static int read_maps(struct zcp_node *node, const struct example_options *options)
{
	int64_t timeout_ns = options->duration_ns ? (int64_t)options->duration_ns : ZCP_FOREVER;
	struct zcp_subscriber *subscriber;
	struct zcp_sample sample;
	int r;

	/* the last map that was published before we came; then, as ever, each new one */
	r = ZCP_SUBSCRIBER_OPEN(&subscriber, node, options->topic, struct map, .history = 1);
	if (r < 0)
		return example_failed(node, "subscribe to", options->topic, r);

	for (uint64_t n = 0; n < options->count; n++) {
		r = zcp_subscriber_take_timed(subscriber, &sample, timeout_ns);
		if (r == -EINTR && atomic_load(&example_stop))
			return 0;
		if (r < 0)
			return example_failed(node, "wait for a map of", options->topic,
					      r == -EAGAIN ? -ETIMEDOUT : r);
		r = show(options, &sample);
		if (r)
			return r;
		r = zcp_sample_release(&sample);
		if (r < 0)
			return example_failed(node, "release a map of", options->topic, r);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct example_options options = { .topic = MAP_TOPIC, .count = 1 };
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
	return publishes ? publish_map(node, &options) : read_maps(node, &options);
}
