/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools: the geometry of size classes, what is refused at attach, refs, and a chunk's way from FREE
 * to its owner and back.
 */
#include "pubsub/shm/pool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"

#define PAYLOAD 200
#define N_CHUNKS 4

static struct zcp_testbed bed;

static void setup(void)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, PAYLOAD, N_CHUNKS);

	zcp_testbed_init(&bed, &options);
}

static void teardown(void)
{
	zcp_testbed_deinit(&bed);
}

TestSuite(pool, .init = setup, .fini = teardown);

Test(pool, class_sizes_hold_every_chunk)
{
	static const uint64_t payloads[] = { 0,    1,    63,   64,   65,      4031,   4032,
					     4095, 4096, 4097, 8192, 6220800, 1 << 30 };

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		const struct zcp_class_geometry g = { .payload_size = payloads[i], .n_chunks = 3 };
		uint64_t stride = zcp_class_stride(&g);
		size_t chunks_size, data_size;

		cr_assert_eq(zcp_class_sizes(&g, &chunks_size, &data_size), 0);
		cr_assert_eq(stride % 128, 0);
		cr_assert_geq(stride, payloads[i]);
		cr_assert_eq(data_size, ZCP_CLASS_DATA_OFFSET + 3 * stride);
		cr_assert_eq(chunks_size, sizeof(struct zcp_class_shm) + 3 * 64);
	}
}

Test(pool, impossible_class_is_refused)
{
	static const struct zcp_class_geometry wrong[] = {
		{ .payload_size = 64, .n_chunks = 0 },
		{ .payload_size = 64, .n_chunks = ZCP_CLASS_CHUNKS_MAX + 1 },
		{ .payload_size = 64, .n_chunks = UINT32_MAX },
		{ .payload_size = 64, .n_chunks = 1, .class_index = ZCP_CLASSES_MAX },
		{ .payload_size = (UINT64_C(1) << 46) + 1, .n_chunks = 1 },
		{ .payload_size = UINT64_MAX, .n_chunks = 1 },
		{ .payload_size = UINT64_C(1) << 46, .n_chunks = ZCP_CLASS_CHUNKS_MAX },
		{ .payload_size = UINT64_C(1) << 40, .n_chunks = 65 },
		{ .payload_size = 64, .n_chunks = 1, .alignment = 1 },
		{ .payload_size = 64, .n_chunks = 1, .alignment = 32 },
		{ .payload_size = 64, .n_chunks = 1, .alignment = 192 },
		{ .payload_size = 64, .n_chunks = 1, .alignment = 8192 },
		{ .payload_size = 64, .n_chunks = 1, .user_header_size = ZCP_USER_HEADER_MAX + 1 },
		{ .payload_size = 64, .n_chunks = 1, .user_header_size = UINT32_MAX },
	};
	size_t chunks_size = 1, data_size = 1;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(zcp_class_sizes(&wrong[i], &chunks_size, &data_size), -EINVAL,
			     "number %zu", i);
	cr_assert_eq(chunks_size, 1);
	cr_assert_eq(data_size, 1);
}

/* Every chunk of a class: in the region, apart from the others, where it was promised. */
static void check_class(const struct zcp_class_geometry *geometry)
{
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, PAYLOAD, N_CHUNKS);
	uint32_t room = (geometry->user_header_size + 63) / 64 * 64;
	const char *begin, *end, *last;
	struct zcp_testbed other;
	const struct zcp_class *class;

	options.classes[0] = *geometry;
	zcp_testbed_init(&other, &options);
	class = &other.view.pool.classes[0];
	begin = class->data_region.base;
	end = begin + class->data_region.size;
	last = begin + sizeof(struct zcp_region_shm);
	cr_assert_eq(class->header_room, room);
	cr_assert_eq(class->payload_size, geometry->payload_size);
	for (uint32_t i = 0; i < geometry->n_chunks; i++) {
		char *payload = zcp_class_payload(class, i);

		cr_assert_eq(zcp_pool_class(&other.view.pool, zcp_ref(0, i)), class);
		cr_assert_eq(zcp_pool_descriptor(&other.view.pool, zcp_ref(0, i)),
			     &class->chunks[i]);
		cr_assert_geq(payload - room, last);
		cr_assert_eq((uintptr_t)payload % (geometry->alignment ? geometry->alignment : 64),
			     0);
		if (geometry->user_header_size > 0)
			cr_assert_eq(zcp_user_header(payload, geometry->user_header_size),
				     payload - room);
		else
			cr_assert_null(zcp_user_header(payload, 0));
		last = payload + geometry->payload_size;
		cr_assert_leq(last, end);
		memset(payload - room, 0xa5, room + geometry->payload_size);
	}
	cr_assert_eq(((const struct zcp_region_shm *)class->data_region.base)->magic,
		     ZCP_REGION_MAGIC);
	zcp_testbed_deinit(&other);
}

