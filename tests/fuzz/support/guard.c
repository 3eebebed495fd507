/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guard pages, poison, and accesses as they happen.
 */
#include "tests/fuzz/support/guard.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "pubsub/shm/crashpoint.h"
#include "tests/support/check.h"

#define MAPPINGS_MAX 1024
#define PAGE ((size_t)4096)

struct mapping {
	char *base;
	size_t size;
	/* with its guards */
	char *outer;
	size_t outer_size;
	bool poisoned;
};

static struct mapping mappings[MAPPINGS_MAX];
static uint32_t n_mappings;

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t size);

/* What a mapping has to begin at: huge pages at their own size. */
static size_t alignment_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (size_t)st.st_blksize > PAGE ? (size_t)st.st_blksize : PAGE;
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	struct mapping m = { .size = size };
	size_t unit = alignment_of(fd);
	void *at;

	if (address || fd < 0 || size == 0 || size > SIZE_MAX / 2)
		return __real_mmap(address, size, protection, flags, fd, offset);
	ZCP_CHECK(n_mappings < MAPPINGS_MAX);
	m.outer_size = (size + unit - 1) / unit * unit + 3 * unit;
	m.outer = __real_mmap(NULL, m.outer_size, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m.outer == MAP_FAILED)
		return MAP_FAILED;
	m.base = m.outer + unit + (unit - (uintptr_t)m.outer % unit) % unit;
	at = __real_mmap(m.base, size, protection, flags | MAP_FIXED, fd, offset);
	if (at == MAP_FAILED) {
		int saved = errno;

		ZCP_CHECK(__real_munmap(m.outer, m.outer_size) == 0);
		errno = saved;
		return MAP_FAILED;
	}
	mappings[n_mappings++] = m;
	return at;
}

int __wrap_munmap(void *address, size_t size)
{
	for (uint32_t i = n_mappings; i-- > 0;) {
		struct mapping m = mappings[i];

		if (m.base != address)
			continue;
		ZCP_CHECK(m.size == size);
		if (m.poisoned)
			ASAN_UNPOISON_MEMORY_REGION(m.base, m.size);
		mappings[i] = mappings[--n_mappings];
		return __real_munmap(m.outer, m.outer_size);
	}
	return __real_munmap(address, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

void zcp_fuzz_unmap_all(void)
{
	while (n_mappings > 0)
		ZCP_CHECK(munmap(mappings[n_mappings - 1].base, mappings[n_mappings - 1].size) ==
			  0);
}

ZCP_FUZZ_UNSEEN static struct mapping *find(const void *at, uint64_t size)
{
	uintptr_t from = (uintptr_t)at;

	for (uint32_t i = 0; i < n_mappings; i++) {
		uintptr_t base = (uintptr_t)mappings[i].base;

		if (from >= base && from - base <= mappings[i].size &&
		    size <= mappings[i].size - (from - base))
			return &mappings[i];
	}
	return NULL;
}

bool zcp_fuzz_is_mapped(const void *at, uint64_t size)
{
	return find(at, size) != NULL;
}

void zcp_fuzz_read(const void *at, uint64_t size)
{
	const char *bytes = at;

	for (uint64_t i = 0; i < size && i < 256; i++)
		/* What is read is used, as far as the compiler knows. */
		__asm__ __volatile__("" : : "r"(bytes[i]), "r"(bytes[size - 1 - i]));
}

void zcp_fuzz_poison(const void *from, const void *to)
{
	size_t size = (size_t)((const char *)to - (const char *)from);
	struct mapping *m = find(from, size);

	ZCP_CHECK(m);
	m->poisoned = true;
	ASAN_POISON_MEMORY_REGION(from, size);
}

static struct moment {
	uint64_t at;
	void (*act)(void *user);
	void *user;
} moments[ZCP_FUZZ_MOMENTS];
static uint32_t n_moments;
static uint64_t n_accesses;

void zcp_fuzz_at_access(uint32_t after, void (*act)(void *user), void *user)
{
	if (n_moments < ZCP_FUZZ_MOMENTS)
		moments[n_moments++] = (struct moment){ n_accesses + after, act, user };
}

void zcp_fuzz_forget_accesses(void (*act)(void *user))
{
	for (uint32_t i = n_moments; i-- > 0;)
		if (!act || moments[i].act == act)
			moments[i] = moments[--n_moments];
}

static void (*watch)(const void *at, uint64_t size);

void zcp_fuzz_watch_stores(void (*look)(const void *at, uint64_t size))
{
	watch = look;
}

ZCP_FUZZ_UNSEEN static void pass(void)
{
	void (*watched)(const void *at, uint64_t size) = watch;
	uint64_t now = n_accesses++;

	for (uint32_t i = 0; i < n_moments;) {
		struct moment moment = moments[i];

		if (moment.at != now) {
			i++;
			continue;
		}
		/* First, for `act` need not come back, and has accesses of its own. */
		moments[i] = moments[--n_moments];
		watch = NULL;
		moment.act(moment.user);
		watch = watched;
		i = 0;
	}
}

ZCP_FUZZ_UNSEEN static void on_access(const void *at, uint64_t size)
{
	if (n_moments > 0 && find(at, size))
		pass();
}

ZCP_FUZZ_UNSEEN static void on_store(const void *at, uint64_t size)
{
	void (*look)(const void *at, uint64_t size) = watch;

	if (look && find(at, size)) {
		watch = NULL;
		look(at, size);
		watch = look;
	}
	on_access(at, size);
}

/* The linker's and the compiler's names. NOLINTBEGIN(bugprone-reserved-identifier) */
void __wrap_zcp_crashpoint_pass(struct zcp_crashpoint *point);
ZCP_FUZZ_UNSEEN void __wrap_zcp_crashpoint_pass(struct zcp_crashpoint *point)
{
	(void)point;
	if (n_moments > 0)
		pass();
}

#define ON_ACCESS(name, type, seen)                                                                \
	void name(const type *at);                                                                 \
	ZCP_FUZZ_UNSEEN void name(const type *at)                                                  \
	{                                                                                          \
		seen(at, sizeof(*at));                                                             \
	}

struct sixteen {
	uint64_t words[2];
};

ON_ACCESS(__sanitizer_cov_load1, uint8_t, on_access)
ON_ACCESS(__sanitizer_cov_load2, uint16_t, on_access)
ON_ACCESS(__sanitizer_cov_load4, uint32_t, on_access)
ON_ACCESS(__sanitizer_cov_load8, uint64_t, on_access)
ON_ACCESS(__sanitizer_cov_load16, struct sixteen, on_access)
ON_ACCESS(__sanitizer_cov_store1, uint8_t, on_store)
ON_ACCESS(__sanitizer_cov_store2, uint16_t, on_store)
ON_ACCESS(__sanitizer_cov_store4, uint32_t, on_store)
ON_ACCESS(__sanitizer_cov_store8, uint64_t, on_store)
ON_ACCESS(__sanitizer_cov_store16, struct sixteen, on_store)
/* NOLINTEND(bugprone-reserved-identifier) */
