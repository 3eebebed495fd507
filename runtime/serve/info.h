/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime tells about its topics.
 */
#ifndef ZCPD_SERVE_INFO_H
#define ZCPD_SERVE_INFO_H

#include "runtime/domain/registry.h"

/* Each fills in a whole answer, to be deinit'ed; -ENOENT, -ENOMEM with a sentence. */
__attribute__((warn_unused_result)) int zcpd_info_list(const struct zcpd_registry *registry,
						       const struct zcp_list *request,
						       struct zcp_message *reply, char *text,
						       size_t text_size);
__attribute__((warn_unused_result)) int zcpd_info_topic(const struct zcpd_registry *registry,
							const struct zcp_info *request,
							struct zcp_message *reply, char *text,
							size_t text_size);
__attribute__((warn_unused_result)) int zcpd_info_endpoints(const struct zcpd_registry *registry,
							    const struct zcp_endpoints *request,
							    struct zcp_message *reply, char *text,
							    size_t text_size);

#endif
