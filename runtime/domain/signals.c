/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which node has which signal, which publishers learn how to wake it, and the signals of a runtime
 * before us.
 */
#include "runtime/domain/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/shm/fence.h"
#include "pubsub/shm/life.h"
#include "pubsub/util.h"
#include "runtime/failover/record.h"
#include "runtime/system/process.h"

/* Runtimes of one domain, one after another without an end in order. */
#define INCARNATION_MAX (UINT64_C(1) << 30)

int zcpd_registry_make_signal_tables(struct zcpd_registry *registry, uint32_t n)
{
	registry->signals_used = calloc((n + 63) / 64, sizeof(registry->signals_used[0]));
	registry->signal_fds = calloc(n, sizeof(registry->signal_fds[0]));
	if (!registry->signals_used || !registry->signal_fds)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		registry->signal_fds[i] = -1;
	return 0;
}

void zcpd_registry_free_signals(struct zcpd_registry *registry)
{
	for (uint32_t i = 0; registry->signal_fds && i < registry->signals.n_signals; i++)
		zcp_close_fd(&registry->signal_fds[i]);
	free(registry->signal_fds);
	registry->signal_fds = NULL;
	zcp_signals_deinit(&registry->signals);
	zcp_close_fd(&registry->signals_fd);
	free(registry->signals_used);
	registry->signals_used = NULL;
}

static uint64_t incarnation_of(const struct zcp_signals *signals)
{
	struct zcp_signals_shm *shm = signals->region.base;

	/* Relaxed: the runtime before is dead. */
	return atomic_load_explicit(&shm->incarnation, memory_order_relaxed);
}

void zcpd_registry_own_pids(struct zcpd_registry *registry)
{
	struct zcp_signals_shm *shm = registry->signals.region.base;
	/* Relaxed, all of it: no other runtime writes it. */
	uint64_t written = atomic_load_explicit(&shm->pid_namespace, memory_order_relaxed);

	registry->has_foreign_pids = !zcp_life_is_pid_namespace(written);
	for (uint32_t i = 0; registry->has_foreign_pids && i < registry->signals.n_signals; i++) {
		atomic_store_explicit(&shm->signals[i].pid, 0, memory_order_relaxed);
		atomic_store_explicit(&shm->signals[i].process_start, 0, memory_order_relaxed);
	}
	if (written == 0 || registry->has_foreign_pids)
		atomic_store_explicit(&shm->pid_namespace, zcp_life_pid_namespace(),
				      memory_order_relaxed);
}

/*
 * Through an open file description of our own: that of a node holds its lock, and would go on
 * doing so for as long as we have it.
 */
static int open_signals(int fd)
{
	char path[32];
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDWR | O_CLOEXEC);
	return own < 0 ? zcp_errno() : own;
}

int zcpd_registry_adopt(struct zcpd_registry *registry, uint64_t domain_id, bool symmetric,
			int signals_fd, const char **why)
{
	struct zcpd_registry adopted = { .signals_fd = -1 };
	uint64_t incarnation;
	int r = 0;

	if (!symmetric && zcp_fence_register() < 0) {
		*why = "its nodes count on membarrier, which is not available";
		return -EPROTO;
	}
	adopted.signals_fd = open_signals(signals_fd);
	if (adopted.signals_fd < 0) {
		r = adopted.signals_fd;
		*why = strerror(-r);
		return r;
	}
	r = zcp_signals_attach(&adopted.signals, adopted.signals_fd, domain_id, why);
	if (r == 0 && zcpd_registry_make_signal_tables(&adopted, adopted.signals.n_signals) < 0) {
		r = -ENOMEM;
		*why = "out of memory";
	}
	if (r < 0) {
		zcpd_registry_free_signals(&adopted);
		return r;
	}
	zcpd_registry_free_signals(registry);
	registry->domain_id = domain_id;
	registry->symmetric = symmetric;
	registry->signals = adopted.signals;
	registry->signals_fd = adopted.signals_fd;
	registry->signals_used = adopted.signals_used;
	registry->signal_fds = adopted.signal_fds;
	zcpd_registry_own_pids(registry);
	/* No node has such an id, also none that has not come back yet. */
	incarnation = incarnation_of(&registry->signals) % INCARNATION_MAX + 1;
	atomic_store_explicit(
		&((struct zcp_signals_shm *)registry->signals.region.base)->incarnation,
		incarnation, memory_order_relaxed);
	registry->last_id = incarnation << 32;
	zcpd_record_registry(registry);
	zcpd_registry_wake_all(registry);
	return 0;
}

void zcpd_registry_wake_all(struct zcpd_registry *registry)
{
	for (uint32_t i = 0; i < registry->signals.n_signals; i++) {
		zcp_signal_wake(&registry->signals.signals[i]);
		zcp_signal_wake_beside(&registry->signals.signals[i]);
	}
}

