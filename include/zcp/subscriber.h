/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber: takes the messages of a topic, in place, in the order each publisher
 * sent them, or has a function called for each.
 */
#ifndef ZCP_SUBSCRIBER_H
#define ZCP_SUBSCRIBER_H

#include <stddef.h>
#include <stdint.h>

#include <zcp/export.h>
#include <zcp/match.h>
#include <zcp/node.h>
#include <zcp/type.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcp_subscriber;

/* What a publisher does that finds a subscriber's queue full. */
enum zcp_on_full {
	/* the topic's setting, drop-oldest if it has none */
	ZCP_ON_FULL_DEFAULT = 0,
	/* the subscriber loses its oldest message and learns how many it lost */
	ZCP_ON_FULL_DROP_OLDEST = 1,
	/*
	 * the publisher waits: nothing is lost, and a slow subscriber slows it down; refused on a
	 * topic that has allow_block = false
	 */
	ZCP_ON_FULL_BLOCK = 2,
};

/* From which publisher a subscriber takes first. */
enum zcp_order {
	/* the topic's setting, each in turn if it has none */
	ZCP_ORDER_DEFAULT = 0,
	/* each in turn, so that none waits for the others */
	ZCP_ORDER_TURN = 1,
	/*
	 * the one whose next message was published first. Sorts what is there at the time of the
	 * take: a message that was published earlier, but whose publisher is held up in the
	 * middle of publishing it, comes later all the same. Costs a look at every publisher's
	 * next message at each take, and needs timestamps
	 */
	ZCP_ORDER_TIME = 2,
};

struct zcp_subscriber_options {
	/* sizeof(struct zcp_subscriber_options); set by ZCP_SUBSCRIBER_OPTIONS_INIT */
	size_t struct_size;

	/* --- what it is --- */

	/*
	 * what the payload must be; NULL or "": any type. Until this subscriber closes, one of another
	 * type is refused, and so is a publisher; the same for its size, alignment and user header
	 */
	const char *type;
	/* bytes of one such payload, and its alignment; 0: any; ZCP_TYPE() sets all three */
	size_t type_size;
	size_t type_alignment;

	/* --- how much --- */

	/*
	 * messages of each publisher that are kept until they are taken, at most the topic's
	 * max_depth; rounded up to a power of two; 0: the topic's setting, 16 if it has none
	 */
	uint32_t depth;
	/*
	 * samples held (taken and not released) at the same time, of all publishers together, at
	 * most 4096; 0: the topic's setting, 4 if it has none. As many chunks are reserved at each
	 * publisher
	 */
	uint32_t held;
	/* enum zcp_on_full: what becomes of a message for which the queue has no room */
	uint32_t on_full;
	/*
	 * messages of each publisher that were published before, and that the publisher keeps:
	 * they are taken first, the oldest first; at most 1024; 0: none
	 */
	uint32_t history;

	/* --- rarely needed --- */

	/* enum zcp_order */
	uint32_t order;
	uint32_t reserved;
	/* bytes that the topic's user header must have, 4096 at most; 0: any, or none */
	size_t user_header_size;
};

#define ZCP_SUBSCRIBER_OPTIONS_INIT                                                                \
	{                                                                                          \
		sizeof(struct zcp_subscriber_options), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0             \
	}

/* A message that was taken: read-only, unchanged until it is released. */
struct zcp_sample {
	/* the payload; aligned to 64 bytes, or as the topic is; the memory is mapped read-only */
	const void *data;
	/* bytes */
	size_t size;
	/* what the publisher wrote to loan->user_header; NULL and 0 where the topic has none */
	const void *user_header;
	size_t user_header_size;
	/*
	 * the publisher's number of this message: grows by one with each. A publisher that has got
	 * the place of one that is gone goes on with its numbers
	 */
	uint64_t sequence;
	/* CLOCK_MONOTONIC at publish, ns; 0 where the topic has timestamps = false */
	uint64_t publish_time_ns;
	/* the publisher that sent it; see zcp_publisher_id() */
	uint64_t publisher_id;
	/* messages of this publisher that were lost right before this one */
	uint64_t lost;
	/* the library's */
	uint64_t reserved[6];
};

#define ZCP_SAMPLE_INIT                                                                            \
	{                                                                                          \
		NULL, 0, NULL, 0, 0, 0, 0, 0,                                                      \
		{                                                                                  \
			0, 0, 0, 0, 0, 0                                                           \
		}                                                                                  \
	}

