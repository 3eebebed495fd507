/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a pool has enough chunks for what its publishers may own at once. Within these sums a
 * loan never fails, and no subscriber can starve a publisher.
 */
#ifndef ZCPD_OPEN_ADMISSION_H
#define ZCPD_OPEN_ADMISSION_H

#include <stddef.h>

#include "runtime/domain/registry.h"

/* The sum for one size class. */
struct zcpd_admission_sum {
	uint64_t n_chunks;
	/* of these, what the pool's publishers may own at once */
	uint64_t n_reserved;
};

/*
 * Fills in one for each class of the pool; with `more` among its endpoints, or NULL. Returns 0 or
 * -ENOMEM.
 */
__attribute__((warn_unused_result)) int zcpd_admission_sums(const struct zcpd_registry *registry,
							    const struct zcpd_pool *pool,
							    const struct zcpd_endpoint *more,
							    struct zcpd_admission_sum *sums);

/* What is left for further endpoints. */
static inline uint64_t zcpd_admission_left(const struct zcpd_admission_sum *sum)
{
	return sum->n_chunks > sum->n_reserved ? sum->n_chunks - sum->n_reserved : 0;
}

/* What all publishers of a pool may own at once, whichever class. */
uint64_t zcpd_admission_reserved(const struct zcpd_registry *registry,
				 const struct zcpd_pool *pool);

/*
 * Whether `more` fits beside all endpoints of its pool; where it does not, what publishers that are
 * gone have left is swept first. Returns 0; -ENOSPC with the sum in `text`; -ENOMEM with a sentence.
 */
__attribute__((warn_unused_result)) int zcpd_admission_check(struct zcpd_registry *registry,
							     const struct zcpd_endpoint *more,
							     char *text, size_t text_size);

/* Bytes for people: "8 MiB", "921600 bytes". */
void zcpd_format_size(uint64_t bytes, char *text, size_t text_size);

#endif