void zcpd_registry_name_signal(struct zcpd_registry *registry, uint32_t signal, uint64_t node,
			       uint32_t pid, uint64_t process_start)
{
	struct zcp_signal_shm *shm = &registry->signals.signals[signal];

	/* Relaxed: read by processes that are handed the region. */
	atomic_store_explicit(&shm->process_start, process_start, memory_order_relaxed);
	atomic_store_explicit(&shm->pid, pid, memory_order_relaxed);
	/* The node writes it as well, but may not have come to it when we are killed. */
	atomic_store_explicit(&shm->node, node, memory_order_relaxed);
}

bool zcpd_registry_is_over(const struct zcpd_registry *registry, uint32_t signal)
{
	struct zcp_signal_shm *shm = &registry->signals.signals[signal];
	/* Relaxed: the lock is looked at after the word that says that there was one. */
	uint64_t node = atomic_load_explicit(&shm->node, memory_order_relaxed);

	return node != 0 && atomic_load_explicit(&shm->holder, memory_order_relaxed) == node &&
	       zcp_life_is_unheld(registry->signals_fd, signal);
}

/* Whether a node that had the signal may come back. */
static bool may_come_back(const struct zcpd_registry *registry, uint32_t signal)
{
	struct zcp_signal_shm *shm = &registry->signals.signals[signal];
	/* Relaxed, all of it: a node that has not come back yet does not write it. */
	uint64_t start = atomic_load_explicit(&shm->process_start, memory_order_relaxed);
	uint32_t pid = atomic_load_explicit(&shm->pid, memory_order_relaxed);

	return atomic_load_explicit(&shm->node, memory_order_relaxed) != 0 &&
	       !zcpd_registry_has_signal(registry, signal) && zcpd_process_start(pid) == start &&
	       zcpd_process_may_map(pid, registry->signals_fd) &&
	       !zcpd_registry_is_over(registry, signal);
}

uint32_t zcpd_registry_missing(const struct zcpd_registry *registry)
{
	uint32_t pid;

	/* Whom there is to wait for is not known before the first one has come. */
	if (incarnation_of(&registry->signals) == 0)
		return ZCPD_REGISTRY_PID_UNKNOWN;
	for (uint32_t i = 0; i < registry->signals.n_signals; i++) {
		if (!may_come_back(registry, i))
			continue;
		pid = atomic_load_explicit(&registry->signals.signals[i].pid, memory_order_relaxed);
		return pid ? pid : ZCPD_REGISTRY_PID_UNKNOWN;
	}
	return 0;
}

bool zcpd_registry_has_signal(const struct zcpd_registry *registry, uint32_t signal)
{
	return registry->signals_used[signal / 64] >> (signal % 64) & 1;
}

/* A signal that no node has; `fresh`: and to which none of a runtime before us may come back. */
static int find_signal(const struct zcpd_registry *registry, bool fresh)
{
	for (uint32_t i = 0; i < registry->signals.n_signals; i++)
		/* Relaxed: no node has it, or the runtime before us has written it. */
		if (!zcpd_registry_has_signal(registry, i) &&
		    (!fresh || atomic_load_explicit(&registry->signals.signals[i].node,
						    memory_order_relaxed) == 0))
			return (int)i;
	return -EUSERS;
}

int zcpd_registry_take_signal(struct zcpd_registry *registry)
{
	int signal = find_signal(registry, true);

	if (signal < 0)
		signal = find_signal(registry, false);
	if (signal >= 0)
		zcpd_registry_keep_signal(registry, (uint32_t)signal, -1);
	return signal;
}

void zcpd_registry_keep_signal(struct zcpd_registry *registry, uint32_t signal, int fd)
{
	registry->signals_used[signal / 64] |= UINT64_C(1) << (signal % 64);
	registry->signal_fds[signal] = fd;
	registry->n_nodes++;
}

void zcpd_registry_give_signal(struct zcpd_registry *registry, uint32_t signal)
{
	zcp_close_fd(&registry->signal_fds[signal]);
	registry->signals_used[signal / 64] &= ~(UINT64_C(1) << (signal % 64));
	registry->n_nodes--;
	/* Relaxed: a runtime after us does not wait for this node. */
	atomic_store_explicit(&registry->signals.signals[signal].node, 0, memory_order_relaxed);
}

void zcpd_registry_tell_publishers(struct zcpd_registry *registry,
				   const struct zcpd_endpoint *subscriber)
{
	struct zcpd_topic *topic = subscriber->topic;

	if (registry->signal_fds[subscriber->entry.signal] < 0)
		return;
	for (uint32_t p = 0; p < ZCP_TOPIC_PUBLISHERS_MAX; p++)
		if (topic->publishers[p])
			registry->events.wakes(topic->publishers[p], subscriber,
					       registry->events.user);
}

void zcpd_registry_set_signal_fd(struct zcpd_registry *registry, uint32_t signal, int fd)
{
	struct zcpd_topic *topic;

	zcp_close_fd(&registry->signal_fds[signal]);
	registry->signal_fds[signal] = fd;
	LIST_FOREACH(topic, &registry->topics, link)
		for (uint32_t s = 0; s < ZCP_TOPIC_SUBSCRIBERS_MAX; s++)
			if (topic->subscribers[s] && topic->subscribers[s]->entry.signal == signal)
				zcpd_registry_tell_publishers(registry, topic->subscribers[s]);
}
