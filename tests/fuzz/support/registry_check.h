/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the registry agrees with itself, whatever was asked of it and in whatever order.
 */
#ifndef ZCP_FUZZ_REGISTRY_CHECK_H
#define ZCP_FUZZ_REGISTRY_CHECK_H

#include "runtime/domain/registry.h"

/* `honest`: nobody has written into shared memory who should not. */
void zcp_fuzz_registry_check(const struct zcpd_registry *registry, bool honest);

/* How many endpoints have this session, and how many bits are set in so many words. */
uint32_t zcp_fuzz_n_endpoints(const struct zcpd_registry *registry,
			      const struct zcpd_session *session);
uint32_t zcp_fuzz_n_bits(const uint64_t *words, uint32_t n_words);

#endif
