/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions whose bytes, sizes, seals and descriptors are not as the runtime makes them, and
 * change while they are attached: what is accepted lies completely inside its mapping.
 *
 *   t PUBLISHERS SUBSCRIBERS LOG2   the first file is a topic
 *   c PAYLOAD CHUNKS INDEX          the first is descriptors, the second their chunks
 *   s SIGNALS    b ENTRIES          the first is signals, a backlog
 *   e FILE AT WIDTH VALUE           edits a file
 *   z FILE SIZE    Z FILE SIZE      its size; and the one that its header says
 *   l FILE SEALS   d FILE KIND      its seals; another descriptor
 *   m AFTER FILE AT VALUE           changes eight bytes at that access of the next attach
 *   w N                             chunks are mapped for writing
 *   T C S B                         attaches what it should be
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/flow/backlog.h"
#include "pubsub/shm/pool.h"
#include "pubsub/shm/signal.h"
#include "pubsub/shm/topic.h"
#include "pubsub/util.h"
#include "tests/fuzz/support/descriptors.h"
#include "tests/fuzz/support/guard.h"
#include "tests/fuzz/support/image.h"
#include "tests/fuzz/support/input.h"
#include "tests/support/check.h"

#define DOMAIN UINT64_C(0x7e57)
#define POOL UINT64_C(3)
#define N_FILES 2

/* A word of a file that changes while it is looked at. */
struct change {
	uint32_t after;
	uint32_t file;
	uint64_t at;
	uint64_t value;
	int fd;
};

