/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node: one thread's connection to a domain, with one socket to the domain's runtime (zcpd)
 * and one signal through which it is woken; publishers and subscribers hang off it.
 * Threads that work at the same time open a node each: see the rules in zcp/zcp.h.
 */
#ifndef ZCP_NODE_H
#define ZCP_NODE_H

#include <stddef.h>
#include <stdint.h>

#include <zcp/errors.h>
#include <zcp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As a timeout: wait without a limit. */
#define ZCP_FOREVER INT64_C(-1)

/* For timeouts and options, in nanoseconds: 3 * ZCP_SECOND, 20 * ZCP_MS. */
#define ZCP_SECOND INT64_C(1000000000)
#define ZCP_MS INT64_C(1000000)

/* Longest names in bytes, without the terminating zero. */
#define ZCP_NODE_NAME_MAX 63
#define ZCP_DOMAIN_NAME_MAX 63
#define ZCP_TOPIC_NAME_MAX 255
#define ZCP_TYPE_NAME_MAX 127

struct zcp_node;

/* Whether zcp_node_open() starts a runtime where none answers. */
enum zcp_auto_start {
	/* yes, unless the environment says ZCP_AUTO_START=0 */
	ZCP_AUTO_START_DEFAULT = 0,
	ZCP_AUTO_START_ON = 1,
	ZCP_AUTO_START_OFF = 2,
};

struct zcp_node_options {
	/* sizeof(struct zcp_node_options); set by ZCP_NODE_OPTIONS_INIT */
	size_t struct_size;
	/*
	 * shown by `zcp info` and in messages; NULL: the program's name, as much of it as fits, with
	 * control characters as '?'
	 */
	const char *name;
	/* which runtime; NULL: $ZCP_DOMAIN, else "default"; letters, digits, '.', '_', '-' */
	const char *domain;
	/*
	 * directory that holds one directory per domain; NULL: $ZCP_RUNTIME_DIR, else
	 * $XDG_RUNTIME_DIR/zcp, else /run/zcp for root, else /tmp/zcp-<uid>. A relative one is taken
	 * from where the process is in zcp_node_open()
	 */
	const char *runtime_dir;
	/*
	 * the runtime's program, should it be started; NULL: $ZCP_ZCPD, else zcpd beside
	 * this program, else where zcp was installed, else $PATH
	 */
	const char *zcpd;
	/* the longest that a call may wait for the runtime's answer; 0: 5 s */
	uint64_t timeout_ns;
	/* enum zcp_auto_start */
	uint32_t auto_start;
	uint32_t reserved;
	/*
	 * how long zcp_node_wait() and zcp_node_dispatch() look for messages before they sleep,
	 * with the processor busy; 0: not at all. A sleep costs microseconds each time
	 */
	uint64_t spin_ns;
	/*
	 * how long zcp_node_open() waits for a runtime where none answers and none is to be
	 * started; 0: not at all. A node that is open waits timeout_ns for one
	 */
	uint64_t wait_ns;
};

#define ZCP_NODE_OPTIONS_INIT                                                                      \
	{                                                                                          \
		sizeof(struct zcp_node_options), NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0             \
	}