Test(pool, every_alignment_and_user_header_has_its_place_in_every_chunk)
{
	static const uint64_t payloads[] = { 1, 64, 200, 4032, 4096, 5000 };
	static const uint32_t user_headers[] = { 0, 1, 64, 65, ZCP_USER_HEADER_MAX };

	for (uint32_t alignment = 0; alignment <= ZCP_ALIGNMENT_MAX;
	     alignment = alignment ? 2 * alignment : ZCP_ALIGNMENT_MIN)
		for (size_t p = 0; p < sizeof(payloads) / sizeof(payloads[0]); p++)
			for (size_t u = 0; u < sizeof(user_headers) / sizeof(user_headers[0]); u++)
				check_class(&(struct zcp_class_geometry){
					.payload_size = payloads[p],
					.n_chunks = N_CHUNKS,
					.alignment = alignment,
					.user_header_size = user_headers[u],
				});
}

/* Processors fetch two lines at once. */
Test(pool, payloads_begin_at_a_pair_of_lines)
{
	static const uint32_t user_headers[] = { 0, 16, 64, 128, 200 };

	for (size_t u = 0; u < sizeof(user_headers) / sizeof(user_headers[0]); u++) {
		struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, PAYLOAD,
									 N_CHUNKS);
		struct zcp_testbed other;

		options.classes[0].user_header_size = user_headers[u];
		zcp_testbed_init(&other, &options);
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			cr_assert_eq((uintptr_t)zcp_class_payload(&other.view.pool.classes[0], i) %
					     128,
				     0);
		zcp_testbed_deinit(&other);
	}
}

Test(pool, one_ref_is_the_same_bytes_at_two_addresses)
{
	struct zcp_testbed_view other;

	zcp_testbed_attach(&bed, &other, false);
	cr_assert_neq(other.pool.classes[0].payloads, bed.view.pool.classes[0].payloads);
	cr_assert_neq(other.pool.classes[0].chunks, bed.view.pool.classes[0].chunks);
	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		struct zcp_chunk_shm *here = zcp_pool_descriptor(&bed.view.pool, zcp_ref(0, i));
		struct zcp_chunk_shm *there = zcp_pool_descriptor(&other.pool, zcp_ref(0, i));
		char *payload = zcp_class_payload(&bed.view.pool.classes[0], i);

		zcp_test_fill(payload, PAYLOAD, 1, i);
		zcp_test_store(&here->seq, 200 + i);
		cr_assert(zcp_test_is_filled(zcp_class_payload(&other.pool.classes[0], i), PAYLOAD,
					     1, i));
		cr_assert_eq(zcp_test_load(&there->seq), 200 + i);
	}
	zcp_testbed_detach(&other);
}

Test(pool, ref_that_names_no_chunk_is_refused)
{
	const uint32_t refs[] = {
		zcp_ref(0, N_CHUNKS),
		zcp_ref(0, ZCP_REF_INDEX_MASK),
		zcp_ref(1, 0),
		zcp_ref(ZCP_CLASSES_MAX - 1, 0),
		zcp_ref(ZCP_CLASSES_MAX, 0),
		zcp_ref(255, 0),
		ZCP_REF_NONE,
	};

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		cr_assert_null(zcp_pool_class(&bed.view.pool, refs[i]), "%#x", refs[i]);
		cr_assert_null(zcp_pool_descriptor(&bed.view.pool, refs[i]), "%#x", refs[i]);
		zcp_pool_prefetch(&bed.view.pool, refs[i]);
	}
}

