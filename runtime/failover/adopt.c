/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From regions to objects.
 *
 * All is checked before the first object is made. Each step is recorded as those of opening are;
 * a worker that is killed on its way leaves a topic without some of its endpoints, and the next
 * one, which reads the same request, adds them.
 */
#include "runtime/failover/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/domain/former.h"
#include "runtime/failover/adoption.h"
#include "runtime/failover/record.h"
#include "runtime/failover/restore.h"
#include "runtime/open/shape.h"
#include "runtime/system/log.h"

int zcpd_adoption_stale(const struct zcpd_adoption *adoption, const char *why)
{
	(void)snprintf(adoption->text, adoption->text_size,
		       "topic '%s' cannot go on under this runtime: %s: close what is open of it, "
		       "and open it again",
		       adoption->entry.name, why);
	return -ESTALE;
}

struct zcpd_session *zcpd_adoption_session(const struct zcpd_server *server, uint64_t id)
{
	struct zcpd_session *session;

	LIST_FOREACH(session, &server->sessions, link)
		if (session->entry.id == id)
			return session;
	return NULL;
}

bool zcpd_adopt_may_be(const struct zcpd_registry *registry, const struct zcp_hello *hello)
{
	if (hello->domain_id == 0)
		return false;
	return hello->domain_id == registry->domain_id || registry->former_domain_id == 0 ||
	       hello->domain_id == registry->former_domain_id;
}

static bool adopt_domain(struct zcpd_registry *registry, const struct zcp_hello *hello,
			 const struct zcp_fds *fds)
{
	const char *why = "it sent no signal region";
	int r = -EPROTO;

	/* Also after the wait, as long as there is no node or topic that it would harm. */
	if (registry->n_nodes > 0 || !LIST_EMPTY(&registry->topics))
		return false;
	if (registry->waits && !zcpd_adopt_may_be(registry, hello))
		return false;
	if (fds->n_fds == 1)
		r = zcpd_registry_adopt(registry, hello->domain_id, hello->symmetric, fds->fds[0],
					&why);
	if (r < 0)
		zcpd_warning("node '%s' comes from a runtime before, whose domain is not taken "
			     "over: %s",
			     hello->name, why);
	else
		zcpd_info("goes on with the domain of the runtime before: node '%s' has come back",
			  hello->name);
	return r == 0;
}

static bool is_new(const struct zcpd_session *session, const char *why)
{
	zcpd_warning("node '%s' (pid %s) cannot come back, and is a new one: %s",
		     session->entry.node, session->pid_text, why);
	return false;
}

bool zcpd_adopt_node(struct zcpd_session *session, const struct zcp_hello *hello,
		     const struct zcp_fds *fds)
{
	struct zcpd_registry *registry = session->registry;
	struct zcpd_session *former;

	if (registry->domain_id != hello->domain_id && !adopt_domain(registry, hello, fds))
		return is_new(session, "it comes too late: the domain is another one by now");
	if (!zcpd_former_is_node(registry, hello->node) ||
	    hello->signal >= registry->signals.n_signals)
		return is_new(session, "it says impossible things");
	former = zcpd_adoption_session(session->user, hello->node);
	if (former) {
		/* One without a pid here may have one now, as its connection says. */
		if (!former->entry.greeted ||
		    (former->entry.pid != 0 &&
		     (former->entry.pid != session->entry.pid ||
		      former->entry.process_start != session->entry.process_start)) ||
		    former->entry.signal != hello->signal)
			return is_new(session, "another process says that it is that node");
	} else if (zcpd_registry_has_signal(registry, hello->signal)) {
		return is_new(session, "its signal has been given to another node");
	} else {
		zcpd_registry_keep_signal(registry, hello->signal, -1);
	}
	/* It may have been given back when its connection broke: the next runtime waits for it too. */
	zcpd_registry_name_signal(registry, hello->signal, hello->node, session->entry.pid,
				  session->entry.process_start);
	zcpd_session_become(session, hello->node, hello->signal, former);
	zcpd_debug("node '%s' (pid %s) has come back", session->entry.node, session->pid_text);
	return true;
}

bool zcpd_adoption_is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* What a region says as a name: ends with a zero, whatever it has. */
static bool copy_name(char *to, const char *from, size_t size)
{
	memcpy(to, from, size - 1);
	to[size - 1] = 0;
	return zcp_name_is_text(to) && !strchr(to, '*');
}

static void read_slots(struct zcpd_adoption *adoption, const struct zcp_topic *view)
{
	for (uint32_t p = 0; p < view->geometry.max_publishers; p++) {
		const struct zcp_publisher_slot_shm *slot = &view->publishers[p];

		/* Relaxed, as everything here: the runtime that wrote it is dead. */
		adoption->entry.owners[p] = atomic_load_explicit(&slot->owner,
								 memory_order_relaxed);
	}
}

