/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that did not fit a client's socket yet, with their descriptors.
 */
#ifndef ZCPD_SERVE_OUTBOX_H
#define ZCPD_SERVE_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/wire/message.h"

struct zcpd_outbox {
	STAILQ_HEAD(, zcpd_packet) packets;
	uint32_t n_packets;
};

void zcpd_outbox_init(struct zcpd_outbox *outbox);
void zcpd_outbox_deinit(struct zcpd_outbox *outbox);

bool zcpd_outbox_is_empty(const struct zcpd_outbox *outbox);

/*
 * Behind the others; the descriptors are borrowed. Returns 0; -ENOBUFS where as many wait as may;
 * or -ENOMEM, also where a descriptor cannot be duplicated.
 */
__attribute__((warn_unused_result)) int zcpd_outbox_add(struct zcpd_outbox *outbox,
							const struct zcp_message *message,
							const int *fds, uint32_t n_fds);

/*
 * Sends as much as the socket takes, and shuts a socket down that takes nothing any more. Returns
 * whether all of it is gone.
 */
bool zcpd_outbox_flush(struct zcpd_outbox *outbox, int socket);

#endif
