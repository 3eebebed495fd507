/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, mapping and closing an endpoint.
 */
#include "pubsub/client/endpoint.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "pubsub/client/connection/attach.h"
#include "pubsub/client/connection/control.h"
#include "pubsub/client/inside.h"
#include "pubsub/client/subscriber.h"
#include "pubsub/shm/beside.h"
#include "pubsub/shm/fence.h"
#include "pubsub/shm/memory.h"
#include "pubsub/util.h"

/* Of the class that has just been mapped, if it was not before. */
static void keep_class(struct zcp_endpoint *endpoint, int *fds)
{
	for (uint32_t c = 0; c < endpoint->pool.n_classes; c++)
		if (endpoint->pool.classes[c].chunks && endpoint->class_fds[c][0] < 0)
			for (int i = 0; i < 2; i++)
				endpoint->class_fds[c][i] = zcp_steal_fd(&fds[i]);
}

int zcp_endpoint_map_classes(struct zcp_endpoint *endpoint, struct zcp_fds *fds, uint32_t first)
{
	struct zcp_node *node = endpoint->node;

	for (uint32_t i = first; i + 1 < fds->n_fds; i += 2) {
		const char *why = "";
		int r = zcp_pool_attach(&endpoint->pool, fds->fds[i], fds->fds[i + 1],
					node->domain_id, endpoint->writable, &why);

		if (r < 0)
			return zcp_node_fail(node, r, "a size class of the pool: %s", why);
		keep_class(endpoint, fds->fds + i);
		endpoint->absent = 0;
	}
	return 0;
}

int zcp_endpoint_refuse(const struct zcp_endpoint *endpoint)
{
	struct zcp_node *node = endpoint->node;

	if (endpoint->process != ZCP_ENDPOINT_STALE || !zcp_process_is(node->process))
		return -EOWNERDEAD;
	if (endpoint->stale_error)
		return zcp_node_fail(node, -ESTALE, "%s", endpoint->stale_error);
	return zcp_node_fail(node, -ESTALE,
			     "topic '%s' cannot go on under the runtime that has come: close this "
			     "handle and open it again",
			     endpoint->name);
}

void zcp_endpoint_set_stale(struct zcp_endpoint *endpoint, const char *text)
{
	struct zcp_node *node = endpoint->node;

	endpoint->process = ZCP_ENDPOINT_STALE;
	endpoint->is_stale_unsaid = true;
	endpoint->stale_error = strdup(text);
	node->is_stale_unsaid = true;
}

uint32_t zcp_endpoint_fds(const struct zcp_endpoint *endpoint, int *fds)
{
	uint32_t n = 0;

	fds[n++] = endpoint->topic_fd;
	fds[n++] = endpoint->acks_fd;
	for (uint32_t c = 0; c < ZCP_CLASSES_MAX && endpoint->class_fds[c][0] >= 0; c++) {
		fds[n++] = endpoint->class_fds[c][0];
		fds[n++] = endpoint->class_fds[c][1];
	}
	return n;
}

/* There is no runtime: the one that comes finds it here. */
static void abandon(const struct zcp_endpoint *endpoint)
{
	const struct zcp_topic *topic = &endpoint->topic;

	if (!endpoint->acks.shm ||
	    endpoint->slot >= (endpoint->writable ? topic->geometry.max_publishers :
						    topic->geometry.max_subscribers))
		return;
	/* Relaxed: the region is handed over after it, if at all. */
	atomic_store_explicit(endpoint->writable ?
				      &topic->publishers[endpoint->slot].abandoned :
				      &zcp_acks_counts(&endpoint->acks, endpoint->slot)->abandoned,
			      1, memory_order_relaxed);
}