/* Copies what the region says of its topic. */
static int read_topic(struct zcpd_adoption *adoption)
{
	struct zcp_topic_entry_shm *entry = &adoption->entry;
	struct zcp_topic view = { .shm = NULL };
	const char *why = "no region came with it";
	int r = -EPROTO;

	if (adoption->fds->n_fds > 0)
		r = zcp_topic_attach(&view, adoption->fds->fds[0], adoption->registry->domain_id,
				     false, &why);
	if (r < 0)
		return zcpd_adoption_stale(adoption, why);
	entry->id = view.shm->region.region_id;
	entry->pool = view.shm->pool_id;
	entry->uid = adoption->uid;
	entry->type_size = view.shm->type_size;
	entry->type_alignment = view.shm->type_alignment;
	entry->user_header_size = (uint32_t)view.shm->user_header_size;
	entry->has_user_header_size = view.shm->has_user_header_size != 0;
	entry->max_publishers = view.geometry.max_publishers;
	entry->max_subscribers = view.geometry.max_subscribers;
	entry->max_depth_log2 = view.geometry.max_depth_log2;
	adoption->pool_is_automatic = view.shm->pool_is_automatic != 0;
	read_slots(adoption, &view);
	if (!copy_name(entry->name, view.shm->name, sizeof(entry->name)) || !entry->name[0]) {
		/* It goes into the log and onto people's terminals. */
		(void)strcpy(entry->name, "?");
		r = zcpd_adoption_stale(adoption, "its region has an impossible name");
	} else if (!copy_name(entry->type, view.shm->type, sizeof(entry->type)) ||
		   !copy_name(adoption->pool_name, view.shm->pool_name,
			      sizeof(adoption->pool_name)) ||
		   entry->user_header_size > ZCP_USER_HEADER_MAX ||
		   !zcpd_former_is_id(adoption->registry, entry->id) ||
		   !zcpd_former_is_id(adoption->registry, entry->pool))
		r = zcpd_adoption_stale(adoption, "its region has impossible contents");
	zcp_topic_deinit(&view);
	return r;
}

static bool has_bit(const uint64_t *words, uint32_t bit)
{
	return words[bit / 64] >> (bit % 64) & 1;
}

/* Owner numbers of the topic's slots, which no other topic of the pool may have. */
static bool has_own_numbers(const struct zcpd_adoption *adoption)
{
	uint64_t seen[ZCPD_OWNERS / 64];

	memcpy(seen, adoption->pool->owners, sizeof(seen));
	for (uint32_t p = 0; p < adoption->entry.max_publishers; p++) {
		uint32_t owner = adoption->entry.owners[p];

		if (owner == 0)
			continue;
		if (owner >= ZCP_OWNER_RUNTIME || has_bit(seen, owner))
			return false;
		seen[owner / 64] |= UINT64_C(1) << (owner % 64);
	}
	return true;
}

int zcpd_adoption_open(int fd)
{
	char path[64];
	int writable;

	/* A subscriber has it for reading only. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	writable = open(path, O_RDWR | O_CLOEXEC);
	return writable < 0 ? -ESTALE : writable;
}

/* Whether what came beside the topic's region are its acks. */
static int check_acks(const struct zcpd_adoption *adoption)
{
	const struct zcp_topic_entry_shm *entry = &adoption->entry;
	struct zcp_acks acks = { .shm = NULL };
	const char *why = "its acks did not come with it";
	int r = -EPROTO;

	if (adoption->fds->n_fds > 1)
		r = zcp_acks_attach(&acks, adoption->fds->fds[1], entry->max_publishers,
				    entry->max_subscribers, adoption->registry->domain_id,
				    entry->id, &why);
	zcp_acks_deinit(&acks);
	return r < 0 ? zcpd_adoption_stale(adoption, why) : 0;
}

static int make_topic(struct zcpd_adoption *adoption)
{
	struct zcpd_registry *registry = adoption->registry;
	struct zcpd_topic_config config;
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	ZCP_CLEANUP(zcp_close_fd) int acks_fd = -1;
	int r;

	if (registry->n_topics >= registry->config->runtime.max_topics)
		return zcpd_adoption_stale(adoption, "the runtime has max_topics topics: raise it");
	if (!has_own_numbers(adoption))
		return zcpd_adoption_stale(adoption,
					   "its place in its pool has been given to others");
	r = check_acks(adoption);
	if (r < 0)
		return r;
	zcpd_config_topic(registry->config, adoption->entry.name, &config);
	fd = zcpd_adoption_open(adoption->fds->fds[0]);
	acks_fd = zcpd_adoption_open(adoption->fds->fds[1]);
	if (fd < 0 || acks_fd < 0)
		return zcpd_adoption_stale(adoption, "its regions cannot be opened for writing");
	r = zcpd_topic_restore(&adoption->topic, &config, adoption->pool, &adoption->entry,
			       zcp_steal_fd(&fd), zcp_steal_fd(&acks_fd));
	if (r < 0)
		return zcpd_adoption_stale(adoption, "its regions cannot be mapped");
	zcpd_registry_insert_topic(registry, adoption->topic);
	zcpd_record_topic(registry, adoption->topic);
	ZCP_CRASHPOINT("adopt.after_topic");
	return 0;
}

static int adopt_topic(struct zcpd_adoption *adoption)
{
	struct zcpd_registry *registry = adoption->registry;
	struct zcpd_topic *topic;
	bool is_new = false;
	int r = read_topic(adoption);

	if (r < 0)
		return r;
	LIST_FOREACH(topic, &registry->topics, link) {
		if (topic->entry.id != adoption->entry.id &&
		    strcmp(topic->entry.name, adoption->entry.name) != 0)
			continue;
		if (!zcpd_adoption_is_same_file(topic->fd, adoption->fds->fds[0]))
			return zcpd_adoption_stale(adoption, "it has been opened anew");
		adoption->topic = topic;
		adoption->pool = topic->pool;
		r = zcpd_adoption_add_classes(adoption);
	}
	if (!adoption->topic) {
		r = zcpd_adoption_adopt_pool(adoption);
		if (r == 0)
			r = make_topic(adoption);
		if (r < 0 && adoption->pool && adoption->pool->n_topics == 0)
			zcpd_registry_drop_pool_if_unused(registry, adoption->pool);
		is_new = r == 0;
		if (is_new)
			zcpd_info("topic '%s' has been handed back", adoption->topic->entry.name);
	}
	if (r < 0)
		return r;
	zcpd_adoption_adopt_members(adoption, is_new);
	zcpd_registry_freed(registry, adoption->pool);
	return 0;
}

static struct zcpd_endpoint *find_endpoint(struct zcpd_session *session, uint64_t id)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->entry.id == id)
			return endpoint;
	return NULL;
}

