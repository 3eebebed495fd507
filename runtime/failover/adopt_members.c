/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the slots of a topic that is handed back to its endpoints, and to their nodes, whether or
 * not these have come back.
 */
#include <errno.h>
#include <string.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/members.h"
#include "pubsub/util.h"
#include "runtime/domain/former.h"
#include "runtime/failover/adoption.h"
#include "runtime/failover/record.h"
#include "runtime/failover/restore.h"
#include "runtime/repair/reclaim.h"
#include "runtime/system/process.h"

/* No publisher can have more of them: see settle.c. */
#define LOANS_MAX 1024

/* A descriptor of the process of an endpoint that has not come back; -ESRCH: it has ended. */
static int open_process(const struct zcpd_adoption *adoption, const struct zcpd_endpoint *endpoint,
			uint32_t *uid)
{
	const struct zcpd_registry *registry = adoption->registry;

	if (endpoint->entry.pid != 0)
		return zcpd_process_open(endpoint->entry.pid, endpoint->entry.process_start, uid);
	if (endpoint->entry.signal < registry->signals.n_signals &&
	    zcpd_registry_is_over(registry, endpoint->entry.signal))
		return -ESRCH;
	*uid = adoption->uid;
	return zcpd_process_unknown();
}

static bool is_of(const struct zcpd_endpoint *endpoint, const struct zcpd_session *session)
{
	return session->entry.greeted && session->entry.signal == endpoint->entry.signal &&
	       (endpoint->entry.pid == 0 ||
		(session->entry.pid == endpoint->entry.pid &&
		 session->entry.process_start == endpoint->entry.process_start));
}

/*
 * The session of an endpoint that a slot names: its node's, which may have come back, or is known
 * by another endpoint; or one without a connection. *session is NULL where the process is gone, or
 * runs another program. A process that has no pid here is not gone for that.
 */
static int find_owner(struct zcpd_adoption *adoption, const struct zcpd_endpoint *endpoint,
		      struct zcpd_session **sessionp)
{
	struct zcp_node_entry_shm entry = {
		.id = endpoint->entry.node_id,
		.pid = endpoint->entry.pid,
		.signal = endpoint->entry.signal,
		.process_start = endpoint->entry.process_start,
		.greeted = true,
		.returning = true,
	};
	struct zcpd_session *session = zcpd_adoption_session(adoption->server,
							     endpoint->entry.node_id);
	int pidfd, r;

	*sessionp = NULL;
	if (session) {
		if (is_of(endpoint, session))
			*sessionp = session;
		return *sessionp ?
			       0 :
			       zcpd_adoption_stale(adoption,
						   "a slot of its region names another process");
	}
	pidfd = open_process(adoption, endpoint, &entry.uid);
	if (pidfd == -ESRCH)
		return 0;
	if (pidfd < 0)
		return zcpd_adoption_stale(adoption, strerror(-pidfd));
	/* It lives, and runs another program by now. */
	if (!zcpd_process_may_map(endpoint->entry.pid, adoption->registry->signals_fd)) {
		zcp_close_fd(&pidfd);
		return 0;
	}
	if (!zcpd_former_is_node(adoption->registry, endpoint->entry.node_id) ||
	    endpoint->entry.signal >= adoption->registry->signals.n_signals ||
	    zcpd_registry_has_signal(adoption->registry, endpoint->entry.signal)) {
		zcp_close_fd(&pidfd);
		return zcpd_adoption_stale(
			adoption, "the signal of one of its nodes has been given to another");
	}
	(void)strcpy(entry.node, endpoint->entry.node);
	r = zcpd_server_add_session(adoption->server, &entry, pidfd, -1, &session);
	if (r < 0)
		return zcpd_adoption_stale(adoption, strerror(-r));
	zcpd_registry_keep_signal(adoption->registry, endpoint->entry.signal, -1);
	zcpd_record_session(session);
	*sessionp = session;
	return 0;
}

