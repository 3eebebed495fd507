/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node from within, and what publishers and subscribers use of it.
 */
#ifndef ZCP_CLIENT_NODE_H
#define ZCP_CLIENT_NODE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <zcp/node.h>

#include "pubsub/client/connection/process.h"
#include "pubsub/shm/signal.h"
#include "pubsub/wire/message.h"

/* How to wake another node that polls on its eventfd. */
struct zcp_waker {
	uint64_t node;
	int fd;
};

enum zcp_node_role {
	ZCP_NODE_TAKES_PART = 0,
	ZCP_NODE_OBSERVES, /* a command's: its subscribers settle nothing for others */
	ZCP_NODE_LOOKS,    /* it only asks, and as root may ask the runtime of any user */
};

struct zcp_node {
	/* who opened it: zcp_process_is() */
	uint64_t process;
	/* which thread is inside, and how often again; and who talks to the runtime: see inside.h */
	_Atomic uintptr_t inside;
	_Atomic uintptr_t last_inside;
	uint32_t n_inside;
	pthread_mutex_t talk;
	/* -1 while there is no runtime */
	int socket;
	/* how it finds one; the strings are its own */
	struct zcp_node_options options;
	/* what it is in its domain, and the region that says so */
	uint64_t id;
	uint32_t signal_index;
	int signals_fd;
	/* when it last looked whether the runtime is there; looks that are left out meanwhile */
	uint64_t attended_ns;
	uint64_t attend_again_ns;
	uint32_t n_unattended;
	/* publishes that all subscribers' queues were too full for */
	uint32_t n_unread;
	/* connections that it has made */
	uint32_t n_attached;
	/* it is looking for a runtime: what fails meanwhile does not begin that once more */
	bool is_attaching;
	enum zcp_node_role role;
	/* one or more endpoints have become stale, and nobody was told yet */
	bool is_stale_unsaid;
	/* of the last request */
	uint64_t request_id;
	/* the last one that has opened an endpoint: its answer may come twice */
	uint64_t opened_by;
	uint64_t timeout_ns;
	/* looked for messages before each sleep */
	uint64_t spin_ns;
	/* 0, or when a call that makes several requests has waited long enough */
	uint64_t deadline_ns;
	uint64_t domain_id;
	bool symmetric;
	struct zcp_signals signals;
	/* another one when the domain has become another one: zcp_node_interrupt() may be under way */
	struct zcp_signal_shm *_Atomic signal;
	/* those of domains before, mapped until the end for that reason */
	struct zcp_signals *former_signals;
	uint32_t n_former_signals;
	/*
	 * once somebody asked for them, else -1: our eventfd; what is given out, an epoll instance
	 * that watches it, the end of the connection, and the timer that runs without one
	 */
	int event_fd;
	int poll_fd;
	int timer_fd;
	/* for each signal the eventfd of the node that has it, as far as known; or NULL */
	struct zcp_waker *wakers;
	/* a thread sleeps on the second word of our signal: see shm/beside.h */
	_Atomic uint32_t beside_taken;
	/* set by zcp_node_interrupt(), taken by the wait */
	_Atomic uint32_t interrupted;
	LIST_HEAD(, zcp_publisher) publishers;
	LIST_HEAD(, zcp_subscriber) subscribers;
	/* a dispatch runs; a callback has closed the node, which is done when the dispatch ends */
	bool is_dispatching;
	bool is_closing;
	/* the subscriber that it calls back for, and the one that it looks at next */
	struct zcp_subscriber *dispatch_now;
	struct zcp_subscriber *dispatch_next;
	/* the match callbacks; and the one that is dispatched, and the next */
	LIST_HEAD(, zcp_watch) watches;
	struct zcp_watch *watch_now;
	struct zcp_watch *watch_next;
	char name[ZCP_NAME_SIZE];
	char domain[ZCP_NAME_SIZE];
	/* what the runtime goes by; "": it does not say */
	char config[ZCP_TEXT_SIZE];
	char error[2 * ZCP_TEXT_SIZE];
};

/* As zcp_node_open(). */
__attribute__((warn_unused_result)) int zcp_node_open_as(struct zcp_node **node,
							 const struct zcp_node_options *options,
							 enum zcp_node_role role);

/* An eventfd has come from the runtime (consumed): it is that of node `id` at `signal`. */
void zcp_node_add_waker(struct zcp_node *node, uint32_t signal, uint64_t id, int fd);

/* Writes to the eventfd of the node at `signal`; asks the runtime for it the first time. */
void zcp_node_wake_fd(uint32_t signal, void *node);

void zcp_node_free_wakers(struct zcp_node *node);

/* Ends our own sleep, in a wait or in somebody's poll. Any thread; async-signal-safe. */
void zcp_node_wake_self(struct zcp_node *node);

/*
 * Keeps the sentence for zcp_node_error(), and returns `code`. Where another thread is inside it is
 * kept for this thread alone.
 */
__attribute__((format(printf, 3, 4))) int zcp_node_fail(struct zcp_node *node, int code,
							const char *format, ...);

/*
 * Copies an option struct of the caller's version over ours, which holds the defaults.
 * Returns 0, -EINVAL (no size), -E2BIG (a field we do not know is set).
 */
__attribute__((warn_unused_result)) int zcp_options_copy(void *ours, size_t our_size,
							 const void *theirs);

/* Whether `name` is a topic's name; with a sentence in the node if it is not. */
__attribute__((warn_unused_result)) int zcp_node_check_topic(struct zcp_node *node,
							     const char *name);

/* Copies a type's name; with a sentence in the node if it is too long. */
__attribute__((warn_unused_result)) int zcp_node_copy_type(struct zcp_node *node, char *to,
							   const char *type);

#endif
