/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a pool has enough chunks for what its endpoints may use at once. Within these
 * sums no subscriber can starve a publisher.
 */
#ifndef ZCPD_ADMISSION_H
#define ZCPD_ADMISSION_H

#include <stddef.h>

#include "runtime/registry.h"

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
