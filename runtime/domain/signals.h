/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's signals, as far as only the registry itself uses them; the rest is in registry.h.
 */
#ifndef ZCPD_DOMAIN_SIGNALS_H
#define ZCPD_DOMAIN_SIGNALS_H

#include "runtime/domain/registry.h"

/* No node has one of the n yet. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
zcpd_registry_make_signal_tables(struct zcpd_registry *registry, uint32_t n);
void zcpd_registry_free_signals(struct zcpd_registry *registry);

/* Publishers to this subscriber learn how to wake it before they have to. */
void zcpd_registry_tell_publishers(struct zcpd_registry *registry,
				   const struct zcpd_endpoint *subscriber);

#endif