Test(pool, ref_is_class_and_index)
{
	uint32_t ref = zcp_ref(63, ZCP_CLASS_CHUNKS_MAX - 1);

	cr_assert_eq(zcp_ref_class(ref), 63);
	cr_assert_eq(zcp_ref_index(ref), ZCP_CLASS_CHUNKS_MAX - 1);
	cr_assert_eq(ref & ZCP_SLOT_REF_MASK, ref);
}

Test(pool, attach_again_is_harmless)
{
	const char *payloads = bed.view.pool.classes[0].payloads, *why;

	cr_assert_eq(zcp_pool_attach(&bed.view.pool, bed.chunks_fds[0], bed.data_fds[0],
				     ZCP_TESTBED_DOMAIN, true, &why),
		     0);
	cr_assert_eq(bed.view.pool.classes[0].payloads, payloads);
	cr_assert_eq(bed.view.pool.n_classes, 1);
}

static void assert_refused(int chunks_fd, int data_fd, bool writable, int error)
{
	static struct zcp_pool pool;
	const char *why = "";

	cr_assert_eq(zcp_pool_attach(&pool, chunks_fd, data_fd, ZCP_TESTBED_DOMAIN, writable, &why),
		     error);
	cr_assert_str_not_empty(why);
	cr_assert_eq(pool.n_classes, 0);
	cr_assert_null(pool.classes[0].chunks);
}

Test(pool, regions_in_the_wrong_place_are_refused)
{
	int chunks = zcp_region_open_readonly(bed.chunks_fds[0]);
	int data = zcp_region_open_readonly(bed.data_fds[0]);

	cr_assert(chunks >= 0 && data >= 0);
	assert_refused(bed.data_fds[0], bed.chunks_fds[0], true, -EPROTO);
	assert_refused(bed.chunks_fds[0], bed.chunks_fds[0], true, -EPROTO);
	assert_refused(bed.chunks_fds[0], bed.topic_fd, true, -EPROTO);
	assert_refused(bed.chunks_fds[0], -1, true, -EPROTO);
	assert_refused(bed.chunks_fds[0], data, true, -EACCES);
	assert_refused(chunks, bed.data_fds[0], true, -EACCES);
	close(chunks);
	close(data);
}

Test(pool, chunks_of_another_class_are_refused)
{
	struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, PAYLOAD, N_CHUNKS);
	struct zcp_testbed other;

	options.classes[1] = options.classes[0];
	zcp_testbed_init(&other, &options);
	assert_refused(other.chunks_fds[0], other.data_fds[1], true, -EPROTO);
	zcp_testbed_deinit(&other);
}

/* What a broken or hostile creator may write; each must be refused, whatever else holds. */
struct lie {
	const char *what;
	uint64_t payload_size, stride, payload_offset;
	uint32_t n_chunks, class_index;
};

/* The regions of the fixture have room for 61 descriptors and 8192 bytes of data. */
static const struct lie lies[] = {
	{ "no chunks", 64, 128, 4160, 0, 0 },
	{ "as many chunks as can be", 64, 128, 4160, UINT32_MAX, 0 },
	{ "a descriptor beyond the region", 0, 64, 4160, 62, 0 },
	{ "a class that no ref can name", 64, 128, 4160, 4, ZCP_CLASSES_MAX },
	{ "a far class", 64, 128, 4160, 4, UINT32_MAX },
	{ "a chunk beyond the region", 1024, 1088, 4160, 4, 0 },
	{ "one byte beyond the region", 8192 - 4160 + 1, 64 * 1024, 4160, 1, 0 },
	{ "chunks that overlap", 65, 64, 4160, 4, 0 },
	{ "chunks that are all one", 1, 0, 4160, 4, 0 },
	{ "chunks that overlap by far", UINT64_MAX, 128, 4160, 4, 0 },
	{ "a stride that is not a line's", 64, 136, 4160, 4, 0 },
	{ "a payload off its line", 64, 128, 4164, 4, 0 },
	{ "a payload in the region's header", 64, 128, 0, 4, 0 },
	{ "an offset that overflows", 64, 128, UINT64_MAX - 63, 4, 0 },
	{ "a stride that overflows", 64, UINT64_C(1) << 63, 4160, 4, 0 },
	/* Three times this is 128. */
	{ "a stride that overflows to a little", 64, UINT64_C(0x5555555555555580), 4160, 4, 0 },
	{ "a payload that overflows", UINT64_MAX - 127, UINT64_MAX - 63, 4160, 1, 0 },
};