/*
 * Called by zcp_node_dispatch() and zcp_node_run() for each message. The sample is given back when
 * the callback returns: what a copy of it points to is overwritten by later messages from then on,
 * unless the callback has called zcp_sample_keep().
 */
typedef void (*zcp_on_sample_fn)(const struct zcp_sample *sample, void *user);

/**
 * Opens a subscriber on a topic; the topic comes into being with its first endpoint. It
 * gets every message whose publish begins after this call has returned, and before those
 * the last options->history messages that each publisher keeps, without a gap or a
 * duplicate between the two.
 *
 * @param subscriber  receives the subscriber; the caller's, until zcp_subscriber_close()
 *                    or its node's end
 * @param node        stays the caller's
 * @param topic       1 to 255 bytes of UTF-8 without control characters and without '*'
 * @param options     NULL for all defaults; not kept
 *
 * Blocks until the runtime answers, at most the node's timeout, and with prefault = true
 * until the memory is mapped. The node's thread.
 *
 * @return 0; the errors of every open, see zcp/errors.h; or
 *   -EINVAL  also: ZCP_ORDER_TIME was asked for on a topic without timestamps
 *   -EACCES  on_full is ZCP_ON_FULL_BLOCK, and the topic's configuration has allow_block = false
 *   -ERANGE  depth is more than the topic's max_depth, held more than 4096, or history more than
 *            1024
 * zcp_node_error(node) has the sentence.
 */
ZCP_API ZCP_MUST_USE int zcp_subscriber_open(struct zcp_subscriber **subscriber,
					     struct zcp_node *node, const char *topic,
					     const struct zcp_subscriber_options *options);

/**
 * Closes a subscriber; what is queued or held is given back. Samples that are still held are
 * invalid from then on: their memory is unmapped, and zcp_sample_release() answers -EINVAL. Blocks
 * until the runtime has taken note, at most the node's timeout. Its place of the topic's
 * max_subscribers is free then; or, where a publisher is stopped in the middle of a publish, when
 * that one goes on or ends. In the subscriber's own callback for samples it is closed when the
 * callback has returned, which is not called again. NULL is allowed.
 *
 * @return NULL
 */
ZCP_API struct zcp_subscriber *zcp_subscriber_close(struct zcp_subscriber *subscriber);

/**
 * Takes the next message: history first, then of each publisher in turn, or by
 * options->order. The messages of one publisher come in the order of their publishing.
 *
 * @param sample  receives the message; give it back with zcp_sample_release()
 *
 * Wait-free over the publishers, does not block. No system call, but one to wake a publisher
 * that waits for room in this queue, and those that map memory which was added to the pool.
 *
 * @return 0, or
 *   -EAGAIN      nothing is there
 *   -EMLINK      as many samples are held as the subscriber declared: release one, or
 *                raise `held`
 *   -EOWNERDEAD  inherited over fork(): open a node in the child
 *   -EBUSY       another thread is inside the node: open a node for each thread
 *   -ESTALE      another runtime has come, under which this handle cannot go on: close it and
 *                open it again
 *   -ENOTCONN, -ETIMEDOUT, -EPROTO, -ENOMEM, -EMFILE: the message lies in memory that was
 *                added to the pool just now and could not be mapped (-EMFILE: this process or
 *                the runtime is out of descriptors); it stays in the queue
 */
ZCP_API ZCP_MUST_USE int zcp_subscriber_take(struct zcp_subscriber *subscriber,
					     struct zcp_sample *sample);

/**
 * Takes like zcp_subscriber_take(), and waits for a message of this subscriber at most
 * `timeout_ns` nanoseconds (0: not at all, ZCP_FOREVER: without a limit). Sleeps as
 * zcp_node_wait() does; messages of the node's other subscribers, and match callbacks that are to
 * be made, do not end it.
 *
 * @return as zcp_subscriber_take(), -EAGAIN where none has come within the time, and -EMLINK at
 *   once, as no message could be taken; or
 *   -EINTR    a signal handler ran, or zcp_node_interrupt() was called
 *   -ENOTSUP  the kernel refuses membarrier since the node was opened: set fences = "symmetric"
 */
ZCP_API ZCP_MUST_USE int zcp_subscriber_take_timed(struct zcp_subscriber *subscriber,
						   struct zcp_sample *sample, int64_t timeout_ns);

