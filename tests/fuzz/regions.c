/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions whose bytes, sizes, seals and descriptors are not as the runtime makes them, and
 * change while they are attached: what is accepted lies completely inside its mapping. Topics and
 * classes are attached for writing or for reading alone, acks and signals always for writing.
 *
 *   t PUBLISHERS SUBSCRIBERS LOG2   the first file is a topic, the second its acks
 *   k PUBLISHERS SUBSCRIBERS        the first is acks
 *   c PAYLOAD CHUNKS INDEX          the first is descriptors, the second their chunks
 *   s SIGNALS    b ENTRIES          the first is signals, a backlog
 *   e FILE AT WIDTH VALUE           edits a file
 *   z FILE SIZE    Z FILE SIZE      its size; and the one that its header says
 *   l FILE SEALS   d FILE KIND      its seals; another descriptor
 *   m AFTER FILE AT VALUE           changes eight bytes at that access of the next attach
 *   w N                             topics and chunks are mapped for writing
 *   T C S B                         attaches what it should be
 *   A PUBLISHERS SUBSCRIBERS        attaches acks of a topic with those limits
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/flow/backlog.h"
#include "pubsub/shm/acks.h"
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
#define TOPIC UINT64_C(1)
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

static void make_acks(struct scene *s, int file, uint32_t max_publishers, uint32_t max_subscribers)
{
	struct zcp_region region;
	int fd = -1;

	ZCP_CHECK(zcp_region_create(&region, &fd, "zcp-fuzz",
				    zcp_acks_size(max_publishers, max_subscribers)) == 0);
	zcp_acks_construct(&region, max_publishers, max_subscribers, DOMAIN, TOPIC);
	zcp_region_deinit(&region);
	zcp_fuzz_image_read(&s->images[file], fd);
}

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
	zcp_topic_construct(&region, &geometry, "fuzz", POOL, DOMAIN, TOPIC);
	zcp_region_deinit(&region);
	zcp_fuzz_image_read(&s->images[0], fd);
	make_acks(s, 1, geometry.max_publishers, geometry.max_subscribers);
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

/* Written where it may be, and as it was. */
static void touch(_Atomic uint64_t *word, bool writable)
{
	uint64_t value = zcp_test_load(word);

	if (writable)
		zcp_test_store(word, value);
}

static void check_ack(const struct zcp_acks *acks, uint32_t p, uint32_t s)
{
	struct zcp_ack_shm *ack = zcp_acks_ack(acks, p, s);
	_Atomic uint64_t *held = zcp_acks_held(acks, s);

	check_inside(&acks->region, acks->shm->sleepers, sizeof(acks->shm->sleepers));
	check_inside(&acks->region, &acks->shm->rooms[p], sizeof(acks->shm->rooms[p]));
	check_inside(&acks->region, zcp_acks_counts(acks, s), sizeof(struct zcp_ack_counts_shm));
	check_inside(&acks->region, ack, sizeof(*ack));
	check_inside(&acks->region, held, ZCP_HELD_MAX * sizeof(*held));
	/* Behind the words of all, in whole pages of its own, and none reaches into the next. */
	ZCP_CHECK((char *)(acks->shm->rooms + acks->max_publishers) <= zcp_acks_block(acks, 0));
	ZCP_CHECK((uintptr_t)zcp_acks_block(acks, s) % 4096 == 0);
	ZCP_CHECK((char *)(ack + acks->max_publishers - p) <= (char *)held);
	ZCP_CHECK((char *)(held + ZCP_HELD_MAX) <= zcp_acks_block(acks, s + 1));
	touch(&ack->tail, true);
	touch(&held[ZCP_HELD_MAX - 1], true);
	zcp_acks_reset(acks, s);
}

static void check_acks(const struct zcp_acks *acks)
{
	check_ack(acks, 0, 0);
	check_ack(acks, acks->max_publishers - 1, 0);
	check_ack(acks, acks->max_publishers - 1, acks->max_subscribers - 1);
}

static void check_lane(const struct zcp_topic *topic, const struct zcp_acks *acks, uint32_t p,
		       uint32_t s, uint32_t log2, bool writable)
{
	struct zcp_lane lane = zcp_topic_lane(topic, acks, p, s, log2);

	check_inside(&topic->region, lane.shm, sizeof(*lane.shm));
	check_inside(&topic->region, lane.shm->slots,
		     ((uint64_t)lane.mask + 1) * sizeof(lane.shm->slots[0]));
	ZCP_CHECK(lane.ack == zcp_acks_ack(acks, p, s));
	touch(&lane.shm->base, writable);
	for (uint64_t seq = 0; seq < 20; seq++)
		touch(&zcp_lane_slot(&lane, lane.mask - 10 + seq)->word, writable);
}

static void check_topic(const struct zcp_topic *topic, const struct zcp_acks *acks, bool writable)
{
	uint32_t n = topic->geometry.max_publishers, m = topic->geometry.max_subscribers;
	static const uint32_t depths[] = { 0, 1, 3, 16, 17, 31, 32, UINT32_MAX };

	check_inside(&topic->region, topic->shm, sizeof(*topic->shm));
	check_inside(&topic->region, topic->publishers, n * sizeof(*topic->publishers));
	check_inside(&topic->region, topic->subscribers, m * sizeof(*topic->subscribers));
	touch(&topic->publishers[n - 1].op, writable);
	touch(&topic->subscribers[m - 1].first_lost, writable);
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		check_lane(topic, acks, 0, 0, depths[i], writable);
		check_lane(topic, acks, n - 1, 0, depths[i], writable);
		check_lane(topic, acks, n - 1, m - 1, depths[i], writable);
	}
}