struct scene {
	struct zcp_fuzz_image images[N_FILES];
	struct change changes[ZCP_FUZZ_MOMENTS];
	uint32_t n_changes;
	bool writable;
	int fds[N_FILES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- regions as the runtime makes them --- */

static void make_topic(struct scene *s, struct zcp_fuzz_input *input)
{
	const struct zcp_topic_geometry geometry = {
		.max_publishers = zcp_fuzz_below(input, ZCP_TOPIC_PUBLISHERS_MAX + 2),
		.max_subscribers = zcp_fuzz_below(input, ZCP_TOPIC_SUBSCRIBERS_MAX + 2),
		.max_depth_log2 = zcp_fuzz_below(input, ZCP_LANE_LOG2_MAX + 2),
	};
	struct zcp_region region;
	int fd = -1;

	ZCP_CHECK(zcp_region_create(&region, &fd, "zcp-fuzz", zcp_topic_size(&geometry)) == 0);
	zcp_topic_construct(&region, &geometry, "fuzz", POOL, DOMAIN, 1);
	zcp_region_deinit(&region);
	zcp_fuzz_image_read(&s->images[0], fd);
}

static void make_class(struct scene *s, struct zcp_fuzz_input *input)
{
	const struct zcp_class_geometry geometry = {
		.payload_size = zcp_fuzz_number(input),
		.n_chunks = (uint32_t)zcp_fuzz_number(input),
		.class_index = zcp_fuzz_below(input, ZCP_CLASSES_MAX + 2),
	};
	struct zcp_region chunks, data;
	size_t chunks_size, data_size;
	int fds[2] = { -1, -1 };

	/* Larger ones do not fit beside what a sanitizer needs. */
	if (zcp_class_sizes(&geometry, &chunks_size, &data_size) < 0 || data_size > UINT64_C(1)
											    << 40)
		return;
	ZCP_CHECK(zcp_region_create(&chunks, &fds[0], "zcp-fuzz", chunks_size) == 0);
	ZCP_CHECK(zcp_region_create(&data, &fds[1], "zcp-fuzz", data_size) == 0);
	zcp_class_construct(&chunks, &data, &geometry, DOMAIN, POOL);
	zcp_region_deinit(&chunks);
	zcp_region_deinit(&data);
	for (int i = 0; i < 2; i++)
		zcp_fuzz_image_read(&s->images[i], fds[i]);
}

static void make_signals(struct scene *s, struct zcp_fuzz_input *input)
{
	uint32_t n = zcp_fuzz_below(input, ZCP_SIGNALS_MAX + 2);
	struct zcp_region region;
	int fd = -1;

	ZCP_CHECK(zcp_region_create(&region, &fd, "zcp-fuzz", zcp_signals_size(n)) == 0);
	zcp_signals_construct(&region, n, DOMAIN);
	zcp_region_deinit(&region);
	zcp_fuzz_image_read(&s->images[0], fd);
}

static void make_backlog(struct scene *s, struct zcp_fuzz_input *input)
{
	struct zcp_backlog_entry_shm entries[600] = { { .seq = 1 } };
	const struct zcp_backlog backlog = { entries, zcp_fuzz_below(input, 600) };
	int fd = -1;

	ZCP_CHECK(zcp_backlog_export(&backlog, DOMAIN, &fd) == 0);
	zcp_fuzz_image_read(&s->images[0], fd);
}

/* --- what is attached --- */

static void change(void *user)
{
	const struct change *c = user;

	/* Fails where the file is sealed, or no file. */
	ZCP_IGNORE(pwrite(c->fd, &c->value, sizeof(c->value), (off_t)c->at) < 0);
}

static void begin_attach(struct scene *s)
{
	for (int i = 0; i < N_FILES; i++)
		s->fds[i] = zcp_fuzz_image_open(&s->images[i]);
	for (uint32_t i = 0; i < s->n_changes; i++) {
		struct change *c = &s->changes[i];

		c->fd = s->fds[c->file];
		zcp_fuzz_at_access(c->after, change, c);
	}
	s->n_changes = 0;
}

/* After `n_files` have been taken, or refused and with a reason. */
static void end_attach(struct scene *s, int n_files, int r, const char *why)
{
	ZCP_CHECK(r <= 0);
	ZCP_CHECK(r == 0 || strlen(why) > 0);
	/* What was taken can be taken away from under nobody. */
	for (int i = 0; i < n_files && r == 0; i++)
		ZCP_CHECK(ftruncate(s->fds[i], 0) < 0);
	for (int i = 0; i < N_FILES; i++)
		zcp_close_fd(&s->fds[i]);
}

static void check_inside(const struct zcp_region *region, const void *at, uint64_t size)
{
	uintptr_t from = (uintptr_t)at, base = (uintptr_t)region->base;

	ZCP_CHECK(from >= base && from - base <= region->size);
	ZCP_CHECK(size <= region->size - (from - base));
	ZCP_CHECK(zcp_fuzz_is_mapped(at, size));
}

static void check_lane(const struct zcp_topic *topic, uint32_t p, uint32_t s, uint32_t log2)
{
	struct zcp_lane lane = zcp_topic_lane(topic, p, s, log2);

	check_inside(&topic->region, lane.slots, ((uint64_t)lane.mask + 1) * sizeof(*lane.slots));
	for (uint64_t seq = 0; seq < 20; seq++) {
		struct zcp_lane_slot_shm *slot = zcp_lane_slot(&lane, lane.mask - 10 + seq);

		zcp_test_store(&slot->word, zcp_test_load(&slot->word) + 1);
	}
}

static void check_topic(const struct zcp_topic *topic)
{
	uint32_t n = topic->geometry.max_publishers, m = topic->geometry.max_subscribers;
	static const uint32_t depths[] = { 0, 1, 3, 16, 17, 31, 32, UINT32_MAX };

	check_inside(&topic->region, topic->shm, sizeof(*topic->shm));
	check_inside(&topic->region, topic->publishers, n * sizeof(*topic->publishers));
	check_inside(&topic->region, topic->subscribers, m * sizeof(*topic->subscribers));
	zcp_test_store(&topic->publishers[n - 1].history, 1);
	zcp_test_store(&topic->subscribers[m - 1].n_lost, 1);
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		check_lane(topic, 0, 0, depths[i]);
		check_lane(topic, n - 1, 0, depths[i]);
		check_lane(topic, n - 1, m - 1, depths[i]);
	}
}

static void attach_topic(struct scene *s)
{
	struct zcp_topic topic = { .shm = NULL };
	const char *why = "";
	int r;

	begin_attach(s);
	r = zcp_topic_attach(&topic, s->fds[0], DOMAIN, &why);
	zcp_fuzz_forget_accesses(NULL);
	end_attach(s, 1, r, why);
	if (r == 0)
		check_topic(&topic);
	zcp_topic_deinit(&topic);
}

static void check_chunk(const struct zcp_pool *pool, uint32_t class_index, uint32_t i,
			bool writable)
{
	const struct zcp_class *class = &pool->classes[class_index];
	struct zcp_chunk chunk;
	char *payload;

	ZCP_CHECK(zcp_pool_chunk(pool, zcp_ref(class_index, i), &chunk));
	payload = chunk.payload;
	check_inside(&class->chunks_region, chunk.descriptor, sizeof(*chunk.descriptor));
	check_inside(&class->data_region, chunk.header, sizeof(*chunk.header));
	check_inside(&class->data_region, chunk.payload, chunk.payload_size);
	/* Not where the regions' own headers are, and aligned as it is promised. */
	ZCP_CHECK((char *)chunk.descriptor - (char *)class->chunks_region.base >=
		  (ptrdiff_t)sizeof(struct zcp_class_shm));
	ZCP_CHECK((char *)chunk.header - (char *)class->data_region.base >=
		  (ptrdiff_t)sizeof(struct zcp_region_shm));
	ZCP_CHECK((uintptr_t)payload % 64 == 0);
	zcp_test_store(&chunk.descriptor->holders[ZCP_HOLDER_WORDS - 1], 1);
	zcp_fuzz_read(chunk.header, sizeof(*chunk.header));
	zcp_fuzz_read(payload, chunk.payload_size);
	if (writable && chunk.payload_size > 0)
		payload[0] = payload[chunk.payload_size - 1] = 1;
}

static void check_pool(const struct zcp_pool *pool, bool writable)
{
	struct zcp_chunk chunk;

	for (uint32_t c = 0; c < ZCP_CLASSES_MAX; c++) {
		const struct zcp_class *class = &pool->classes[c];
		uint32_t n = class->n_chunks;

		ZCP_CHECK((n > 0) == (class->chunks != NULL));
		ZCP_CHECK(!zcp_pool_chunk(pool, zcp_ref(c, n), &chunk));
		if (n == 0)
			continue;
		/* None reaches into the next. */
		ZCP_CHECK(class->stride >=
			  sizeof(struct zcp_chunk_header_shm) + class->payload_size);
		check_chunk(pool, c, 0, writable);
		check_chunk(pool, c, n / 2, writable);
		check_chunk(pool, c, n - 1, writable);
	}
}

static void attach_pool(struct scene *s)
{
	struct zcp_pool pool = { .n_classes = 0 };
	const char *why = "";
	int r;

	begin_attach(s);
	r = zcp_pool_attach(&pool, s->fds[0], s->fds[1], DOMAIN, s->writable, &why);
	/* Once more is no more. */
	if (r == 0)
		ZCP_IGNORE(zcp_pool_attach(&pool, s->fds[0], s->fds[1], DOMAIN, s->writable, &why) <
			   0);
	zcp_fuzz_forget_accesses(NULL);
	end_attach(s, 2, r, why);
	check_pool(&pool, s->writable);
	zcp_pool_deinit(&pool);
}

static void attach_signals(struct scene *s)
{
	struct zcp_signals signals = { .n_signals = 0 };
	const char *why = "";
	int r;

	begin_attach(s);
	r = zcp_signals_attach(&signals, s->fds[0], DOMAIN, &why);
	zcp_fuzz_forget_accesses(NULL);
	end_attach(s, 1, r, why);
	if (r == 0) {
		ZCP_CHECK(signals.n_signals > 0);
		check_inside(&signals.region, signals.signals,
			     signals.n_signals * sizeof(*signals.signals));
		zcp_signal_reset(&signals.signals[0], 1);
		zcp_signal_reset(&signals.signals[signals.n_signals - 1], 1);
	}
	zcp_signals_deinit(&signals);
}

static void attach_backlog(struct scene *s)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	const char *why = "";
	int r;