static void send_close(struct zcp_endpoint *endpoint)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_CLOSE }, reply;
	int r;

	request.u.close.endpoint = endpoint->id;
	/* Where the runtime is slow, it finds out from the end of the process. */
	r = zcp_control_request(endpoint->node, &request, ZCP_MESSAGE_OK, &reply, NULL);
	if (r == 0)
		zcp_message_deinit(&reply);
	else if (r == -ENOTCONN)
		abandon(endpoint);
}

/* Bytes of a region, where its pages can be locked. */
static uint64_t lockable_size(int fd)
{
	struct statfs fs;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && fstatfs(fd, &fs) == 0 &&
			       fs.f_type != HUGETLBFS_MAGIC ?
		       (uint64_t)st.st_size :
		       0;
}

/* Of the signals and of the regions that came, kept or not yet. */
static uint64_t size_to_lock(const struct zcp_endpoint *endpoint, const struct zcp_opened *opened,
			     const struct zcp_fds *fds)
{
	const struct zcp_region *signals = &endpoint->node->signals.region;
	uint64_t size = signals->memory & ZCP_MEMORY_LOCK ? 0 : signals->size;
	int kept[ZCP_PACKET_FDS_MAX];
	uint32_t n_kept = zcp_endpoint_fds(endpoint, kept);

	for (uint32_t i = 0; i < n_kept; i++)
		size += lockable_size(kept[i]);
	for (uint32_t i = 0; i < fds->n_fds; i++)
		if (i != 2 || !opened->backlog)
			size += lockable_size(fds->fds[i]);
	return size;
}

/* The sentence for an endpoint that may not lock so much. Lets go of what it has locked. */
static void explain_lock(struct zcp_endpoint *endpoint, const struct zcp_opened *opened,
			 const struct zcp_fds *fds)
{
	char failed[ZCP_TOPIC_SIZE + 32], text[2 * ZCP_TEXT_SIZE];

	zcp_topic_deinit(&endpoint->topic);
	zcp_acks_deinit(&endpoint->acks);
	zcp_pool_deinit(&endpoint->pool);
	(void)snprintf(failed, sizeof(failed), "cannot map topic '%s'", endpoint->name);
	zcp_memory_explain_lock(failed, size_to_lock(endpoint, opened, fds), "this process", text,
				sizeof(text));
	(void)zcp_node_fail(endpoint->node, -EPERM, "%s", text);
}

/*
 * What an endpoint without page faults needs besides its regions: the domain's signals. Once
 * it has been done it stays, and is harmless to those that did not ask.
 */
static int settle_signals(struct zcp_node *node, uint32_t memory)
{
	struct zcp_region signals = node->signals.region;
	uint32_t more = memory & (ZCP_MEMORY_PREFAULT | ZCP_MEMORY_LOCK) & ~signals.memory;
	const char *why = "";
	int r;

	if (!more)
		return 0;
	signals.memory |= more;
	r = zcp_region_settle(&signals, true, &why);
	if (r < 0)
		return zcp_node_fail(node, r, "the signal region: %s", why);
	node->signals.region = signals;
	return 0;
}

static int map_topic(struct zcp_endpoint *endpoint, struct zcp_fds *fds)
{
	struct zcp_node *node = endpoint->node;
	const struct zcp_region_shm *region;
	const char *why;
	int r = zcp_topic_attach(&endpoint->topic, fds->fds[0], node->domain_id, endpoint->writable,
				 &why);

	if (r < 0)
		return zcp_node_fail(node, r, "the topic's region: %s", why);
	endpoint->topic_fd = zcp_steal_fd(&fds->fds[0]);
	region = &endpoint->topic.shm->region;
	r = zcp_acks_attach(&endpoint->acks, fds->fds[1], endpoint->topic.geometry.max_publishers,
			    endpoint->topic.geometry.max_subscribers, node->domain_id,
			    region->region_id, &why);
	if (r < 0)
		return zcp_node_fail(node, r, "the topic's acks: %s", why);
	endpoint->acks_fd = zcp_steal_fd(&fds->fds[1]);
	return 0;
}