static const struct {
	struct lie lie;
	uint32_t alignment, header_room;
} room_lies[] = {
	{ { "an alignment that is none", 64, 192, 4224, 4, 0 }, 192, 0 },
	{ { "an alignment to less than a line", 64, 128, 4160, 4, 0 }, 32, 0 },
	{ { "an alignment that no mapping keeps", 0, 8192, 8192, 1, 0 }, 8192, 0 },
	{ { "a first payload that is not aligned", 64, 256, 4224, 4, 0 }, 256, 0 },
	{ { "payloads that are not aligned", 64, 192, 4352, 4, 0 }, 256, 0 },
	{ { "a room that is not a line's", 64, 256, 4288, 4, 0 }, 64, 65 },
	{ { "a room larger than can be", 64, 8192, 4352, 1, 0 }, 64, 4160 },
	{ { "a room larger than anything", 64, 128, 4160, 1, 0 }, 64, UINT32_MAX - 63 },
	{ { "rooms that overlap payloads", 65, 128, 4160, 4, 0 }, 64, 64 },
	{ { "a stride of less than the room", 0, 64, 4224, 4, 0 }, 64, 128 },
	{ { "a room in the region's header", 64, 192, 64, 4, 0 }, 64, 64 },
	{ { "a room before the region", 64, 8192, 128, 1, 0 }, 64, 4096 },
};

static void expect_lie_refused(const struct lie *lie, uint32_t alignment, uint32_t header_room)
{
	struct zcp_class_shm *shm = bed.view.pool.classes[0].chunks_region.base;
	struct zcp_pool pool = { .n_classes = 0 };
	const char *why = "";

	shm->payload_size = lie->payload_size;
	shm->stride = lie->stride;
	shm->payload_offset = lie->payload_offset;
	shm->n_chunks = lie->n_chunks;
	shm->class_index = lie->class_index;
	shm->alignment = alignment;
	shm->header_room = header_room;
	cr_expect_eq(zcp_pool_attach(&pool, bed.chunks_fds[0], bed.data_fds[0], ZCP_TESTBED_DOMAIN,
				     true, &why),
		     -EPROTO, "%s", lie->what);
	cr_expect_str_not_empty(why);
	cr_expect_eq(pool.n_classes, 0);
}

Test(pool, geometry_that_lies_is_refused)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		expect_lie_refused(&lies[i], 64, 0);
	for (size_t i = 0; i < sizeof(room_lies) / sizeof(room_lies[0]); i++)
		expect_lie_refused(&room_lies[i].lie, room_lies[i].alignment,
				   room_lies[i].header_room);
}

