/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eventfds: our own, and those of the nodes that our publishers have to wake.
 *
 * A node that is asleep in somebody's poll is woken by a write to its eventfd. The runtime
 * sends a duplicate to whoever publishes to it, before it is needed; a publisher that does
 * not find it among what has come asks.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "pubsub/client/connection/control.h"
#include "pubsub/client/inside.h"
#include "pubsub/client/node.h"
#include "pubsub/util.h"

void zcp_node_add_waker(struct zcp_node *node, uint32_t signal, uint64_t id, int fd)
{
	ZCP_CLEANUP(zcp_close_fd) int owned = fd;
	struct zcp_waker *waker;

	if (signal >= node->signals.n_signals)
		return;
	if (!node->wakers) {
		/* Without memory for it the runtime is asked each time. */
		node->wakers = calloc(node->signals.n_signals, sizeof(node->wakers[0]));
		if (!node->wakers)
			return;
		for (uint32_t i = 0; i < node->signals.n_signals; i++)
			node->wakers[i].fd = -1;
	}
	waker = &node->wakers[signal];
	zcp_close_fd(&waker->fd);
	waker->node = id;
	waker->fd = zcp_steal_fd(&owned);
}

static int find(const struct zcp_node *node, uint32_t signal)
{
	/* Relaxed: a node writes it before it gives anybody its eventfd. */
	uint64_t id = atomic_load_explicit(&node->signals.signals[signal].node,
					   memory_order_relaxed);

	return node->wakers && node->wakers[signal].node == id ? node->wakers[signal].fd : -1;
}

static void ask(struct zcp_node *node, uint32_t signal)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_message request = { .type = ZCP_MESSAGE_SIGNAL_GET }, reply;

	request.u.signal_get.signal = signal;
	/* Where the runtime is gone, so is whoever could tell; the node wakes by its timeout. */
	if (zcp_control_request(node, &request, ZCP_MESSAGE_SIGNAL, &reply, &fds) < 0)
		return;
	if (fds.n_fds == 1)
		zcp_node_add_waker(node, signal, reply.u.signal.node, zcp_steal_fd(&fds.fds[0]));
	zcp_message_deinit(&reply);
}

void zcp_node_wake_fd(uint32_t signal, void *user)
{
	ZCP_CLEANUP(zcp_node_end_talk) struct zcp_node *node = zcp_node_begin_talk(user);
	int fd = find(node, signal);

	if (fd < 0) {
		zcp_control_drain(node);
		fd = find(node, signal);
	}
	if (fd < 0) {
		ask(node, signal);
		fd = find(node, signal);
	}
	/* One that is full is awake. */
	if (fd >= 0)
		(void)eventfd_write(fd, 1);
}

void zcp_node_free_wakers(struct zcp_node *node)
{
	for (uint32_t i = 0; node->wakers && i < node->signals.n_signals; i++)
		zcp_close_fd(&node->wakers[i].fd);
	free(node->wakers);
	node->wakers = NULL;
}
