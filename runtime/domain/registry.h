/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a domain has: signals, topics, pools and endpoints; which node may open what, and
 * what becomes of it at the end.
 *
 * A subscriber joins and leaves in two steps with a grace period between them, which may
 * have to wait for a publisher that is in the middle of a publish; zcpd_registry_poll()
 * goes on with those.
 */
#ifndef ZCPD_DOMAIN_REGISTRY_H
#define ZCPD_DOMAIN_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pubsub/shm/signal.h"
#include "runtime/domain/directory.h"
#include "runtime/domain/topic.h"

/* What the registry tells the server, which answers the requests. */
struct zcpd_registry_events {
	/* An endpoint is there, and its session's, before anything else is told of it. */
	void (*opened)(struct zcpd_endpoint *endpoint, void *user);
	/* A subscriber has joined: its request can be answered. */
	void (*joined)(struct zcpd_endpoint *subscriber, void *user);
	/* A subscriber that was joining cannot be given its history: refuse its request. */
	void (*refused)(struct zcpd_endpoint *subscriber, int error, void *user);
	/* A subscriber's leave is held up: its request can be answered, and its place follows. */
	void (*held_up)(struct zcpd_endpoint *subscriber, void *user);
	/* An endpoint is gone; it is freed after the call. */
	void (*closed)(struct zcpd_endpoint *endpoint, void *user);
	/* `publisher` may have to wake the node of `subscriber` through its eventfd. */
	void (*wakes)(struct zcpd_endpoint *publisher, const struct zcpd_endpoint *subscriber,
		      void *user);
	/* A pool has more size classes, from `first` on; once for each of its endpoints. */
	void (*grown)(struct zcpd_endpoint *endpoint, uint32_t first, void *user);
	/* The process of a node of a runtime before us that lives and has not come back; 0: none. */
	uint32_t (*missing)(void *user);
	/* Chunks of the pool became FREE: their memory may be given back after a while. */
	void (*freed)(struct zcpd_pool *pool, void *user);
	/* A node of a runtime before us has handed back all that it has. */
	void (*returned)(void *user);
	void *user;
};

/* The node that opens an endpoint, and with which request. */
struct zcpd_client {
	const char *node;
	uint64_t node_id;
	uint64_t process_start;
	uint32_t pid;
	uint32_t uid;
	uint32_t signal;
	struct zcpd_session *session;
	uint64_t request_id;
};

struct zcpd_journal;

struct zcpd_registry {
	const struct zcpd_config *config;
	struct zcpd_registry_events events;
	uint64_t domain_id;
	bool symmetric;
	struct zcp_signals signals;
	int signals_fd;
	/* a runtime in another pid namespace had the domain before us */
	bool has_foreign_pids;
	uint64_t *signals_used;
	uint32_t n_nodes;
	/* for each signal its node's eventfd, or -1 */
	int *signal_fds;
	uint64_t last_id;
	/* up to where ids have been put down as given */
	uint64_t reserved_id;
	/* where everything is put down before it happens, and where it is there; NULL: nowhere */
	struct zcpd_directory *directory;
	uint32_t place;
	/* and its descriptors */
	struct zcpd_journal *journal;
	/* which domain that was, as far as it has left word; 0: unknown */
	uint64_t former_domain_id;
	/* nodes of a runtime before us are expected: no node opens anything before they are here */
	bool waits;
	uint32_t n_topics;
	LIST_HEAD(zcpd_topics, zcpd_topic) topics; /* sorted by name */
	LIST_HEAD(zcpd_pools, zcpd_pool) pools;    /* named ones */
	TAILQ_HEAD(zcpd_pending, zcpd_endpoint) pending;
};

/* `config` is borrowed. Returns 0, or -ENOMEM, -EMFILE, -ENFILE, what getrandom(2) gives. */
__attribute__((warn_unused_result)) int
zcpd_registry_init(struct zcpd_registry *registry, const struct zcpd_config *config, bool symmetric,
		   const struct zcpd_registry_events *events);

/* The same from a record and the signal region (consumed). Or what attaching gives. */
__attribute__((warn_unused_result)) int
zcpd_registry_restore(struct zcpd_registry *registry, const struct zcpd_config *config,
		      const struct zcp_domain_entry_shm *entry, int signals_fd,
		      const struct zcpd_registry_events *events);