/**
 * Takes the newest message there is and gives back at once all that came before it, those of
 * other publishers as well: for a subscriber that wants the present state and nothing else. The
 * newest is the one published last, or, on a topic without timestamps, the one that
 * zcp_subscriber_take() would have come to last. What is passed over counts as taken;
 * sample->lost has only what was lost.
 *
 * Lock-free: again where a publisher pushes out what was found. Does not block; system calls and
 * return values as zcp_subscriber_take().
 */
ZCP_API ZCP_MUST_USE int zcp_subscriber_latest(struct zcp_subscriber *subscriber,
					       struct zcp_sample *sample);

/**
 * Keeps the sample of a callback beyond its end: it is the caller's from now on, as if
 * zcp_subscriber_take() had given it. The callback copies *sample, and any copy of it can be given
 * back, once, with zcp_sample_release(). It counts as held until then, and a subscriber that holds
 * all it may hold is not called back: declare one more in options->held than are kept.
 *
 *   kept = *sample;
 *   zcp_sample_keep(&kept);
 *
 * For a sample that is the caller's already it does nothing. Wait-free; the node's thread.
 *
 * @return 0; -EINVAL: it is not held, as in zcp_sample_release(); -EOWNERDEAD
 */
ZCP_API ZCP_MUST_USE int zcp_sample_keep(const struct zcp_sample *sample);

/**
 * Gives a sample back and clears *sample. In any order; from any thread of the process, but not
 * while another one closes the subscriber. Wait-free.
 *
 * @return 0; -EINVAL: not a sample that is held: never taken, given back before (as the
 *   sample of a callback is when that returns, unless it is kept), or its subscriber is closed;
 *   *sample stays as it is; -EOWNERDEAD
 */
ZCP_API int zcp_sample_release(struct zcp_sample *sample);

/**
 * The name of the node that published a sample, while that is held: in a callback for samples,
 * or before zcp_sample_release(). It is there as long as no other publisher has got the place
 * that its publisher had in the topic, also when that has gone.
 *
 * @param name  receives the name with its terminating zero; ZCP_NODE_NAME_MAX + 1 bytes hold
 *              every name; control characters come as '?'
 * @param size  bytes of `name`
 *
 * Wait-free, no system call; any thread of the process, but not while another one closes the
 * subscriber.
 *
 * @return 0; -ENOENT: its publisher has gone and another has its place; -ENAMETOOLONG: `size`
 *   is too small; -EINVAL: it is not held, as in zcp_sample_release(); -EOWNERDEAD
 */
ZCP_API ZCP_MUST_USE int zcp_sample_publisher_name(const struct zcp_sample *sample, char *name,
						   size_t size);

/**
 * Has `on_sample` called by zcp_node_dispatch() for each message; NULL ends that. A
 * sample that must outlive its callback is kept with zcp_sample_keep().
 */
ZCP_API void zcp_subscriber_on_sample(struct zcp_subscriber *subscriber, zcp_on_sample_fn on_sample,
				      void *user);

/** How many publishers the topic has now. Wait-free; 0 for a handle inherited over fork(). */
ZCP_API unsigned int zcp_subscriber_n_publishers(const struct zcp_subscriber *subscriber);

/**
 * Waits until the topic has at least `n` publishers.
 *
 * @param timeout_ns  nanoseconds; 0 only looks, ZCP_FOREVER waits without a limit
 *
 * @return 0, -ETIMEDOUT, -EINTR (a signal handler ran), -EOWNERDEAD, -ESTALE
 */
ZCP_API ZCP_MUST_USE int zcp_subscriber_wait_publishers(struct zcp_subscriber *subscriber,
							unsigned int n, int64_t timeout_ns);

/**
 * Has `on_match` called by zcp_node_dispatch() for every publisher that the topic has now, on
 * the next dispatch, and for each that joins or leaves later; NULL ends that. Set anew, it
 * begins anew. The first samples of a publisher may come before the callback that says it has
 * joined, and those that it left in the queue come after the one that says it has left. A
 * publisher that was there only between two dispatches may be left out.
 *
 * It is the runtime that tells: while there is none, no callback comes. Does not block.
 *
 * @return 0, -ENOMEM, -EOWNERDEAD, -ESTALE, -EBUSY (another thread is inside the node)
 */
ZCP_API ZCP_MUST_USE int zcp_subscriber_on_match(struct zcp_subscriber *subscriber,
						 zcp_on_match_fn on_match, void *user);

/** Messages taken, and messages lost since the subscriber was opened. Wait-free. */
ZCP_API void zcp_subscriber_counts(const struct zcp_subscriber *subscriber, uint64_t *taken,
				   uint64_t *lost);

#ifdef __cplusplus
}
#endif

#endif