static uint32_t at_most(_Atomic uint32_t *word, uint32_t most)
{
	uint32_t n = atomic_load_explicit(word, memory_order_relaxed);

	return n < most ? n : most;
}

/* Reads which endpoint is in a slot. Returns false where none is. */
static bool read_member(const struct zcpd_topic *topic, struct zcpd_endpoint *endpoint,
			uint32_t state)
{
	struct zcp_member member;

	if (!zcp_member_read(&topic->view,
			     endpoint->entry.is_publisher ? ZCP_MEMBER_PUBLISHER :
							    ZCP_MEMBER_SUBSCRIBER,
			     endpoint->entry.slot, &member))
		return false;
	endpoint->entry.id = member.id;
	endpoint->entry.pid = member.pid;
	memcpy(endpoint->entry.node, member.node, sizeof(endpoint->entry.node));
	switch (state) {
	case ZCP_MEMBER_NONE:
		return false;
	case ZCP_MEMBER_OPEN:
		endpoint->entry.state = ZCPD_ENDPOINT_OPEN;
		return true;
	case ZCP_MEMBER_INACTIVE:
		endpoint->entry.state = ZCPD_ENDPOINT_INACTIVE;
		return true;
	default:
		/* One that was joining has no answer and asks again. */
		endpoint->entry.state = endpoint->entry.is_publisher ? ZCPD_ENDPOINT_INACTIVE :
								       ZCPD_ENDPOINT_LEAVING;
		return true;
	}
}

/* Returns whether it was closed while there was no runtime to be told. */
static bool read_publisher(const struct zcpd_topic *topic, struct zcpd_endpoint *publisher)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->entry.slot];

	publisher->entry.node_id = atomic_load_explicit(&slot->session, memory_order_relaxed);
	publisher->entry.process_start = atomic_load_explicit(&slot->process_start,
							      memory_order_relaxed);
	publisher->entry.signal = atomic_load_explicit(&slot->signal, memory_order_relaxed);
	publisher->entry.owner = topic->entry.owners[publisher->entry.slot];
	publisher->entry.loans = at_most(&slot->loans, LOANS_MAX);
	publisher->entry.history = at_most(&slot->history, ZCP_TOPIC_HISTORY_MAX);
	publisher->entry.alignment = atomic_load_explicit(&slot->alignment, memory_order_relaxed);
	publisher->entry.user_header_size = topic->entry.user_header_size;
	publisher->entry.max_payload = atomic_load_explicit(&slot->max_payload,
							    memory_order_relaxed);
	publisher->entry.first_seq = atomic_load_explicit(&slot->next_seq, memory_order_relaxed);
	return atomic_load_explicit(&slot->abandoned, memory_order_relaxed) != 0;
}

static bool read_subscriber(const struct zcpd_topic *topic, struct zcpd_endpoint *subscriber)
{
	struct zcp_subscriber_slot_shm *slot = &topic->view.subscribers[subscriber->entry.slot];

	subscriber->entry.node_id = atomic_load_explicit(&slot->session, memory_order_relaxed);
	subscriber->entry.process_start = atomic_load_explicit(&slot->process_start,
							       memory_order_relaxed);
	subscriber->entry.signal = atomic_load_explicit(&slot->signal, memory_order_relaxed);
	subscriber->entry.depth_log2 = at_most(&slot->depth_log2,
					       topic->view.geometry.max_depth_log2);
	subscriber->entry.on_full = atomic_load_explicit(&slot->on_full, memory_order_relaxed);
	subscriber->entry.held = at_most(&slot->held, ZCP_HELD_MAX);
	subscriber->entry.history = at_most(&slot->history, ZCP_TOPIC_HISTORY_MAX);
	subscriber->entry.order = atomic_load_explicit(&slot->order, memory_order_relaxed);
	return atomic_load_explicit(
		       &zcp_acks_counts(&topic->acks, subscriber->entry.slot)->abandoned,
		       memory_order_relaxed) != 0;
}

