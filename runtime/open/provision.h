/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pool a topic has, and that it holds what a publisher declares.
 */
#ifndef ZCPD_OPEN_PROVISION_H
#define ZCPD_OPEN_PROVISION_H

#include "runtime/domain/registry.h"

/*
 * The pool of a topic that is about to begin: one of its own, still without a size class, or
 * the named one of its configuration. Returns 0; -ENOMEM, also where the memory that the
 * pool is to have beforehand is not there; -EPERM where it may not be locked; -EMFILE,
 * -ENFILE; with a sentence in `text`.
 */
__attribute__((warn_unused_result)) int zcpd_provision_pool(struct zcpd_registry *registry,
							    const char *topic_name,
							    const struct zcpd_topic_config *config,
							    struct zcpd_pool **pool, char *text,
							    size_t text_size);

/*
 * Settles the largest payload of a publisher (what it asks for, else its type's size, else what
 * the topic has), and sees to a size class that holds it. Returns 0; -EMSGSIZE: more than the
 * topic may have; -EDQUOT: more than its user may; -EINVAL: no size is known; or what making regions gives; with a sentence in
 * `text`.
 */
__attribute__((warn_unused_result)) int
zcpd_provision_payload(struct zcpd_registry *registry, struct zcpd_endpoint *publisher,
		       const struct zcp_open_publisher *request, char *text, size_t text_size);

/* The sentence for regions that could not be made; returns `r`. */
int zcpd_provision_failed(int r, const char *what, const char *name, char *text, size_t text_size);

/* The same where -EPERM says that the runtime may not lock the `to_lock` bytes it has to. */
int zcpd_provision_not_taken(int r, const char *what, const char *name, uint64_t to_lock,
			     char *text, size_t text_size);

#endif
