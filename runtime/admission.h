/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a pool has enough chunks for what its endpoints may use at once. Within these
 * sums no subscriber can starve a publisher.
 */
#ifndef ZCPD_ADMISSION_H
#define ZCPD_ADMISSION_H

#include <stddef.h>

#include "runtime/registry.h"

/* The sum for one size class and the larger ones, into which its messages may spill. */
struct zcpd_admission_sum {
	uint64_t n_chunks;
	/* of these, what the pool's endpoints may use at once */
	uint64_t n_reserved;
	/* somebody has payloads of that size or larger: else nobody is refused for it */
	bool is_bound;
};

/* Fills in one for each class of the pool; with `more` among its endpoints, or NULL. */
void zcpd_admission_sums(const struct zcpd_registry *registry, const struct zcpd_pool *pool,
			 const struct zcpd_endpoint *more, struct zcpd_admission_sum *sums);

/* What is left for further endpoints. */
static inline uint64_t zcpd_admission_left(const struct zcpd_admission_sum *sum)
{
	return sum->n_chunks > sum->n_reserved ? sum->n_chunks - sum->n_reserved : 0;
}

/* What all endpoints of a pool may use at once, whichever class. */
uint64_t zcpd_admission_reserved(const struct zcpd_registry *registry,
				 const struct zcpd_pool *pool);

/*
 * Whether `more` fits beside all endpoints of its pool. Returns 0, or -ENOSPC with the sum in
 * `text`.
 */
__attribute__((warn_unused_result)) int zcpd_admission_check(const struct zcpd_registry *registry,
							     const struct zcpd_endpoint *more,
							     char *text, size_t text_size);

/* Bytes for people: "8 MiB", "921600 bytes". */
void zcpd_format_size(uint64_t bytes, char *text, size_t text_size);

#endif