int zcpd_adopt_endpoint(struct zcpd_session *session, const struct zcp_hand_back *message,
			const struct zcp_fds *fds, char *text, size_t text_size)
{
	struct zcpd_adoption adoption = {
		.server = session->user,
		.registry = session->registry,
		.fds = fds,
		.uid = session->entry.uid,
		.text = text,
		.text_size = text_size,
	};
	struct zcpd_endpoint *endpoint = find_endpoint(session, message->endpoint);
	int r = 0;

	if (!session->entry.returning) {
		(void)snprintf(text, text_size,
			       "this node has handed back all, or came as a new one");
		return -EINVAL;
	}
	if (!endpoint) {
		r = adopt_topic(&adoption);
		if (r < 0)
			return r;
		endpoint = find_endpoint(session, message->endpoint);
	}
	if (!endpoint)
		return zcpd_adoption_stale(&adoption, "it has been cleaned up");
	if (!endpoint->entry.is_publisher && !zcpd_shape_hand_back(endpoint, message))
		return zcpd_adoption_stale(&adoption, "it declares an impossible type");
	if (endpoint->entry.state != ZCPD_ENDPOINT_OPEN) {
		(void)strcpy(adoption.entry.name, endpoint->topic->entry.name);
		/* What it holds stays its own until it is closed, as long as the process lives. */
		endpoint->entry.returned = true;
		zcpd_record_endpoint(session->registry, endpoint);
		return zcpd_adoption_stale(&adoption,
					   "the runtime has taken the connection for lost");
	}
	/* Another node may have handed the topic back, and know less of its pool. */
	adoption.topic = endpoint->topic;
	adoption.pool = endpoint->topic->pool;
	(void)strcpy(adoption.entry.name, endpoint->topic->entry.name);
	if (fds->n_fds == 0 || !zcpd_adoption_is_same_file(fds->fds[0], endpoint->topic->fd))
		r = zcpd_adoption_stale(&adoption, "it has been opened anew");
	else
		r = zcpd_adoption_add_classes(&adoption);
	/* Publishers whose size class was not there yet have their places now. */
	zcpd_adoption_adopt_members(&adoption, false);
	zcpd_registry_freed(session->registry, adoption.pool);
	/* What it holds stays its own until it is closed, as long as the process lives. */
	if (r < 0)
		zcpd_registry_deactivate(session->registry, endpoint);
	endpoint->entry.returned = true;
	zcpd_record_endpoint(session->registry, endpoint);
	ZCP_CRASHPOINT("adopt.after_returned");
	return r;
}

/* One that is not closed yet, though its node has it no more. */
static struct zcpd_endpoint *find_unreturned(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (!endpoint->entry.returned && endpoint->entry.state != ZCPD_ENDPOINT_LEAVING)
			return endpoint;
	return NULL;
}

void zcpd_adopt_end(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	if (!session->entry.returning)
		return;
	while ((endpoint = find_unreturned(session)) != NULL)
		zcpd_registry_close(session->registry, endpoint, 0);
	ZCP_CRASHPOINT("adopt.after_close");
	session->entry.returning = false;
	zcpd_record_session(session);
	/* Slots of endpoints that were joining are freed before a node asks for one. */
	(void)zcpd_registry_poll(session->registry);
	session->registry->events.returned(session->registry->events.user);
}
