/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks, entries, and their two copies.
 *
 * One process writes, and the next one reads what a killed one has stored: the kernel has ordered
 * the two. What the releases are for is that the compiler stores the contents before the word that
 * makes them count; a kill between two stores leaves the first.
 */
#include "runtime/domain/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/region.h"
#include "pubsub/util.h"
#include "runtime/system/log.h"

#define EXIT_LOST 3
/* An entry's number within its block, in a place. */
#define INDEX_BITS 12
#define BLOCKS_MAX (UINT32_MAX >> INDEX_BITS)

size_t zcpd_directory_contents_size(enum zcp_entry_kind kind)
{
	static const size_t sizes[ZCP_ENTRY_KINDS] = {
		[ZCP_ENTRY_SERVER] = sizeof(struct zcp_server_entry_shm),
		[ZCP_ENTRY_DOMAIN] = sizeof(struct zcp_domain_entry_shm),
		[ZCP_ENTRY_NODE] = sizeof(struct zcp_node_entry_shm),
		[ZCP_ENTRY_POOL] = sizeof(struct zcp_pool_entry_shm),
		[ZCP_ENTRY_TOPIC] = sizeof(struct zcp_topic_entry_shm),
		[ZCP_ENTRY_ENDPOINT] = sizeof(struct zcp_endpoint_entry_shm),
	};

	return sizes[kind];
}

static size_t stride_of(enum zcp_entry_kind kind)
{
	size_t size = sizeof(struct zcp_directory_entry_shm) +
		      2 * zcpd_directory_contents_size(kind);

	return (size + 63) / 64 * 64;
}

static uint32_t entries_per_block(enum zcp_entry_kind kind)
{
	return (uint32_t)((ZCP_DIRECTORY_BLOCK_SIZE - sizeof(struct zcp_directory_block_shm)) /
			  stride_of(kind));
}

static struct zcp_directory_shm *header_of(const struct zcpd_directory *directory)
{
	return (struct zcp_directory_shm *)(void *)directory->base;
}

static uint32_t n_blocks(const struct zcpd_directory *directory)
{
	return (uint32_t)((directory->size - ZCP_DIRECTORY_HEADER_SIZE) / ZCP_DIRECTORY_BLOCK_SIZE);
}

static struct zcp_directory_block_shm *block_at(const struct zcpd_directory *directory,
						uint32_t block)
{
	return (struct zcp_directory_block_shm *)(void *)(directory->base +
							  ZCP_DIRECTORY_HEADER_SIZE +
							  (size_t)block * ZCP_DIRECTORY_BLOCK_SIZE);
}

static uint32_t kind_of(const struct zcpd_directory *directory, uint32_t block)
{
	/* DIRECTORY-A1 pairs with DIRECTORY-R1 in grow(). */
	return atomic_load_explicit(&block_at(directory, block)->kind, memory_order_acquire);
}

static uint32_t place_of(uint32_t block, uint32_t index)
{
	return (block << INDEX_BITS | index) + 1;
}

static struct zcp_directory_entry_shm *entry_at(const struct zcpd_directory *directory,
						enum zcp_entry_kind kind, uint32_t place)
{
	uint32_t block = (place - 1) >> INDEX_BITS;
	uint32_t index = (place - 1) & ((1U << INDEX_BITS) - 1);

	return (struct zcp_directory_entry_shm *)(void *)((char *)block_at(directory, block) +
							  sizeof(struct zcp_directory_block_shm) +
							  index * stride_of(kind));
}

static char *copy_at(struct zcp_directory_entry_shm *entry, enum zcp_entry_kind kind,
		     uint64_t n_writes)
{
	return (char *)(entry + 1) + (n_writes & 1) * zcpd_directory_contents_size(kind);
}

static int add_free(struct zcpd_places *places, uint32_t place)
{
	uint32_t *all, room;

	if (places->n == places->room) {
		room = places->room ? 2 * places->room : 64;
		all = realloc(places->all, room * sizeof(all[0]));
		if (!all)
			return -ENOMEM;
		places->all = all;
		places->room = room;
	}
	places->all[places->n++] = place;
	return 0;
}

/* The lowest places are taken first: what is used lies together. */
static int find_free(struct zcpd_directory *directory, uint32_t block)
{
	enum zcp_entry_kind kind = (enum zcp_entry_kind)kind_of(directory, block);
	int r = 0;

	for (uint32_t i = entries_per_block(kind); i > 0 && r == 0; i--) {
		struct zcp_directory_entry_shm *entry = entry_at(directory, kind,
								 place_of(block, i - 1));

		if (atomic_load_explicit(&entry->id, memory_order_relaxed) == 0)
			r = add_free(&directory->free[kind], place_of(block, i - 1));
	}
	return r;
}

static void read_boot(char *boot, size_t size)
{
	ZCP_CLEANUP(zcp_close_fd)
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, boot, size - 1) : 0;

	memset(boot + (n > 0 ? n : 0), 0, size - (size_t)(n > 0 ? n : 0));
}

