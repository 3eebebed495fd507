/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A publisher: loans chunks of a topic's pool, and publishes what was written into them.
 */
#ifndef ZCP_PUBLISHER_H
#define ZCP_PUBLISHER_H

#include <stddef.h>
#include <stdint.h>

#include <zcp/export.h>
#include <zcp/match.h>
#include <zcp/node.h>
#include <zcp/type.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcp_publisher;

struct zcp_publisher_options {
	/* sizeof(struct zcp_publisher_options); set by ZCP_PUBLISHER_OPTIONS_INIT */
	size_t struct_size;

	/* --- what it is --- */

	/* what the payload is, for example "sensor/Image"; NULL or "": matches any type */
	const char *type;
	/* bytes of one such payload, and its alignment; 0: not said; ZCP_TYPE() sets all three */
	size_t type_size;
	size_t type_alignment;
	/* largest payload in bytes; 0: type_size, else what the topic's configuration or pool says */
	size_t max_payload;

	/* --- how much --- */

	/* chunks on loan at the same time, at most 1024; 0: the topic's setting, 2 if it has none */
	uint32_t loans;
	/*
	 * messages kept for subscribers that come later and ask for them, at most 1024; 0: the
	 * topic's setting, none if it has none. They stay as long as the publisher; where the
	 * topic has keep_history, until the runtime ends or another publisher gets this one's
	 * place and keeps fewer
	 */
	uint32_t history;

	/* --- rarely needed --- */

	/*
	 * at what addresses payloads begin, bytes: a power of two, 4096 at most; 0: 64, or the
	 * type's alignment if that is larger. The topic's first publisher or the configuration
	 * settles it; others may need less, and not more
	 */
	size_t alignment;
	/*
	 * bytes that stand before every message, for loan->user_header, 4096 at most; 0: what the
	 * topic's configuration says, none if it says nothing. One size for all of a topic
	 */
	size_t user_header_size;
};

#define ZCP_PUBLISHER_OPTIONS_INIT                                                                 \
	{                                                                                          \
		sizeof(struct zcp_publisher_options), NULL, 0, 0, 0, 0, 0, 0, 0                    \
	}

/*
 * A chunk that is being written. Filled in by zcp_publisher_loan(); `data` is the
 * caller's to write until the loan is published or discarded.
 */
struct zcp_loan {
	/*
	 * the payload: write here; aligned to 64 bytes, or as the topic is; what was there before
	 * is there still
	 */
	void *data;
	/* bytes to publish: what was asked for; may be set lower, or up to `capacity` */
	size_t size;
	/* bytes that fit */
	size_t capacity;
	/*
	 * the topic's user header: written here as the payload is, and published with it; aligned
	 * to 64 bytes; NULL and 0 where the topic has none
	 */
	void *user_header;
	size_t user_header_size;
	/* the library's */
	uint64_t reserved[5];
};

#define ZCP_LOAN_INIT                                                                              \
	{                                                                                          \
		NULL, 0, 0, NULL, 0,                                                               \
		{                                                                                  \
			0, 0, 0, 0, 0                                                              \
		}                                                                                  \
	}

/**
 * Opens a publisher on a topic; the topic comes into being with its first endpoint.
 *
 * @param publisher  receives the publisher; the caller's, until zcp_publisher_close() or
 *                   its node's end
 * @param node       stays the caller's
 * @param topic      1 to 255 bytes of UTF-8 without control characters and without '*'
 * @param options    NULL for all defaults, where the configuration or another endpoint says how
 *                   large payloads are; the first publisher of any other topic has to say it
 *                   (max_payload or type_size). Not kept
 *
 * Blocks until the runtime answers, at most the node's timeout, and with prefault = true
 * until the memory is mapped. The node's thread.
 *
 * @return 0; the errors of every open, see zcp/errors.h; or
 *   -EINVAL    also: no payload size is known from the options, the configuration or another
 *              endpoint
 *   -EMSGSIZE  max_payload is more than the topic's pool holds
 *   -EDQUOT    also: chunks for max_payload could take this user above max_memory_per_user: raise
 *              it, or lower max_payload
 *   -EUSERS    also: the pool has publishers in 65534 places of its topics: use another pool
 * zcp_node_error(node) has the sentence.
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_open(struct zcp_publisher **publisher, struct zcp_node *node,
					    const char *topic,
					    const struct zcp_publisher_options *options);

/**
 * Closes a publisher; its loans are discarded, and what it published stays with the
 * subscribers that have it. Blocks until the runtime has taken note, at most the node's
 * timeout. NULL is allowed.
 *
 * @return NULL
 */
ZCP_API struct zcp_publisher *zcp_publisher_close(struct zcp_publisher *publisher);

