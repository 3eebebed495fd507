/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher that keeps to a rate and a number of messages, and stops when asked to.
 */
#ifndef ZCP_CLI_SENDER_H
#define ZCP_CLI_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zcp/node.h>
#include <zcp/publisher.h>

struct cli_sender {
	struct zcp_node *node;
	/* another one when the one before was lost with its runtime */
	struct zcp_publisher *publisher;
	const char *topic;
	/* what it is opened with (borrowed) */
	const struct zcp_publisher_options *options;
	/* messages a second; 0: as fast as they come */
	double rate;
	/* seconds that a message may wait for subscribers that block; 0: as long as it takes */
	double timeout;
	/* messages to publish; 0: all there are */
	uint64_t count;
	uint64_t n_published;
	/* when to see whether anybody subscribes; 0: not at all, or that has been done */
	uint64_t look_ns;
	/* when the pace was last begun, and how many were sent in it; 0: not begun */
	uint64_t pace_start_ns;
	uint64_t n_paced;
};

/* Opens the publisher. Returns 0; a negative errno that has been complained about. */
__attribute__((warn_unused_result)) int cli_sender_open(struct cli_sender *sender);

/*
 * For what waits for something else than the node: its descriptor says when to call this, which
 * finds another runtime where all of the one before was killed.
 */
void cli_sender_attend(struct cli_sender *sender);

/*
 * Waits in the node for `timeout_ns`. Returns 0; -EINTR: the user wants an end; another negative
 * errno that has been complained about.
 */
__attribute__((warn_unused_result)) int cli_sender_stay(struct cli_sender *sender,
							int64_t timeout_ns);

/* Whether as many have been published as were to be, or the user wants an end. */
bool cli_sender_is_done(const struct cli_sender *sender);

/*
 * Loans a chunk. Returns 0; a negative errno that has been complained about.
 *
 * This one and those below open the publisher anew where it was lost with its runtime, and say so.
 */
__attribute__((warn_unused_result)) int cli_sender_loan(struct cli_sender *sender, size_t size,
							struct zcp_loan *loan);

/*
 * Waits until there are `n` subscribers, at most for its timeout. Returns 0, -ETIMEDOUT, -EINTR:
 * the user wants an end; or as zcp_publisher_wait_subscribers(). Says
 * once that nobody subscribes; else nothing is complained about.
 */
__attribute__((warn_unused_result)) int cli_sender_wait_subscribers(struct cli_sender *sender,
								    unsigned int n);

/*
 * Waits for its time, and for subscribers that block, and publishes. Returns 0; -EINTR: the
 * user wants an end; another negative errno that has been complained about, -EAGAIN where
 * one of them took nothing for too long. On failure the loan stays the caller's.
 */
__attribute__((warn_unused_result)) int cli_sender_publish(struct cli_sender *sender,
							   struct zcp_loan *loan);

#endif