	begin_attach(s);
	r = zcp_backlog_import(&backlog, s->fds[0], DOMAIN, &why);
	zcp_fuzz_forget_accesses(NULL);
	end_attach(s, 1, r, why);
	ZCP_CHECK(r == 0 || !backlog.entries);
	zcp_fuzz_read(backlog.entries, backlog.n_entries * sizeof(backlog.entries[0]));
	zcp_backlog_deinit(&backlog);
}

/* --- commands --- */

static void set_size(struct zcp_fuzz_image *image, uint64_t size, bool and_say_so)
{
	image->size = size;
	if (and_say_so)
		zcp_fuzz_image_edit(image, offsetof(struct zcp_region_shm, size), 8, size);
}

static void edit(struct zcp_fuzz_image *image, struct zcp_fuzz_input *input)
{
	uint64_t at = zcp_fuzz_number(input), width = zcp_fuzz_number(input);

	if (width != 1 && width != 2 && width != 4)
		width = 8;
	zcp_fuzz_image_edit(image, at, (uint32_t)width, zcp_fuzz_number(input));
}

static void add_change(struct scene *s, struct zcp_fuzz_input *input)
{
	struct change *c = &s->changes[s->n_changes];

	if (s->n_changes == ZCP_FUZZ_MOMENTS)
		return;
	*c = (struct change){ .after = zcp_fuzz_below(input, 64) };
	c->file = zcp_fuzz_below(input, N_FILES);
	c->at = zcp_fuzz_number(input);
	c->value = zcp_fuzz_number(input);
	s->n_changes++;
}

static void run(struct scene *s, char command, struct zcp_fuzz_input *input)
{
	struct zcp_fuzz_image *image = &s->images[0];

	if (strchr("ezZld", command))
		image = &s->images[zcp_fuzz_below(input, N_FILES)];
	switch (command) {
	case 't':
		make_topic(s, input);
		break;
	case 'c':
		make_class(s, input);
		break;
	case 's':
		make_signals(s, input);
		break;
	case 'b':
		make_backlog(s, input);
		break;
	case 'e':
		edit(image, input);
		break;
	case 'z':
	case 'Z':
		set_size(image, zcp_fuzz_number(input), command == 'Z');
		break;
	case 'l':
		image->seals = (int)zcp_fuzz_below(input, 32);
		break;
	case 'd':
		image->descriptor = zcp_fuzz_below(input, ZCP_FUZZ_N_DESCRIPTORS);
		break;
	case 'm':
		add_change(s, input);
		break;
	case 'w':
		s->writable = zcp_fuzz_below(input, 2);
		break;
	case 'T':
		attach_topic(s);
		break;
	case 'C':
		attach_pool(s);
		break;
	case 'S':
		attach_signals(s);
		break;
	case 'B':
		attach_backlog(s);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene s;
	struct zcp_fuzz_input input = { data, data + size };
	char command;

	memset(&s, 0, sizeof(s));
	zcp_fuzz_descriptors_begin();
	while ((command = zcp_fuzz_command(&input, "tcsbezZldmwTCSB")))
		run(&s, command, &input);
	zcp_fuzz_descriptors_check();
	return 0;
}