/* The file's blocks, mapped; it may have moved. */
static int map(struct zcpd_directory *directory, uint64_t size)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, directory->fd, 0);

	if (base == MAP_FAILED)
		return zcp_errno();
	if (directory->base)
		(void)munmap(directory->base, directory->size);
	directory->base = base;
	directory->size = size;
	return 0;
}

/* The pages are there before they are touched: a file system that is full must not kill. */
static int grow(struct zcpd_directory *directory, enum zcp_entry_kind kind)
{
	uint32_t block = n_blocks(directory);
	uint64_t size = directory->size + ZCP_DIRECTORY_BLOCK_SIZE;
	int r;

	if (block > 0 && kind_of(directory, block - 1) == ZCP_ENTRY_NONE) {
		block--;
	} else {
		if (block >= BLOCKS_MAX)
			return -ENOSPC;
		r = posix_fallocate(directory->fd, (off_t)directory->size,
				    ZCP_DIRECTORY_BLOCK_SIZE);
		if (r != 0)
			return -r;
		ZCP_CRASHPOINT("directory.after_allocate");
		r = map(directory, size);
		if (r < 0)
			return r;
	}
	memset(block_at(directory, block), 0, ZCP_DIRECTORY_BLOCK_SIZE);
	/* DIRECTORY-R1 pairs with DIRECTORY-A1 in kind_of(): a block that counts has free entries. */
	atomic_store_explicit(&block_at(directory, block)->kind, kind, memory_order_release);
	ZCP_CRASHPOINT("directory.after_block");
	return find_free(directory, block);
}

int zcpd_directory_make(struct zcpd_directory *directory, int fd)
{
	struct zcp_directory_shm *header;
	int r;

	*directory = (struct zcpd_directory){ .fd = fd };
	r = -posix_fallocate(fd, 0, ZCP_DIRECTORY_HEADER_SIZE);
	if (r == 0)
		r = map(directory, ZCP_DIRECTORY_HEADER_SIZE);
	if (r < 0) {
		zcpd_directory_deinit(directory);
		return r;
	}
	header = header_of(directory);
	header->magic = ZCP_DIRECTORY_MAGIC;
	header->version = ZCP_SHM_VERSION;
	header->fingerprint = zcp_layout_fingerprint();
	read_boot(header->boot, sizeof(header->boot));
	/* DIRECTORY-R2 pairs with DIRECTORY-A2 in check(). */
	atomic_store_explicit(&header->state, ZCP_DIRECTORY_READY, memory_order_release);
	return 0;
}

static const char *check(const struct zcpd_directory *directory)
{
	const struct zcp_directory_shm *header = header_of(directory);
	char boot[sizeof(header->boot)];

	/* DIRECTORY-A2 pairs with DIRECTORY-R2 in zcpd_directory_make(). */
	if (atomic_load_explicit(&header->state, memory_order_acquire) != ZCP_DIRECTORY_READY ||
	    header->magic != ZCP_DIRECTORY_MAGIC)
		return "it is no directory of a domain";
	if (header->version != ZCP_SHM_VERSION || header->fingerprint != zcp_layout_fingerprint())
		return "another version of zcp has made it";
	read_boot(boot, sizeof(boot));
	if (memcmp(boot, header->boot, sizeof(boot)) != 0)
		return "it is from before the machine was started";
	for (uint32_t b = 0; b < n_blocks(directory); b++)
		if (kind_of(directory, b) >= ZCP_ENTRY_KINDS ||
		    (kind_of(directory, b) == ZCP_ENTRY_NONE && b + 1 < n_blocks(directory)))
			return "it has a block of no kind that there is";
	return NULL;
}

int zcpd_directory_open(struct zcpd_directory *directory, int fd, const char **why)
{
	struct stat st;
	uint64_t size;
	int r = 0;

	*directory = (struct zcpd_directory){ .fd = fd };
	if (fstat(fd, &st) < 0)
		r = zcp_errno();
	/* Half a block at the end was being added. */
	size = r < 0 || st.st_size < ZCP_DIRECTORY_HEADER_SIZE ?
		       0 :
		       (uint64_t)st.st_size - ((uint64_t)st.st_size - ZCP_DIRECTORY_HEADER_SIZE) %
						      ZCP_DIRECTORY_BLOCK_SIZE;
	*why = r < 0 ? strerror(-r) : "it is too short";
	if (r == 0 && size == 0)
		r = -EPROTO;
	if (r == 0) {
		r = map(directory, size);
		*why = r < 0 ? strerror(-r) : check(directory);
		if (*why)
			r = r < 0 ? r : -EPROTO;
	}
	for (uint32_t b = r < 0 ? 0 : n_blocks(directory); b > 0 && r == 0; b--)
		if (kind_of(directory, b - 1) != ZCP_ENTRY_NONE) {
			r = find_free(directory, b - 1);
			*why = "out of memory";
		}
	if (r < 0)
		zcpd_directory_deinit(directory);
	return r;
}