/**
 * Loans a chunk to write a message of `size` bytes into. Every chunk of a publisher is of one
 * size, the smallest of its pool that holds max_payload.
 *
 * @param size  bytes; 0 is allowed
 * @param loan  receives the chunk; publish it or discard it
 *
 * Mostly a chunk that this publisher had before and that no subscriber has any more; wait-free
 * then. Else it looks for a free one in the pool: lock-free, as it looks again while others free
 * chunks. No system call, but one where the runtime has asked to be told of the next free chunk
 * (see zcp/zcp.h).
 *
 * @return 0, or
 *   -EMSGSIZE    larger than this publisher's max_payload: raise it
 *   -EMLINK      as many loans are out as the publisher declared: publish or discard one,
 *                or raise `loans`
 *   -ENOBUFS     no chunk of this publisher's size is free. The runtime lets in no endpoint with
 *                which that could happen, so a process of the pool has written into its memory
 *                what it must not; `zcp info` shows what the chunks are used for
 *   -EOWNERDEAD  inherited over fork(): open a node in the child
 *   -ESTALE      another runtime has come, under which this handle cannot go on: close it and
 *                open it again
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_loan(struct zcp_publisher *publisher, size_t size,
					    struct zcp_loan *loan);

/**
 * Publishes a loan to all subscribers of the topic and clears *loan; the payload must not
 * be touched any more. A subscriber whose queue is full loses its oldest message, or, if it
 * asked for ZCP_ON_FULL_BLOCK, makes this call wait until it has taken one or is gone.
 *
 * @param loan  from zcp_publisher_loan() of this publisher; `size` says how many bytes
 *
 * Wait-free over the number of subscribers as long as none of them blocks; a system call
 * only for those that sleep, and twenty times a second at the most where no subscriber takes.
 * After all of the runtime was killed, such a call hands the node's regions back to the next one:
 * that takes some 0.1 ms for each of its endpoints, and 0.1 s once a second where a runtime has
 * come and does not answer. Where one blocks, a signal that came right before the wait does
 * not end it, nor does zcp_node_interrupt(): a program that must be able to end meanwhile uses
 * zcp_publisher_publish_timed() in a loop.
 *
 * @return 0, or
 *   -EINVAL      not a loan of this publisher, or already published
 *   -EMSGSIZE    loan->size is more than loan->capacity; the loan stays the caller's
 *   -EINTR       a signal handler ran while it waited; the loan stays the caller's
 *   -EDEADLK     it would have to wait for a subscriber of its own node, from which no thread
 *                can take meanwhile: take from that one; the loan stays the caller's
 *   -EOWNERDEAD  inherited over fork()
 *   -ESTALE      as zcp_publisher_loan()
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_publish(struct zcp_publisher *publisher,
					       struct zcp_loan *loan);

/**
 * Publishes like zcp_publisher_publish(), and waits for room at most `timeout_ns`
 * nanoseconds (0: not at all). All subscribers get the message or none does.
 *
 * @return as zcp_publisher_publish(), or
 *   -EAGAIN  a blocking subscriber's queue stayed full, also one of its own node; the loan
 *            stays the caller's: try again, or discard it
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_publish_timed(struct zcp_publisher *publisher,
						     struct zcp_loan *loan, int64_t timeout_ns);

/**
 * Gives a loan back unpublished and clears *loan. Wait-free; system calls as
 * zcp_publisher_loan().
 *
 * @return 0, -EINVAL (not a loan of this publisher), -EOWNERDEAD, -ESTALE
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_discard(struct zcp_publisher *publisher,
					       struct zcp_loan *loan);

/**
 * Copies `size` bytes into a loan and publishes it, for small messages and for payloads
 * that cannot be written in place. A user header is all zeros.
 *
 * @return 0, or the errors of zcp_publisher_loan(); -EINTR and -EDEADLK as
 *   zcp_publisher_publish()
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_send(struct zcp_publisher *publisher, const void *data,
					    size_t size);

/** How many subscribers the topic has now. Wait-free; 0 for a handle inherited over fork(). */
ZCP_API unsigned int zcp_publisher_n_subscribers(const struct zcp_publisher *publisher);

/**
 * Waits until the topic has at least `n` subscribers. zcp_node_interrupt() does not end it, nor
 * does a signal that came right before: a program that must be able to end meanwhile gives a
 * limit.
 *
 * @param timeout_ns  nanoseconds; 0 only looks, ZCP_FOREVER waits without a limit
 *
 * @return 0, -ETIMEDOUT, -EINTR (a signal handler ran), -EOWNERDEAD, -ESTALE
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_wait_subscribers(struct zcp_publisher *publisher,
							unsigned int n, int64_t timeout_ns);

/**
 * Has `on_match` called by zcp_node_dispatch() for every subscriber that the topic has now, on
 * the next dispatch, and for each that joins or leaves later; NULL ends that. Set anew, it
 * begins anew. What is published after the callback for a subscriber that has joined is sent
 * to it, or counted as lost by it. A subscriber that was there only between two dispatches
 * may be left out.
 *
 * It is the runtime that tells: while there is none, no callback comes. Does not block.
 *
 * @return 0, -ENOMEM, -EOWNERDEAD, -ESTALE, -EBUSY (another thread is inside the node)
 */
ZCP_API ZCP_MUST_USE int zcp_publisher_on_match(struct zcp_publisher *publisher,
						zcp_on_match_fn on_match, void *user);

/**
 * The publisher's id, unique in the domain as long as its runtime runs; a sample's
 * `publisher_id` says whose it is.
 */
ZCP_API uint64_t zcp_publisher_id(const struct zcp_publisher *publisher);

/** The largest payload in bytes that zcp_publisher_loan() accepts. */
ZCP_API size_t zcp_publisher_max_payload(const struct zcp_publisher *publisher);

#ifdef __cplusplus
}
#endif

#endif