/**
 * Opens a node: connects to the domain's runtime, and starts one where there is none.
 *
 * @param node     receives the node; the caller's, until zcp_node_close()
 * @param options  NULL for all defaults; not kept
 *
 * Blocks, at most options->timeout_ns. Any thread.
 *
 * @return 0, or
 *   -EINVAL        a name is malformed, or a reserved field is not 0
 *   -E2BIG         the options have a field this library does not know
 *   -ENAMETOOLONG  a name, or the socket's path (107 bytes), is too long
 *   -ECONNREFUSED  no runtime answers and none was to be started: start zcpd
 *   -ENOENT        the runtime's program was not found: install it, or set ZCP_ZCPD
 *   -EPERM         the domain's directory is not ours alone, or the runtime directory belongs to
 *                  neither us nor root: make it so, or choose another; or the runtime is another
 *                  user's: choose a directory that others cannot write to; or this process has
 *                  called mlockall(MCL_FUTURE) and may not lock as much memory: raise
 *                  RLIMIT_MEMLOCK, or give it CAP_IPC_LOCK
 *   -EACCES        the runtime directory or the runtime does not let this user in
 *   -EPROTO        another protocol version or memory layout: bring both to one version
 *   -ENOTSUP       the kernel or a sandbox refuses membarrier and the runtime counts on
 *                  it: set fences = "symmetric" in its configuration; or the runtime does not
 *                  see this process's pid namespace, and runs on a Linux before 6.5: run both
 *                  in one pid namespace
 *   -EUSERS        the runtime has max_nodes nodes, or this user max_connections_per_user
 *                  connections: close some, or raise the limit that the sentence names
 *   -ETIMEDOUT     no answer within the timeout
 *   -ENOTCONN      the runtime hung up each time within the timeout: see its log
 *   -EMFILE        this process or the runtime is out of descriptors: raise the RLIMIT_NOFILE
 *                  that the sentence names
 *   -ENFILE -ENOMEM -EIO and what connect(2), mmap(2) and posix_spawn(3) give
 * The sentence that goes with it: zcp_node_error(NULL) in the same thread.
 */
ZCP_API ZCP_MUST_USE int zcp_node_open(struct zcp_node **node,
				       const struct zcp_node_options *options);

/**
 * Closes a node with all its publishers and subscribers; their handles, loans and samples
 * are invalid then. Blocks until the runtime has taken note, at most the node's timeout.
 * In a callback of the node the call only says that no further callback is made; the node is
 * closed, without another call, when zcp_node_dispatch() ends.
 * NULL is allowed, and so is a node inherited over fork(): the parent's is not touched.
 *
 * @return NULL
 */
ZCP_API struct zcp_node *zcp_node_close(struct zcp_node *node);

/**
 * The whole sentence about the last call on this node, or on one of its publishers and
 * subscribers, that failed: what, on what, and what to do about it. With NULL: about the
 * last zcp_node_open() of this thread that failed. "" if there was none. Errors of the data
 * path that are part of a normal day (-EAGAIN, -ETIMEDOUT, -EINTR) leave no sentence.
 *
 * @return text that is valid until the next call on the node (NULL: of zcp_node_open() in
 *         this thread)
 */
ZCP_API const char *zcp_node_error(const struct zcp_node *node);

/**
 * Waits until a subscriber of this node has something to take, or zcp_node_dispatch() has a
 * match callback to make (see zcp/match.h), whatever subscribers there are.
 *
 * @param timeout_ns  nanoseconds; 0 only looks, ZCP_FOREVER waits without a limit
 *
 * The thread sleeps on a futex; the first sleep of a subscriber costs one membarrier(2). With a
 * limit, a node that only publishes may wait here as well, for zcp_node_interrupt().
 *
 * @return 0: take from your subscribers and, where there is a match callback, call
 *   zcp_node_dispatch(node, 0); -ETIMEDOUT; -EINTR: a signal handler ran or
 *   zcp_node_interrupt() was called; -EINVAL: the node has no subscriber and no match callback,
 *   and the timeout is ZCP_FOREVER; -EBUSY: another thread is inside the node; -EOWNERDEAD: the
 *   handle was inherited over fork();
 *   -ESTALE: once, when another runtime has come and something of this node cannot go on under
 *   it; the sentence says what: close that and open it again;
 *   -ENOTSUP: the kernel refuses membarrier since the node was opened: set fences = "symmetric"
 */
ZCP_API ZCP_MUST_USE int zcp_node_wait(struct zcp_node *node, int64_t timeout_ns);