static void enter(struct zcpd_adoption *adoption, struct zcpd_endpoint *endpoint)
{
	struct zcpd_topic *topic = adoption->topic;

	if (endpoint->entry.is_publisher) {
		topic->publishers[endpoint->entry.slot] = endpoint;
		topic->n_publishers++;
	} else {
		topic->subscribers[endpoint->entry.slot] = endpoint;
		topic->n_subscribers++;
	}
	if (endpoint->session)
		LIST_INSERT_HEAD(&endpoint->session->endpoints, endpoint, link);
	zcpd_record_endpoint(adoption->registry, endpoint);
	ZCP_CRASHPOINT("adopt.after_endpoint");
}

static bool has_own_place(const struct zcpd_adoption *adoption, struct zcpd_endpoint *endpoint)
{
	const struct zcpd_pool *pool = adoption->topic->pool;
	int class;

	if (!zcpd_former_is_id(adoption->registry, endpoint->entry.id) ||
	    zcpd_former_has_endpoint(adoption->registry, endpoint->entry.id) ||
	    !zcpd_former_is_node(adoption->registry, endpoint->entry.node_id))
		return false;
	if (!endpoint->entry.is_publisher)
		return endpoint->entry.held > 0;
	class = zcpd_pool_class_for(pool, endpoint->entry.max_payload);
	endpoint->entry.class_index = class < 0 ? 0 : (uint32_t) class;
	return class >= 0 && endpoint->entry.owner != 0;
}

/* Returns whether there is one more endpoint. */
static bool adopt_slot(struct zcpd_adoption *adoption, bool is_publisher, uint32_t slot)
{
	ZCP_CLEANUP(zcp_free_memory) struct zcpd_endpoint *endpoint = NULL;
	struct zcpd_topic *topic = adoption->topic;
	bool is_abandoned;
	uint32_t state;

	/* By a worker before us. */
	if (is_publisher ? topic->publishers[slot] != NULL : topic->subscribers[slot] != NULL)
		return false;
	state = atomic_load_explicit(is_publisher ? &topic->view.publishers[slot].state :
						    &topic->view.subscribers[slot].state,
				     memory_order_relaxed);
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint)
		return false;
	endpoint->entry.is_publisher = is_publisher;
	endpoint->entry.slot = slot;
	endpoint->topic = topic;
	if (!read_member(topic, endpoint, state))
		return false;
	is_abandoned = is_publisher ? read_publisher(topic, endpoint) :
				      read_subscriber(topic, endpoint);
	if (!has_own_place(adoption, endpoint) ||
	    (!is_abandoned && find_owner(adoption, endpoint, &endpoint->session) < 0)) {
		/* No publisher sends to it any more; its node is told when it comes. */
		if (!is_publisher)
			zcpd_subscriber_leave(topic, endpoint, &adoption->registry->signals,
					      adoption->registry->signal_fds);
		return false;
	}
	if (endpoint->session) {
		endpoint->entry.uid = endpoint->session->entry.uid;
		zcpd_former_set_process(endpoint, endpoint->session->entry.pid,
					endpoint->session->entry.process_start);
	}
	/* Its node has handed back all that it has: it never got this one. */
	if (endpoint->session && !endpoint->session->entry.returning)
		endpoint->session = NULL;
	enter(adoption, endpoint);
	endpoint = NULL;
	return true;
}

void zcpd_adoption_adopt_members(struct zcpd_adoption *adoption, bool is_new)
{
	const struct zcp_topic_geometry *geometry = &adoption->topic->view.geometry;
	bool has_more = is_new;

	for (uint32_t p = 0; p < geometry->max_publishers; p++)
		has_more |= adopt_slot(adoption, true, p);
	for (uint32_t s = 0; s < geometry->max_subscribers; s++)
		has_more |= adopt_slot(adoption, false, s);
	if (has_more)
		zcpd_restore_topic(adoption->registry, adoption->topic);
}
