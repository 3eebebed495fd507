/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node asks, and the answers.
 */
#ifndef ZCPD_SERVE_REQUEST_H
#define ZCPD_SERVE_REQUEST_H

#include "runtime/serve/session.h"

/* Acts on one message of a session; takes out of `fds` what it keeps. */
void zcpd_request_handle(struct zcpd_session *session, const struct zcp_message *message,
			 struct zcp_fds *fds);

/* Sends the answer to the request that has opened an endpoint, once more where need be. */
void zcpd_request_answer(struct zcpd_endpoint *endpoint);

#endif