/**
 * Waits like zcp_node_wait(), then calls back: first for peers that have joined or left, then
 * for what there is to take (at most one queue's length for each subscriber, so that a fast
 * publisher cannot keep the call for ever). Samples are released after their callback has
 * returned, unless zcp_sample_keep() was called. Subscribers without a callback are passed over.
 *
 * A callback may call every function of the node and of its endpoints but zcp_node_dispatch(). What
 * it opens is dispatched by the next call. It may close any endpoint and the node: other endpoints
 * than its own at once; its own subscriber when the callback has returned, so that its sample stays
 * until then; its node when zcp_node_dispatch() ends, which returns 0 and must not be called again.
 *
 * A subscriber that holds all it may hold is passed over until something is released.
 *
 * @return 0: at least one callback ran; -EBUSY: the call was made in a callback of this node, or
 *   another thread is inside it; else as zcp_node_wait(), -EINVAL where the node
 *   has no callback and the timeout is ZCP_FOREVER; or, where a message lies in memory that
 *   cannot be mapped, as zcp_subscriber_take()
 */
ZCP_API ZCP_MUST_USE int zcp_node_dispatch(struct zcp_node *node, int64_t timeout_ns);

/**
 * Dispatches until zcp_node_interrupt() is called: the main loop of a program that lives in its
 * callbacks. Signal handlers run meanwhile, and end it only if they call zcp_node_interrupt(). A
 * node without a callback may stay here as well, to keep what it published for those that
 * subscribe later.
 *
 * Callbacks may do what zcp_node_dispatch() lets them do. One that closes the node ends the call.
 *
 * @return 0: interrupted, or a callback has closed the node, which must not be used again then;
 *   else as zcp_node_dispatch(), but neither -ETIMEDOUT nor -EINTR nor -EINVAL. It may be called
 *   again after an error: after -ESTALE, when what the sentence names was opened again
 */
ZCP_API ZCP_MUST_USE int zcp_node_run(struct zcp_node *node);

/**
 * Makes the current zcp_node_wait(), zcp_node_dispatch() or zcp_subscriber_take_timed() of this
 * node return -EINTR, and zcp_node_run() 0; or if there is none, the next one. Any thread, and
 * async-signal-safe: the way out of the loop for a signal handler. Does not block.
 */
ZCP_API void zcp_node_interrupt(struct zcp_node *node);

/**
 * A descriptor for your own poll(2), epoll(7) or event loop: readable while something can be
 * taken, or a match callback is to be made. Only ever poll it; do not read from it. select(2)
 * cannot take one that is FD_SETSIZE (1024) or above, and FD_SET() with such a one writes out
 * of bounds: a program with that many descriptors uses poll(2) or epoll(7), or calls this
 * before it opens the others.
 *
 * When it is readable, call zcp_node_dispatch(node, 0), or take until -EAGAIN from all
 * subscribers and then call zcp_node_wait(node, 0). Either call makes the descriptor ready
 * for what comes next, or leaves it readable if something is there again. Before the first
 * poll one of the two is called as well. With zcp_node_dispatch() subscribers without a
 * callback do not make it readable. zcp_node_interrupt() makes it readable until the next
 * such call. See zcp/uv.h for libuv.
 *
 * It is readable as well when the runtime has gone, and then ten times a second until there is
 * one again: the same two calls look for it. The first call blocks until the runtime answers, at
 * most the node's timeout; it takes three descriptors.
 *
 * @return the descriptor (an epoll(7) instance, the node's: it ends with it), or -ENOTCONN,
 *   -ETIMEDOUT, -EMFILE, -ENFILE, -ENOMEM, -EOWNERDEAD, -EBUSY (another thread is inside the node);
 *   zcp_node_error(node) has the sentence
 */
ZCP_API ZCP_MUST_USE int zcp_node_fd(struct zcp_node *node);

/** The node's name; valid as long as the node. */
ZCP_API const char *zcp_node_name(const struct zcp_node *node);

#ifdef __cplusplus
}
#endif

#endif