/*
 * Before a node has a signal: goes on with the domain of a runtime before us, whose signal region
 * (borrowed) a node has handed back, and wakes all nodes that sleep in it. Returns 0, or with *why
 * -EPROTO and what mapping it gives: all is as it was.
 */
__attribute__((warn_unused_result)) int zcpd_registry_adopt(struct zcpd_registry *registry,
							    uint64_t domain_id, bool symmetric,
							    int signals_fd, const char **why);

/* Wakes all nodes that sleep in the domain: they look for the runtime. */
void zcpd_registry_wake_all(struct zcpd_registry *registry);

/* Puts down whose a signal is, for a runtime that comes after us. */
void zcpd_registry_name_signal(struct zcpd_registry *registry, uint32_t signal, uint64_t node,
			       uint32_t pid, uint64_t process_start);

/* The region says from now on that its pids are of our namespace; other ones are forgotten. */
void zcpd_registry_own_pids(struct zcpd_registry *registry);

/* Whether the node that has had `signal` is certain to have ended, whatever its pid: see life.h. */
bool zcpd_registry_is_over(const struct zcpd_registry *registry, uint32_t signal);

/*
 * The process of a node that a runtime before us had, which is not here and not dead either; 0
 * where there is none.
 */
#define ZCPD_REGISTRY_PID_UNKNOWN UINT32_MAX /* none has come back, or it has no pid here */
uint32_t zcpd_registry_missing(const struct zcpd_registry *registry);

/* Unmaps all and tells no node: what is open goes on without the runtime. */
void zcpd_registry_deinit(struct zcpd_registry *registry);

/*
 * The node that has `signal` is to be woken through `fd` (consumed) as well; its publishers
 * are told.
 */
void zcpd_registry_set_signal_fd(struct zcpd_registry *registry, uint32_t signal, int fd);

/* A node's signal; -EUSERS where there are max_nodes. */
__attribute__((warn_unused_result)) int zcpd_registry_take_signal(struct zcpd_registry *registry);
void zcpd_registry_give_signal(struct zcpd_registry *registry, uint32_t signal);

/* Publishers see the subscriber from here on; see zcpd_registry_poll(). */
void zcpd_registry_begin_join(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber);

/*
 * Ends an endpoint whose owner asked for it, or is dead. events.closed() is called, perhaps
 * before this returns.
 */
void zcpd_registry_close(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint,
			 uint64_t request_id);

/* The connection is gone, the process is not: nothing new is sent to it. */
void zcpd_registry_deactivate(struct zcpd_registry *registry, struct zcpd_endpoint *endpoint);

/* Goes on with joins and leaves. Returns whether any still waits. Does not block. */
bool zcpd_registry_poll(struct zcpd_registry *registry);

/* --- for what a worker before us has left --- */

/* A node has this signal, and its eventfd (consumed; -1: it has none). */
void zcpd_registry_keep_signal(struct zcpd_registry *registry, uint32_t signal, int fd);

/* Whether a node has it. */
bool zcpd_registry_has_signal(const struct zcpd_registry *registry, uint32_t signal);

/* Chunks of the pool became FREE. */
void zcpd_registry_freed(struct zcpd_registry *registry, struct zcpd_pool *pool);

/* A topic that was made outside. */
void zcpd_registry_insert_topic(struct zcpd_registry *registry, struct zcpd_topic *topic);

/* Ends the topic if nothing keeps it, and its pool if that has no other. */
void zcpd_registry_drop_if_unused(struct zcpd_registry *registry, struct zcpd_topic *topic);

/* Frees a pool that has no topic, unless it is to stay for the next one. */
void zcpd_registry_drop_pool_if_unused(struct zcpd_registry *registry, struct zcpd_pool *pool);

/* Goes on with a subscriber that is JOINING or LEAVING. */
void zcpd_registry_resume(struct zcpd_registry *registry, struct zcpd_endpoint *subscriber);

struct zcpd_topic *zcpd_registry_topic(const struct zcpd_registry *registry, const char *name);

#endif