Test(pool, more_chunks_than_a_ref_can_name_are_refused)
{
	const uint32_t n_chunks = ZCP_CLASS_CHUNKS_MAX + 1;
	struct zcp_region chunks, data;
	struct zcp_pool pool = { .n_classes = 0 };
	int chunks_fd = -1, data_fd = -1;
	struct zcp_class_shm *shm;
	const char *why = "";

	/* Room for all of them, so that nothing but their number is wrong; it is sparse. */
	cr_assert_eq(zcp_region_create(&chunks, &chunks_fd, "zcp-test",
				       sizeof(*shm) + n_chunks * sizeof(struct zcp_chunk_shm)),
		     0);
	cr_assert_eq(zcp_region_create(&data, &data_fd, "zcp-test", 4160 + 64 * (size_t)n_chunks),
		     0);
	shm = chunks.base;
	shm->n_chunks = n_chunks;
	shm->alignment = 64;
	shm->stride = 64;
	shm->payload_offset = 4160;
	zcp_region_publish(&data, ZCP_REGION_DATA, ZCP_TESTBED_DOMAIN, 1);
	zcp_region_publish(&chunks, ZCP_REGION_CHUNKS, ZCP_TESTBED_DOMAIN, 1);
	cr_assert_eq(zcp_pool_attach(&pool, chunks_fd, data_fd, ZCP_TESTBED_DOMAIN, true, &why),
		     -EPROTO);
	cr_assert_str_not_empty(why);
	shm->n_chunks--;
	cr_assert_eq(zcp_pool_attach(&pool, chunks_fd, data_fd, ZCP_TESTBED_DOMAIN, true, &why), 0);
	zcp_pool_deinit(&pool);
	zcp_region_deinit(&chunks);
	zcp_region_deinit(&data);
	close(chunks_fd);
	close(data_fd);
}

static void expect_last_chunk(uint64_t payload_offset, uint64_t stride, uint32_t header_room,
			      uint32_t n_chunks)
{
	struct zcp_class_shm *shm = bed.view.pool.classes[0].chunks_region.base;
	struct zcp_pool pool = { .n_classes = 0 };
	const struct zcp_class *class;
	const char *why = "";
	char *payload;

	shm->payload_offset = payload_offset;
	shm->stride = stride;
	shm->header_room = header_room;
	shm->payload_size = 64;
	shm->n_chunks = n_chunks;
	cr_assert_eq(zcp_pool_attach(&pool, bed.chunks_fds[0], bed.data_fds[0], ZCP_TESTBED_DOMAIN,
				     true, &why),
		     0, "%s", why);
	class = zcp_pool_class(&pool, zcp_ref(0, n_chunks - 1));
	cr_assert_not_null(class);
	payload = zcp_class_payload(class, n_chunks - 1);
	cr_assert_eq(payload + 64, (const char *)class->data_region.base + class->data_region.size);
	memset(payload - header_room, 0xa5, header_room + 64);
	zcp_test_store(&zcp_pool_descriptor(&pool, zcp_ref(0, n_chunks - 1))->seq, 1);
	zcp_pool_deinit(&pool);
}

Test(pool, geometry_to_the_last_byte_is_accepted)
{
	expect_last_chunk(8192 - 64 - 60 * 128, 128, 0, 61);
	expect_last_chunk(8192 - 64 - 41 * 192, 192, 64, 42);
}

Test(pool, geometry_that_changes_after_attach_changes_nothing)
{
	struct zcp_class_shm *shm = bed.view.pool.classes[0].chunks_region.base;
	const struct zcp_class before = bed.view.pool.classes[0];
	const struct zcp_class *after;

	shm->n_chunks = UINT32_MAX;
	shm->stride = 1 << 30;
	shm->payload_offset = 1 << 30;
	shm->payload_size = 1 << 30;
	shm->header_room = 4096;
	after = zcp_pool_class(&bed.view.pool, zcp_ref(0, 1));
	cr_assert_not_null(after);
	cr_assert_eq(zcp_class_payload(after, 1), zcp_class_payload(&before, 1));
	cr_assert_eq(after->header_room, before.header_room);
	cr_assert_eq(after->payload_size, before.payload_size);
	cr_assert_null(zcp_pool_class(&bed.view.pool, zcp_ref(0, N_CHUNKS)));
}

/* --- from FREE to an owner and back --- */

static const uint32_t owners[] = { 1, 2, 255, 256, 65534, ZCP_OWNER_RUNTIME };