/* What came with the answer: a topic and its acks, perhaps a backlog, and the pool's size classes. */
static int map_all(struct zcp_endpoint *endpoint, const struct zcp_opened *opened,
		   struct zcp_fds *fds)
{
	struct zcp_node *node = endpoint->node;
	uint32_t n = opened->backlog ? 3 : 2;
	const char *why;
	int r;

	if (fds->n_fds < n)
		return zcp_node_fail(node, -EPROTO,
				     "the topic's region: the runtime sent no descriptor");
	r = map_topic(endpoint, fds);
	if (r < 0)
		return r;
	if (opened->backlog) {
		r = zcp_backlog_import(&endpoint->backlog, fds->fds[2], node->domain_id, &why);
		if (r < 0)
			return zcp_node_fail(node, r, "the topic's history: %s", why);
	}
	r = zcp_endpoint_map_classes(endpoint, fds, n);
	return r < 0 ? r : settle_signals(node, endpoint->topic.region.memory);
}

int zcp_endpoint_init(struct zcp_endpoint *endpoint, struct zcp_node *node, const char *name,
		      const struct zcp_message *request, struct zcp_message *reply)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	int r;

	r = zcp_control_request(node, request, ZCP_MESSAGE_OPENED, reply, &fds);
	if (r < 0)
		return r;
	*endpoint = (struct zcp_endpoint){
		.node = node,
		.process = node->process,
		.domain_id = node->domain_id,
		.id = reply->u.opened.endpoint,
		.slot = reply->u.opened.slot,
		.writable = request->type == ZCP_MESSAGE_OPEN_PUBLISHER,
		.topic_fd = -1,
		.acks_fd = -1,
	};
	for (uint32_t c = 0; c < ZCP_CLASSES_MAX; c++)
		endpoint->class_fds[c][0] = endpoint->class_fds[c][1] = -1;
	(void)strncpy(endpoint->name, name, sizeof(endpoint->name) - 1);
	r = map_all(endpoint, &reply->u.opened, &fds);
	if (r == -EPERM)
		explain_lock(endpoint, &reply->u.opened, &fds);
	if (r < 0) {
		char sentence[sizeof(node->error)];

		/* Closing is a call of its own: keep the sentence of the one that failed. */
		memcpy(sentence, node->error, sizeof(sentence));
		zcp_endpoint_deinit(endpoint);
		zcp_message_deinit(reply);
		return zcp_node_fail(node, r, "%s", sentence);
	}
	return 0;
}

void zcp_endpoint_deinit(struct zcp_endpoint *endpoint)
{
	/* Of a stale one the runtime may have something left: what we hold is ours until now. */
	if (zcp_process_is(endpoint->process) ||
	    (endpoint->process == ZCP_ENDPOINT_STALE && zcp_process_is(endpoint->node->process) &&
	     endpoint->domain_id == endpoint->node->domain_id))
		send_close(endpoint);
	free(endpoint->stale_error);
	endpoint->stale_error = NULL;
	zcp_close_fd(&endpoint->topic_fd);
	zcp_close_fd(&endpoint->acks_fd);
	for (uint32_t c = 0; c < ZCP_CLASSES_MAX; c++)
		for (int i = 0; i < 2; i++)
			zcp_close_fd(&endpoint->class_fds[c][i]);
	zcp_watch_deinit(endpoint);
	zcp_topic_deinit(&endpoint->topic);
	zcp_acks_deinit(&endpoint->acks);
	zcp_pool_deinit(&endpoint->pool);
	zcp_backlog_deinit(&endpoint->backlog);
}

unsigned int zcp_endpoint_n_others(const struct zcp_endpoint *endpoint)
{
	if (!zcp_process_is(endpoint->process))
		return 0;
	return zcp_member_count(&endpoint->topic, zcp_endpoint_others(endpoint));
}

