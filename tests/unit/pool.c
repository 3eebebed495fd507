/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools: the geometry of size classes, what is refused at attach, refs and holders' bits.
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
		cr_assert_eq(stride % 64, 0);
		cr_assert_geq(stride, sizeof(struct zcp_chunk_header_shm) + payloads[i]);
		cr_assert_eq(data_size, ZCP_CLASS_DATA_OFFSET + 3 * stride);
		cr_assert_eq(chunks_size, 128 + 3 * 64);
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
		{ .payload_size = UINT64_C(1) << 40, .n_chunks = 64 },
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

Test(pool, chunks_lie_apart_inside_the_region_and_aligned)
{
	const struct zcp_class *class = &bed.view.pool.classes[0];
	const char *begin = class->data_region.base, *end = begin + class->data_region.size;
	const char *last = begin + sizeof(struct zcp_region_shm);

	for (uint32_t i = 0; i < N_CHUNKS; i++) {
		struct zcp_chunk chunk;

		cr_assert(zcp_pool_chunk(&bed.view.pool, zcp_ref(0, i), &chunk));
		cr_assert_geq((const char *)chunk.header, last);
		cr_assert_eq((const char *)chunk.payload, (const char *)(chunk.header + 1));
		cr_assert_eq((uintptr_t)chunk.payload % 64, 0);
		cr_assert_eq(chunk.payload_size, PAYLOAD);
		cr_assert_eq(chunk.descriptor, &class->chunks[i]);
		last = (const char *)chunk.payload + PAYLOAD;
		cr_assert_leq(last, end);
		memset(chunk.payload, 0xa5, PAYLOAD);
	}
	cr_assert_eq(((const struct zcp_region_shm *)class->data_region.base)->magic,
		     ZCP_REGION_MAGIC);
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
	for (uint32_t i = 0; i < geometry->n_chunks; i++) {
		struct zcp_chunk chunk;

		cr_assert(zcp_pool_chunk(&other.view.pool, zcp_ref(0, i), &chunk));
		cr_assert_eq(chunk.header_room, room);
		cr_assert_geq((const char *)chunk.header - room, last);
		cr_assert_eq((const char *)chunk.payload, (const char *)(chunk.header + 1));
		cr_assert_eq((uintptr_t)chunk.payload %
				     (geometry->alignment ? geometry->alignment : 64),
			     0);
		last = (const char *)chunk.payload + geometry->payload_size;
		cr_assert_leq(last, end);
		memset((char *)chunk.header - room, 0xa5,
		       room + sizeof(*chunk.header) + geometry->payload_size);
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

/* Processors fetch two lines at once: nobody pays for an alignment he did not ask for. */
Test(pool, header_and_first_line_of_the_payload_are_a_pair)
{
	static const uint32_t user_headers[] = { 0, 16, 64, 128, 200 };

	for (size_t u = 0; u < sizeof(user_headers) / sizeof(user_headers[0]); u++) {
		struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, 1, 0, PAYLOAD,
									 N_CHUNKS);
		struct zcp_testbed other;

		options.classes[0].user_header_size = user_headers[u];
		zcp_testbed_init(&other, &options);
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			cr_assert_eq((uintptr_t)zcp_class_header(&other.view.pool.classes[0], i) %
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
		struct zcp_chunk here, there;

		cr_assert(zcp_pool_chunk(&bed.view.pool, zcp_ref(0, i), &here));
		cr_assert(zcp_pool_chunk(&other.pool, zcp_ref(0, i), &there));
		cr_assert_neq(here.payload, there.payload);
		zcp_test_fill(here.payload, PAYLOAD, 1, i);
		zcp_test_store(&here.header->seq, 100 + i);
		zcp_test_store(&here.descriptor->seq, 200 + i);
		cr_assert(zcp_test_is_filled(there.payload, PAYLOAD, 1, i));
		cr_assert_eq(zcp_test_load(&there.header->seq), 100 + i);
		cr_assert_eq(zcp_test_load(&there.descriptor->seq), 200 + i);
		/* And the other way: a subscriber's release. */
		zcp_test_store(&here.descriptor->holders[0], 1);
		zcp_chunk_release(there.descriptor, 0);
		cr_assert_not(zcp_chunk_has_holders(here.descriptor));
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
		UINT32_MAX,
	};

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		struct zcp_chunk chunk;

		cr_assert_not(zcp_pool_chunk(&bed.view.pool, refs[i], &chunk), "%#x", refs[i]);
		zcp_pool_prefetch(&bed.view.pool, refs[i], 0);
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
	assert_refused(bed.data_fds[0], bed.chunks_fds[0], true, -EPROTO);
	assert_refused(bed.chunks_fds[0], bed.chunks_fds[0], true, -EPROTO);
	assert_refused(bed.chunks_fds[0], bed.topic_fd, true, -EPROTO);
	assert_refused(bed.chunks_fds[0], -1, true, -EPROTO);
	assert_refused(bed.chunks_fds[0], bed.readonly_fds[0], true, -EACCES);
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

/* The regions of the fixture have room for 62 descriptors and 8192 bytes of data. */
static const struct lie lies[] = {
	{ "no chunks", 64, 128, 4160, 0, 0 },
	{ "as many chunks as can be", 64, 128, 4160, UINT32_MAX, 0 },
	{ "a descriptor beyond the region", 0, 64, 128, 63, 0 },
	{ "a class that no ref can name", 64, 128, 4160, 4, ZCP_CLASSES_MAX },
	{ "a far class", 64, 128, 4160, 4, UINT32_MAX },
	{ "a chunk beyond the region", 1024, 1088, 4160, 4, 0 },
	{ "one byte beyond the region", 8192 - 4160 + 1, 64 * 1024, 4160, 1, 0 },
	{ "no room for the header", 0, 0, 4160, 4, 0 },
	{ "chunks that overlap", 65, 128, 4160, 4, 0 },
	{ "chunks that overlap by far", UINT64_MAX, 128, 4160, 4, 0 },
	{ "a stride that is not a line's", 64, 136, 4160, 4, 0 },
	{ "a payload off its line", 64, 128, 4164, 4, 0 },
	{ "the header in the region's", 64, 128, 64, 4, 0 },
	{ "the header before the region", 64, 128, 0, 4, 0 },
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
	{ { "rooms that overlap payloads", 64, 128, 4160, 4, 0 }, 64, 64 },
	{ { "a stride of less than the room", 0, 64, 4160, 4, 0 }, 64, 64 },
	{ { "a room in the region's header", 64, 192, 128, 4, 0 }, 64, 64 },
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

Test(pool, geometry_to_the_last_byte_is_accepted)
{
	struct zcp_class_shm *shm = bed.view.pool.classes[0].chunks_region.base;
	struct zcp_pool pool = { .n_classes = 0 };
	struct zcp_chunk chunk;
	const char *why;

	shm->payload_offset = 128;
	shm->stride = 128;
	shm->payload_size = 64;
	shm->n_chunks = 62;
	cr_assert_eq(zcp_pool_attach(&pool, bed.chunks_fds[0], bed.data_fds[0], ZCP_TESTBED_DOMAIN,
				     true, &why),
		     0);
	cr_assert(zcp_pool_chunk(&pool, zcp_ref(0, 61), &chunk));
	memset(chunk.payload, 0xa5, 64);
	zcp_test_store(&chunk.descriptor->seq, 1);
	zcp_pool_deinit(&pool);

	shm->payload_offset = 192;
	shm->stride = 192;
	shm->header_room = 64;
	shm->n_chunks = 42;
	cr_assert_eq(zcp_pool_attach(&pool, bed.chunks_fds[0], bed.data_fds[0], ZCP_TESTBED_DOMAIN,
				     true, &why),
		     0);
	cr_assert(zcp_pool_chunk(&pool, zcp_ref(0, 41), &chunk));
	memset((char *)chunk.header - 64, 0xa5, 64 + sizeof(*chunk.header) + 64);
	zcp_pool_deinit(&pool);
}

Test(pool, geometry_that_changes_after_attach_changes_nothing)
{
	struct zcp_class_shm *shm = bed.view.pool.classes[0].chunks_region.base;
	struct zcp_chunk before, after;

	cr_assert(zcp_pool_chunk(&bed.view.pool, zcp_ref(0, 1), &before));
	shm->n_chunks = UINT32_MAX;
	shm->stride = 1 << 30;
	shm->payload_offset = 1 << 30;
	shm->payload_size = 1 << 30;
	shm->header_room = 4096;
	cr_assert(zcp_pool_chunk(&bed.view.pool, zcp_ref(0, 1), &after));
	cr_assert_eq(before.payload, after.payload);
	cr_assert_eq(before.header_room, after.header_room);
	cr_assert_eq(before.payload_size, after.payload_size);
	cr_assert_not(zcp_pool_chunk(&bed.view.pool, zcp_ref(0, N_CHUNKS), &after));
}

Test(pool, release_clears_one_bit_and_is_harmless_twice)
{
	struct zcp_chunk_shm *chunk = &bed.view.pool.classes[0].chunks[0];
	static const uint32_t holders[] = { 0, 1, 63, 64, 127, 128, 200, 255 };

	for (int i = 0; i < ZCP_HOLDER_WORDS; i++)
		zcp_test_store(&chunk->holders[i], UINT64_MAX);
	for (size_t i = 0; i < sizeof(holders) / sizeof(holders[0]); i++) {
		uint64_t before[ZCP_HOLDER_WORDS];

		for (int w = 0; w < ZCP_HOLDER_WORDS; w++)
			before[w] = zcp_test_load(&chunk->holders[w]);
		before[holders[i] / 64] &= ~(UINT64_C(1) << (holders[i] % 64));
		cr_assert(zcp_chunk_has_holder(chunk, holders[i]));
		for (int times = 0; times < 2; times++) {
			zcp_chunk_release(chunk, holders[i]);
			cr_assert_not(zcp_chunk_has_holder(chunk, holders[i]));
			for (int w = 0; w < ZCP_HOLDER_WORDS; w++)
				cr_assert_eq(zcp_test_load(&chunk->holders[w]), before[w]);
		}
	}
}

Test(pool, last_of_256_holders_frees_the_chunk)
{
	struct zcp_chunk_shm *chunk = &bed.view.pool.classes[0].chunks[0];

	for (int i = 0; i < ZCP_HOLDER_WORDS; i++)
		zcp_test_store(&chunk->holders[i], UINT64_MAX);
	for (uint32_t h = 0; h < ZCP_HOLDERS_MAX; h++) {
		cr_assert(zcp_chunk_has_holders(chunk));
		cr_assert_eq(zcp_testbed_n_busy(&bed), 1);
		zcp_chunk_release(chunk, h);
	}
	cr_assert_not(zcp_chunk_has_holders(chunk));
	cr_assert_eq(zcp_testbed_n_busy(&bed), 0);
}

Test(pool, state_keeps_its_three_parts_apart)
{
	uint64_t state = zcp_state(UINT32_MAX, 0xffff, ZCP_CHUNK_LOANED);

	cr_assert_eq(zcp_state_generation(state), UINT32_MAX);
	cr_assert_eq(zcp_state_owner(state), 0xffff);
	cr_assert_eq(state & ZCP_CHUNK_FLAGS, ZCP_CHUNK_LOANED);
	state = zcp_state(0, 1, 0);
	cr_assert_eq(zcp_state_generation(state), 0);
	cr_assert_eq(zcp_state_owner(state), 1);
	cr_assert_eq(state & ZCP_CHUNK_FLAGS, 0);
}
