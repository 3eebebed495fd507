/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From sums of chunks to bytes of memfds.
 *
 * A memfd's pages count in the cgroup of the process that takes them, which is the runtime's here. In
 * a cgroup that is full the kernel would end a process rather than let fallocate(2) fail, so what is
 * available is looked at first.
 */
#include "runtime/open/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pubsub/util.h"
#include "runtime/open/admission.h"
#include "runtime/open/available.h"

/* The beginning of a file, which is to have all its pages. */
struct part {
	int fd;
	uint64_t size;
};

#define PARTS_MAX (2 + 2 * ZCP_CLASSES_MAX)

bool zcpd_reserve_is_wanted(const struct zcpd_registry *registry, const struct zcpd_pool *pool)
{
	const struct zcpd_pool_config *named;
	struct zcpd_topic_config topic;

	if (pool->entry.automatic) {
		zcpd_config_topic(registry->config, pool->entry.name, &topic);
		return topic.reserve;
	}
	named = zcpd_config_pool(registry->config, pool->entry.name);
	return named && named->reserve;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* What of a part is not there; at most, as what is there may lie behind it. */
static uint64_t missing_of(const struct part *part)
{
	uint64_t there;
	struct stat st;

	if (fstat(part->fd, &st) < 0)
		return part->size;
	there = (uint64_t)st.st_blocks * 512;
	return part->size > there ? part->size - there : 0;
}

static uint32_t find_parts(const struct zcpd_endpoint *more, const struct zcpd_admission_sum *sums,
			   struct part *parts)
{
	const struct zcpd_topic *topic = more->topic;
	const struct zcpd_pool *pool = topic->pool;
	uint32_t n = 0;

	parts[n++] = (struct part){ topic->fd, size_of(topic->fd) };
	parts[n++] = (struct part){ topic->acks_fd, size_of(topic->acks_fd) };
	for (uint32_t c = 0; c < pool->view.n_classes; c++) {
		const struct zcp_class *class = &pool->view.classes[c];
		uint64_t n_chunks = sums[c].n_reserved < sums[c].n_chunks ? sums[c].n_reserved :
									    sums[c].n_chunks;
		uint64_t behind = (class->n_chunks - n_chunks) * class->stride;
		uint64_t data_size = size_of(pool->classes[c].data_fd);

		if (n_chunks == 0)
			continue;
		parts[n++] = (struct part){ pool->classes[c].chunks_fd,
					    sizeof(struct zcp_class_shm) +
						    n_chunks * sizeof(struct zcp_chunk_shm) };
		parts[n++] = (struct part){ pool->classes[c].data_fd,
					    data_size > behind ? data_size - behind : data_size };
	}
	return n;
}

static int take(const struct part *part)
{
	while (missing_of(part) > 0 && fallocate(part->fd, 0, 0, (off_t)part->size) < 0)
		if (errno != EINTR)
			return zcp_errno();
	return 0;
}

static int refuse(const struct zcpd_topic *topic, uint64_t missing, uint64_t available, char *text,
		  size_t text_size)
{
	(void)snprintf(text, text_size,
		       "topic '%s' has its memory when it is opened (reserve = true): %" PRIu64
		       " MiB more, and %" PRIu64
		       " MiB are available to the runtime: lower depth, held, history or "
		       "max_payload, make room (memory.max of the runtime's cgroup), or set "
		       "reserve = false",
		       topic->entry.name, (missing >> 20) + 1, available >> 20);
	return -ENOMEM;
}

int zcpd_reserve(const struct zcpd_registry *registry, const struct zcpd_endpoint *more, char *text,
		 size_t text_size)
{
	struct zcpd_admission_sum sums[ZCP_CLASSES_MAX];
	const struct zcpd_topic *topic = more->topic;
	uint64_t missing = 0, available;
	struct part parts[PARTS_MAX];
	uint32_t n;

	if (!zcpd_reserve_is_wanted(registry, topic->pool))
		return 0;
	if (zcpd_admission_sums(registry, topic->pool, more, sums) < 0) {
		(void)snprintf(text, text_size, "the runtime is out of memory");
		return -ENOMEM;
	}
	n = find_parts(more, sums, parts);
	for (uint32_t i = 0; i < n; i++)
		missing += missing_of(&parts[i]);
	available = zcpd_available_memory("");
	if (missing > available)
		return refuse(topic, missing, available, text, text_size);
	for (uint32_t i = 0; i < n; i++)
		if (take(&parts[i]) < 0)
			return refuse(topic, missing, zcpd_available_memory(""), text, text_size);
	return 0;
}