/* Of a topic with those limits, whose acks are in that file. */
static int attach_acks_of(const struct scene *s, int file, uint32_t max_publishers,
			  uint32_t max_subscribers, struct zcp_acks *acks, const char **why)
{
	int r = zcp_acks_attach(acks, s->fds[file], max_publishers, max_subscribers, DOMAIN, TOPIC,
				why);

	ZCP_CHECK((r == 0) == (acks->shm != NULL));
	return r;
}

static void attach_acks(struct scene *s, struct zcp_fuzz_input *input)
{
	uint32_t n = 1 + zcp_fuzz_below(input, ZCP_TOPIC_PUBLISHERS_MAX);
	uint32_t m = 1 + zcp_fuzz_below(input, ZCP_TOPIC_SUBSCRIBERS_MAX);
	struct zcp_acks acks = { .shm = NULL };
	const char *why = "";
	int r;

	begin_attach(s);
	r = attach_acks_of(s, 0, n, m, &acks, &why);
	zcp_fuzz_forget_accesses(NULL);
	end_attach(s, 1, r, why);
	if (r == 0)
		check_acks(&acks);
	zcp_acks_deinit(&acks);
}

/* As an endpoint does: a topic, and where that is one, its acks. */
static void attach_topic(struct scene *s)
{
	struct zcp_topic topic = { .shm = NULL };
	struct zcp_acks acks = { .shm = NULL };
	const char *why = "";
	int r, n_files = 1;

	begin_attach(s);
	r = zcp_topic_attach(&topic, s->fds[0], DOMAIN, s->writable, &why);
	if (r == 0) {
		r = attach_acks_of(s, 1, topic.geometry.max_publishers,
				   topic.geometry.max_subscribers, &acks, &why);
		n_files = 2;
	}
	zcp_fuzz_forget_accesses(NULL);
	end_attach(s, n_files, r, why);
	if (r == 0) {
		check_acks(&acks);
		check_topic(&topic, &acks, s->writable);
	}
	zcp_acks_deinit(&acks);
	zcp_topic_deinit(&topic);
}

static void check_chunk(const struct zcp_pool *pool, uint32_t class_index, uint32_t i,
			bool writable)
{
	const struct zcp_class *class = zcp_pool_class(pool, zcp_ref(class_index, i));
	struct zcp_chunk_shm *chunk = zcp_pool_descriptor(pool, zcp_ref(class_index, i));
	char *payload, *header;

	ZCP_CHECK(class == &pool->classes[class_index] && chunk == &class->chunks[i]);
	payload = zcp_class_payload(class, i);
	header = payload - class->header_room;
	check_inside(&class->chunks_region, chunk, sizeof(*chunk));
	check_inside(&class->data_region, header, class->header_room);
	check_inside(&class->data_region, payload, class->payload_size);
	/* Not where the regions' own headers are, and aligned as it is promised. */
	ZCP_CHECK((char *)chunk - (char *)class->chunks_region.base >=
		  (ptrdiff_t)sizeof(struct zcp_class_shm));
	ZCP_CHECK(header - (char *)class->data_region.base >=
		  (ptrdiff_t)sizeof(struct zcp_region_shm));
	ZCP_CHECK((uintptr_t)payload % 64 == 0);
	touch(&chunk->publisher_id, writable);
	zcp_fuzz_read(header, class->header_room);
	zcp_fuzz_read(payload, class->payload_size);
	if (writable && class->payload_size > 0)
		payload[0] = payload[class->payload_size - 1] = 1;
}

static void check_pool(const struct zcp_pool *pool, bool writable)
{
	for (uint32_t c = 0; c < ZCP_CLASSES_MAX; c++) {
		const struct zcp_class *class = &pool->classes[c];
		uint32_t n = class->n_chunks;

		ZCP_CHECK((n > 0) == (class->chunks != NULL));
		ZCP_CHECK(!zcp_pool_class(pool, zcp_ref(c, n)));
		ZCP_CHECK(!zcp_pool_descriptor(pool, zcp_ref(c, n)));
		if (n == 0)
			continue;
		/* None reaches into the next. */
		ZCP_CHECK(class->stride >= class->header_room + class->payload_size);
		ZCP_CHECK(zcp_class_n_touched(class) <= n);
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
	uint32_t n;

	if (strchr("ezZld", command))
		image = &s->images[zcp_fuzz_below(input, N_FILES)];
	switch (command) {
	case 't':
		make_topic(s, input);
		break;
	case 'k':
		n = zcp_fuzz_below(input, ZCP_TOPIC_PUBLISHERS_MAX + 2);
		make_acks(s, 0, n, zcp_fuzz_below(input, ZCP_TOPIC_SUBSCRIBERS_MAX + 2));
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
	case 'A':
		attach_acks(s, input);
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
	while ((command = zcp_fuzz_command(&input, "tkcsbezZldmwTACSB")))
		run(&s, command, &input);
	zcp_fuzz_descriptors_check();
	return 0;
}