Test(pool, free_chunk_is_claimed_once_and_says_by_whom)
{
	struct zcp_chunk_shm *chunk = &bed.view.pool.classes[0].chunks[0];

	for (uint32_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		uint32_t state;

		cr_assert(zcp_chunk_claim(chunk, owners[i]));
		state = zcp_test_load(&chunk->state);
		cr_assert_eq(zcp_chunk_owner(state), owners[i]);
		cr_assert_eq(state & ZCP_CHUNK_FLAGS, ZCP_CHUNK_LOANED);
		cr_assert_eq(zcp_test_load(&chunk->n_claims), i + 1);
		cr_assert_not(zcp_chunk_claim(chunk, 1));
		cr_assert_eq(zcp_test_load(&chunk->state), state);
		cr_assert_eq(zcp_test_load(&chunk->n_claims), i + 1);
		zcp_test_store(&chunk->seq, 77);
		zcp_chunk_free(chunk);
		cr_assert_eq(zcp_test_load(&chunk->state), ZCP_CHUNK_FREE);
		cr_assert_eq(zcp_test_load(&chunk->seq), 0);
	}
}

Test(pool, chunk_that_has_an_owner_or_a_flag_is_not_claimed)
{
	const uint32_t states[] = { zcp_chunk_state(1, 0), zcp_chunk_state(2, ZCP_CHUNK_LOANED),
				    zcp_chunk_state(0, ZCP_CHUNK_LOANED), 0x8000, UINT32_MAX };
	struct zcp_chunk_shm *chunk = &bed.view.pool.classes[0].chunks[0];

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		zcp_test_store(&chunk->state, states[i]);
		cr_assert_not(zcp_chunk_claim(chunk, 2));
		cr_assert_eq(zcp_test_load(&chunk->state), states[i]);
	}
	cr_assert_eq(zcp_test_load(&chunk->n_claims), 0);
}

Test(pool, count_of_claims_wraps)
{
	struct zcp_chunk_shm *chunk = &bed.view.pool.classes[0].chunks[0];

	zcp_test_store(&chunk->n_claims, UINT32_MAX);
	cr_assert(zcp_chunk_claim(chunk, 1));
	cr_assert_eq(zcp_test_load(&chunk->n_claims), 0);
}

Test(pool, state_keeps_its_parts_apart)
{
	uint32_t state = zcp_chunk_state(ZCP_OWNERS - 1, ZCP_CHUNK_LOANED);

	cr_assert_eq(zcp_chunk_owner(state), ZCP_OWNERS - 1);
	cr_assert_eq(state & ZCP_CHUNK_FLAGS, ZCP_CHUNK_LOANED);
	state = zcp_chunk_state(1, 0);
	cr_assert_eq(zcp_chunk_owner(state), 1);
	cr_assert_eq(state & ZCP_CHUNK_FLAGS, 0);
	cr_assert_neq(state, ZCP_CHUNK_FREE);
}

Test(pool, highest_index_that_was_touched_only_grows)
{
	const struct zcp_class *class = &bed.view.pool.classes[0];

	cr_assert_eq(zcp_class_n_touched(class), 0);
	zcp_class_touch(class, 0);
	cr_assert_eq(zcp_class_n_touched(class), 1);
	zcp_class_touch(class, 2);
	zcp_class_touch(class, 1);
	zcp_class_touch(class, 2);
	cr_assert_eq(zcp_class_n_touched(class), 3);
	/* Nobody walks beyond the table for it. */
	zcp_test_store(&class->shm->n_touched, UINT32_MAX);
	cr_assert_eq(zcp_class_n_touched(class), N_CHUNKS);
	zcp_class_touch(class, 3);
	cr_assert_eq(zcp_test_load(&class->shm->n_touched), UINT32_MAX);
}

Test(pool, runtime_that_wants_to_know_of_a_free_chunk_is_told_once)
{
	const struct zcp_class *class = &bed.view.pool.classes[0];

	zcp_test_store(&class->shm->n_freed, UINT32_MAX);
	cr_assert_not(zcp_class_count_freed(class));
	cr_assert_eq(zcp_test_load(&class->shm->n_freed), 0);
	zcp_test_store(&class->shm->wants_freed, 1);
	cr_assert(zcp_class_count_freed(class));
	cr_assert_eq(zcp_test_load(&class->shm->wants_freed), 0);
	cr_assert_not(zcp_class_count_freed(class));
	cr_assert_eq(zcp_test_load(&class->shm->n_freed), 2);
}