/* One sleep until members change. Returns 0 where it is worth looking again. */
static int sleep_for_others(const struct zcp_endpoint *endpoint, _Atomic uint32_t *watches,
			    unsigned int n, int64_t timeout_ns)
{
	const struct zcp_beside beside = { .signal = endpoint->node->signal,
					   .taken = &endpoint->node->beside_taken };
	struct zcp_beside_sleep sleep;
	int r = 0;

	/* CHANGES-A1 pairs with CHANGES-R1 in the runtime: bumped after the members. */
	zcp_beside_begin(&beside, &endpoint->topic.shm->changes, &sleep);
	/* Relaxed: the fence orders it before our look, as the runtime's does the other way round. */
	(void)atomic_fetch_or_explicit(watches, ZCP_WATCHES_WAIT, memory_order_relaxed);
	zcp_fence_full();
	if (zcp_endpoint_n_others(endpoint) < n)
		r = zcp_beside_wait(&beside, &sleep, timeout_ns);
	/* Relaxed: the runtime wakes once too often. */
	(void)atomic_fetch_and_explicit(watches, ~ZCP_WATCHES_WAIT, memory_order_relaxed);
	if (zcp_beside_end(&beside, &sleep))
		zcp_attend_now(endpoint->node);
	return r == -ETIMEDOUT ? 0 : r;
}

int zcp_endpoint_wait_others(const struct zcp_endpoint *endpoint, _Atomic uint32_t *watches,
			     unsigned int n, int64_t timeout_ns)
{
	struct zcp_node *node = endpoint->node;
	uint64_t start = zcp_now_ns();

	if (!zcp_process_is(endpoint->process))
		return zcp_endpoint_refuse(endpoint);
	for (;;) {
		int64_t left = timeout_ns, most;
		int r;

		if (zcp_endpoint_n_others(endpoint) >= n)
			return 0;
		if (timeout_ns >= 0) {
			uint64_t passed = zcp_now_ns() - start;

			if (passed >= (uint64_t)timeout_ns)
				return -ETIMEDOUT;
			left = timeout_ns - (int64_t)passed;
		}
		/* Nobody comes by way of a runtime that we know nothing of. */
		zcp_attend_quietly(node);
		if (!zcp_process_is(endpoint->process))
			return zcp_endpoint_refuse(endpoint);
		most = (int64_t)zcp_attend_interval(node);
		r = sleep_for_others(endpoint, watches, n, left < 0 || left > most ? most : left);
		if (r < 0)
			return r;
	}
}

void zcp_endpoint_add_classes(struct zcp_node *node, uint64_t id, struct zcp_fds *fds)
{
	struct zcp_subscriber *subscriber;

	/*
	 * What cannot be mapped now is asked for again when a message lies in it. Nor does a publish
	 * map it where another thread may be about to take.
	 */
	LIST_FOREACH(subscriber, &node->subscribers, link)
		if (subscriber->endpoint.id == id && !zcp_node_is_ours(node))
			subscriber->endpoint.absent = 0;
		else if (subscriber->endpoint.id == id)
			ZCP_IGNORE(zcp_endpoint_map_classes(&subscriber->endpoint, fds, 0));
}

int zcp_endpoint_get_classes(struct zcp_endpoint *endpoint, uint32_t class_index)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_message request = { .type = ZCP_MESSAGE_POOL_GET }, reply;
	int r;

	zcp_control_drain(endpoint->node);
	if (endpoint->pool.classes[class_index].chunks || endpoint->absent >> class_index & 1)
		return 0;
	request.u.pool_get.endpoint = endpoint->id;
	r = zcp_control_request(endpoint->node, &request, ZCP_MESSAGE_POOL_CLASSES, &reply, &fds);
	if (r < 0)
		return r;
	zcp_message_deinit(&reply);
	r = zcp_endpoint_map_classes(endpoint, &fds, 0);
	if (r == 0 && !endpoint->pool.classes[class_index].chunks)
		endpoint->absent |= UINT64_C(1) << class_index;
	return r;
}
