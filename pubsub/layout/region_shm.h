/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of every region. A region is one memfd, sealed against shrinking and
 * growing; the runtime constructs it once and everybody else attaches.
 *
 *   0    magic          8   "zcpregn1", little-endian
 *   8    version        4   ZCP_SHM_VERSION of the creator
 *   12   kind           4   enum zcp_region_kind
 *   16   fingerprint    8   zcp_layout_fingerprint() of the creator
 *   24   size           8   bytes of the whole region
 *   32   domain_id      8   which domain it belongs to
 *   40   region_id      8   which region of its kind it is
 *   48   state          4   0 under construction, then ZCP_REGION_READY, stored last
 *   52   memory         4   ZCP_MEMORY_*: where its pages come from, and when
 *   56   reserved       8
 *
 * A creator that dies leaves state 0 in a region that nobody has been given. Nothing here
 * changes afterwards.
 */
#ifndef ZCP_REGION_SHM_H
#define ZCP_REGION_SHM_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define ZCP_REGION_MAGIC UINT64_C(0x316e67657270637a)
/* Grows with every change of any *_shm.h. */
#define ZCP_SHM_VERSION 9

enum zcp_region_kind {
	ZCP_REGION_SIGNALS = 1,
	ZCP_REGION_TOPIC = 2,
	ZCP_REGION_CHUNKS = 3, /* descriptors of one size class */
	ZCP_REGION_DATA = 4,   /* its chunks */
	ZCP_REGION_BACKLOG = 5,
	ZCP_REGION_ACKS = 6,
};

#define ZCP_REGION_READY 1

/* Flags of `memory`. Without any, a page is taken when it is touched for the first time. */
#define ZCP_MEMORY_PREFAULT UINT32_C(0x1)    /* all are taken, and whoever attaches maps all */
#define ZCP_MEMORY_LOCK UINT32_C(0x2)        /* whoever attaches locks it into memory */
#define ZCP_MEMORY_HUGE UINT32_C(0x4)        /* of the kernel's pool of huge pages; all taken */
#define ZCP_MEMORY_TRANSPARENT UINT32_C(0x8) /* whoever attaches asks for huge pages */
#define ZCP_MEMORY_FLAGS UINT32_C(0xf)

struct zcp_region_shm {
	/* written by: the creator, before state; read by: everyone, once, at attach */
	uint64_t magic;
	uint32_t version;
	uint32_t kind;
	uint64_t fingerprint;
	uint64_t size;
	uint64_t domain_id;
	uint64_t region_id;
	_Atomic uint32_t state;
	uint32_t memory;
	uint32_t reserved[2];
};

static_assert(sizeof(struct zcp_region_shm) == 64, "one cache line");
static_assert(offsetof(struct zcp_region_shm, magic) == 0, "layout");
static_assert(offsetof(struct zcp_region_shm, version) == 8, "layout");
static_assert(offsetof(struct zcp_region_shm, kind) == 12, "layout");
static_assert(offsetof(struct zcp_region_shm, fingerprint) == 16, "layout");
static_assert(offsetof(struct zcp_region_shm, size) == 24, "layout");
static_assert(offsetof(struct zcp_region_shm, domain_id) == 32, "layout");
static_assert(offsetof(struct zcp_region_shm, region_id) == 40, "layout");
static_assert(offsetof(struct zcp_region_shm, state) == 48, "layout");
static_assert(offsetof(struct zcp_region_shm, memory) == 52, "layout");

#endif