void zcpd_directory_deinit(struct zcpd_directory *directory)
{
	if (directory->base)
		(void)munmap(directory->base, directory->size);
	for (uint32_t i = 0; i < ZCP_ENTRY_KINDS; i++)
		free(directory->free[i].all);
	zcp_close_fd(&directory->fd);
	*directory = (struct zcpd_directory)ZCPD_DIRECTORY_NULL;
}

int zcpd_directory_reserve(struct zcpd_directory *directory, enum zcp_entry_kind kind)
{
	if (!directory->base || directory->free[kind].n > 0)
		return 0;
	return grow(directory, kind);
}

void zcpd_directory_put(struct zcpd_directory *directory, enum zcp_entry_kind kind, uint32_t *place,
			uint64_t id, const void *contents)
{
	struct zcpd_places *places = &directory->free[kind];
	struct zcp_directory_entry_shm *entry;
	uint64_t n_writes;
	int r;

	if (!directory->base)
		return;
	if (*place == 0) {
		r = zcpd_directory_reserve(directory, kind);
		if (r < 0) {
			zcpd_error("the domain's directory cannot grow: %s: the worker ends",
				   strerror(-r));
			_exit(EXIT_LOST);
		}
		*place = places->all[--places->n];
	}
	entry = entry_at(directory, kind, *place);
	/* Relaxed, like the id: only we write them. */
	n_writes = atomic_load_explicit(&entry->n_writes, memory_order_relaxed) + 1;
	memcpy(copy_at(entry, kind, n_writes), contents, zcpd_directory_contents_size(kind));
	ZCP_CRASHPOINT("directory.after_copy");
	/* DIRECTORY-R3 pairs with DIRECTORY-A3 in zcpd_directory_next(). */
	atomic_store_explicit(&entry->n_writes, n_writes, memory_order_release);
	ZCP_CRASHPOINT("directory.after_write");
	/* DIRECTORY-R4 pairs with DIRECTORY-A4 in zcpd_directory_next(). */
	atomic_store_explicit(&entry->id, id, memory_order_release);
}

void zcpd_directory_drop(struct zcpd_directory *directory, enum zcp_entry_kind kind,
			 uint32_t *place)
{
	if (!directory->base || *place == 0)
		return;
	/* Release: what the entry stood for is gone before it is. */
	atomic_store_explicit(&entry_at(directory, kind, *place)->id, 0, memory_order_release);
	ZCP_CRASHPOINT("directory.after_drop");
	/* One that cannot be remembered is found by the next runtime. */
	ZCP_IGNORE(add_free(&directory->free[kind], *place) < 0);
	*place = 0;
}

/* Whether there is a block of that kind from *block on. */
static bool next_block(const struct zcpd_directory *directory, enum zcp_entry_kind kind,
		       uint32_t *block)
{
	while (*block < n_blocks(directory) && kind_of(directory, *block) != kind)
		(*block)++;
	return *block < n_blocks(directory);
}

bool zcpd_directory_next(const struct zcpd_directory *directory, enum zcp_entry_kind kind,
			 uint32_t *place, uint64_t *id, void *contents)
{
	uint32_t block = *place >> INDEX_BITS;
	uint32_t index = *place & ((1U << INDEX_BITS) - 1);

	if (!directory->base)
		return false;
	for (; next_block(directory, kind, &block); block++, index = 0) {
		for (; index < entries_per_block(kind); index++) {
			struct zcp_directory_entry_shm *entry;
			uint64_t n_writes;

			*place = place_of(block, index);
			entry = entry_at(directory, kind, *place);
			/* DIRECTORY-A4 pairs with DIRECTORY-R4 in zcpd_directory_put(). */
			*id = atomic_load_explicit(&entry->id, memory_order_acquire);
			if (*id == 0)
				continue;
			/* DIRECTORY-A3 pairs with DIRECTORY-R3 there. */
			n_writes = atomic_load_explicit(&entry->n_writes, memory_order_acquire);
			memcpy(contents, copy_at(entry, kind, n_writes),
			       zcpd_directory_contents_size(kind));
			return true;
		}
	}
	return false;
}

int zcpd_directory_move(struct zcpd_directory *directory, int fd)
{
	struct zcpd_directory moved = { .fd = fd };
	int r = -posix_fallocate(fd, 0, (off_t)directory->size);

	if (r == 0)
		r = map(&moved, directory->size);
	if (r < 0) {
		zcpd_directory_deinit(&moved);
		return r;
	}
	memcpy(moved.base, directory->base, directory->size);
	memcpy(moved.free, directory->free, sizeof(moved.free));
	memset(directory->free, 0, sizeof(directory->free));
	zcpd_directory_deinit(directory);
	*directory = moved;
	return 0;
}
