/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From regions to objects.
 *
 * All is checked before the first object is made. Each step is recorded as those of opening are;
 * a worker that is killed on its way leaves a topic without some of its endpoints, and the next
 * one, which reads the same request, adds them.
 */
#include "runtime/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/shm/members.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "runtime/former.h"
#include "runtime/log.h"
#include "runtime/process.h"
#include "runtime/reclaim.h"
#include "runtime/record.h"
#include "runtime/restore.h"
#include "runtime/server.h"

/* More of it nobody can have: see settle.c. */
#define LOANS_MAX 1024
#define HELD_MAX 4096
#define BACKLOG_MAX (ZCP_TOPIC_PUBLISHERS_MAX * ZCP_TOPIC_HISTORY_MAX)

/* A topic that is handed back, and where to say what is wrong with it. */
struct adoption {
	struct zcpd_server *server;
	struct zcpd_registry *registry;
	const struct zcp_fds *fds;
	/* who hands it back: what is taken over counts for that user, whoever had it made */
	uint32_t uid;
	struct zcp_record_topic record;
	struct zcp_record_slot slots[ZCP_TOPIC_PUBLISHERS_MAX];
	char pool_name[ZCP_TOPIC_SIZE];
	bool pool_is_automatic;
	/* NULL until it is there */
	struct zcpd_pool *pool;
	struct zcpd_topic *topic;
	char *text;
	size_t text_size;
};

static int stale(const struct adoption *adoption, const char *why)
{
	(void)snprintf(adoption->text, adoption->text_size,
		       "topic '%s' cannot go on under this runtime: %s: close what is open of it, "
		       "and open it again",
		       adoption->record.name, why);
	return -ESTALE;
}

static struct zcpd_session *find_session(const struct zcpd_server *server, uint64_t id)
{
	struct zcpd_session *session;

	LIST_FOREACH(session, &server->sessions, link)
		if (session->id == id)
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

	/* Also after the wait, as long as there is nobody whom that would harm. */
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
	zcpd_warning("node '%s' (pid %u) cannot come back, and is a new one: %s", session->node,
		     session->pid, why);
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
	former = find_session(session->user, hello->node);
	if (former) {
		if (!former->greeted || former->pid != session->pid ||
		    former->process_start != session->process_start ||
		    former->signal != hello->signal)
			return is_new(session, "another process says that it is that node");
	} else if (zcpd_registry_has_signal(registry, hello->signal)) {
		return is_new(session, "its signal has been given to another node");
	} else {
		zcpd_registry_keep_signal(registry, hello->signal, -1);
	}
	/* It may have been given back when its connection broke: the next runtime waits for it too. */
	zcpd_registry_name_signal(registry, hello->signal, hello->node, session->pid,
				  session->process_start);
	zcpd_session_become(session, hello->node, hello->signal, former);
	zcpd_debug("node '%s' (pid %u) has come back", session->node, session->pid);
	return true;
}

static bool is_same_file(int a, int b)
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
	for (const char *c = to; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '*')
			return false;
	return zcp_name_is_utf8(to);
}

static void read_slots(struct adoption *adoption, const struct zcp_topic *view)
{
	for (uint32_t p = 0; p < view->geometry.max_publishers; p++) {
		const struct zcp_publisher_slot_shm *slot = &view->publishers[p];

		/* Relaxed, as everything here: the runtime that wrote it is dead. */
		adoption->slots[p] = (struct zcp_record_slot){
			.owner = atomic_load_explicit(&slot->owner, memory_order_relaxed),
			.former = atomic_load_explicit(&slot->former, memory_order_relaxed),
			/* What there is of it is counted when the topic goes on. */
			.kept = ZCP_TOPIC_HISTORY_MAX,
		};
		if (adoption->slots[p].owner == 0)
			adoption->slots[p].kept = 0;
	}
}

/* Copies what the region says of its topic. */
static int read_topic(struct adoption *adoption)
{
	struct zcp_record_topic *record = &adoption->record;
	struct zcp_topic view = { .shm = NULL };
	const char *why = "no region came with it";
	int r = -EPROTO;

	if (adoption->fds->n_fds > 0)
		r = zcp_topic_attach(&view, adoption->fds->fds[0], adoption->registry->domain_id,
				     &why);
	if (r < 0)
		return stale(adoption, why);
	record->number = view.shm->region.region_id;
	record->pool = view.shm->pool_id;
	record->uid = adoption->uid;
	record->type_size = view.shm->type_size;
	record->type_alignment = view.shm->type_alignment;
	record->user_header_size = (uint32_t)view.shm->user_header_size;
	record->has_user_header_size = view.shm->has_user_header_size != 0;
	record->max_publishers = view.geometry.max_publishers;
	record->max_subscribers = view.geometry.max_subscribers;
	record->max_depth_log2 = view.geometry.max_depth_log2;
	record->slots = adoption->slots;
	record->n_slots = view.geometry.max_publishers;
	adoption->pool_is_automatic = view.shm->pool_is_automatic != 0;
	read_slots(adoption, &view);
	if (!copy_name(record->name, view.shm->name, sizeof(record->name)) || !record->name[0]) {
		/* It goes into the log and onto people's terminals. */
		(void)strcpy(record->name, "?");
		r = stale(adoption, "its region has an impossible name");
	} else if (!copy_name(record->type, view.shm->type, sizeof(record->type)) ||
		   !copy_name(adoption->pool_name, view.shm->pool_name,
			      sizeof(adoption->pool_name)) ||
		   record->user_header_size > ZCP_USER_HEADER_MAX ||
		   !zcpd_former_is_id(adoption->registry, record->number) ||
		   !zcpd_former_is_id(adoption->registry, record->pool))
		r = stale(adoption, "its region has impossible contents");
	zcp_topic_deinit(&view);
	return r;
}

static struct zcpd_pool *find_pool(const struct zcpd_registry *registry, uint64_t id)
{
	const struct zcpd_topic *topic;
	struct zcpd_pool *pool;

	LIST_FOREACH(topic, &registry->topics, link)
		if (topic->pool->id == id)
			return topic->pool;
	LIST_FOREACH(pool, &registry->pools, link)
		if (pool->id == id)
			return pool;
	return NULL;
}

static bool has_named_pool(const struct zcpd_registry *registry, const char *name)
{
	const struct zcpd_pool *pool;

	LIST_FOREACH(pool, &registry->pools, link)
		if (strcmp(pool->name, name) == 0)
			return true;
	return false;
}

/* Descriptors of one size class: as they came, and what the runtime needs besides. */
static int open_class(int chunks_fd, int data_fd, int fds[3])
{
	char path[64];

	fds[0] = fcntl(chunks_fd, F_DUPFD_CLOEXEC, 0);
	/* A subscriber has the chunks for reading only. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", data_fd);
	fds[1] = open(path, O_RDWR | O_CLOEXEC);
	fds[2] = fds[0] < 0 || fds[1] < 0 ? -1 : zcp_region_open_readonly(fds[1]);
	if (fds[2] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		zcp_close_fd(&fds[i]);
	return -ESTALE;
}

/* One class that the pool does not have yet, of a region that `class` has been checked with. */
static int add_class(struct adoption *adoption, const struct zcp_class *class, int chunks_fd,
		     int data_fd)
{
	struct zcpd_pool *pool = adoption->pool;
	const struct zcp_class_shm *shm = class->chunks_region.base;
	struct zcp_class_geometry geometry = {
		.payload_size = class->payload_size,
		.n_chunks = class->n_chunks,
		.class_index = pool->view.n_classes,
	};
	int fds[3];

	if (pool->view.n_classes == 0) {
		uint32_t size = adoption->record.user_header_size;

		pool->alignment = shm->alignment;
		pool->user_header_size = zcp_user_header_room(size) == class->header_room ?
						 size :
						 class->header_room;
		pool->memory = class->data_region.memory;
	}
	pool->got |= class->data_region.memory;
	geometry.alignment = pool->alignment;
	geometry.user_header_size = pool->user_header_size;
	/* Where it finds descriptors and chunks the runtime computes by itself. */
	if (zcp_class_stride(&geometry) != class->stride)
		return stale(adoption, "its pool is laid out otherwise than this runtime does it");
	if (open_class(chunks_fd, data_fd, fds) < 0)
		return stale(adoption, "its pool cannot be opened for writing");
	if (zcpd_pool_restore_class(pool, class->payload_size, class->n_chunks, fds) < 0)
		return stale(adoption, "its pool cannot be mapped");
	pool->classes[pool->view.n_classes - 1].uid = adoption->uid;
	zcpd_record_pool(adoption->registry, pool);
	zcpd_record_class(adoption->registry, pool, pool->view.n_classes - 1);
	ZCP_CRASHPOINT("adopt.after_class");
	return 0;
}

/* The pool's size classes as far as this node has them; others may have more. */
static int add_classes(struct adoption *adoption)
{
	const struct zcp_fds *fds = adoption->fds;
	struct zcpd_pool *pool = adoption->pool;
	struct zcp_pool view = { .n_classes = 0 };
	int r = 0;

	for (uint32_t i = 1; r == 0 && i + 1 < fds->n_fds; i += 2) {
		const char *why;
		uint32_t n = pool->view.n_classes;

		uint32_t c = (i - 1) / 2;

		/* A node has them from the first one on. */
		if (c < n) {
			if (!is_same_file(fds->fds[i], pool->classes[c].chunks_fd) ||
			    !is_same_file(fds->fds[i + 1], pool->classes[c].data_fd))
				r = stale(adoption, "its pool has grown otherwise since");
			continue;
		}
		if (zcp_pool_check(&view, fds->fds[i], fds->fds[i + 1],
				   adoption->registry->domain_id, &why) < 0)
			r = stale(adoption, why);
		else if (n < ZCP_CLASSES_MAX && view.classes[n].chunks) {
			const struct zcp_region_shm *region = view.classes[n].chunks_region.base;

			r = region->region_id == (pool->id << 8 | n) ?
				    add_class(adoption, &view.classes[n], fds->fds[i],
					      fds->fds[i + 1]) :
				    stale(adoption, "its chunks are of another pool");
		}
	}
	zcp_pool_deinit(&view);
	return r;
}

static int adopt_pool(struct adoption *adoption)
{
	struct zcpd_registry *registry = adoption->registry;
	int r;

	adoption->pool = find_pool(registry, adoption->record.pool);
	if (adoption->pool)
		return add_classes(adoption);
	if (!adoption->pool_is_automatic && has_named_pool(registry, adoption->pool_name))
		return stale(adoption, "its pool has been made anew");
	r = zcpd_pool_new(&adoption->pool, adoption->record.pool, registry->domain_id,
			  adoption->pool_name, adoption->pool_is_automatic);
	if (r < 0)
		return stale(adoption, "the runtime is out of memory");
	if (!adoption->pool->automatic)
		LIST_INSERT_HEAD(&registry->pools, adoption->pool, link);
	/* Numbers in it may be those of nodes that have not come back. */
	adoption->pool->is_adopted = !adoption->pool->automatic;
	zcpd_record_pool(registry, adoption->pool);
	r = add_classes(adoption);
	if (r == 0)
		zcpd_restore_unpin(adoption->pool);
	else
		/* Half of it is of no use to the next topic. */
		adoption->pool->got = 0;
	return r;
}

static bool has_bit(const uint64_t *words, uint32_t bit)
{
	return words[bit / 64] >> (bit % 64) & 1;
}

/* Owner numbers of the topic's slots, which no other topic of the pool may have. */
static bool has_own_numbers(const struct adoption *adoption)
{
	uint64_t seen[ZCPD_OWNERS / 64];

	memcpy(seen, adoption->pool->owners, sizeof(seen));
	for (uint32_t p = 0; p < adoption->record.n_slots; p++) {
		const uint32_t numbers[] = { adoption->slots[p].owner, adoption->slots[p].former };

		for (int i = 0; i < 2; i++) {
			if (numbers[i] == 0)
				continue;
			if (numbers[i] >= ZCPD_OWNERS || has_bit(seen, numbers[i]))
				return false;
			seen[numbers[i] / 64] |= UINT64_C(1) << (numbers[i] % 64);
		}
	}
	return true;
}

static int make_topic(struct adoption *adoption)
{
	struct zcpd_registry *registry = adoption->registry;
	struct zcpd_topic_config config;
	int fd, r;

	if (registry->n_topics >= registry->config->runtime.max_topics)
		return stale(adoption, "the runtime has max_topics topics: raise it");
	if (!has_own_numbers(adoption))
		return stale(adoption, "its place in its pool has been given to others");
	zcpd_config_topic(registry->config, adoption->record.name, &config);
	fd = fcntl(adoption->fds->fds[0], F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return stale(adoption, "the runtime is out of descriptors");
	r = zcpd_topic_restore(&adoption->topic, &config, adoption->pool, &adoption->record, fd);
	if (r < 0)
		return stale(adoption, "its region cannot be mapped");
	zcpd_registry_insert_topic(registry, adoption->topic);
	zcpd_record_topic(registry, adoption->topic);
	ZCP_CRASHPOINT("adopt.after_topic");
	return 0;
}

/*
 * The session of an endpoint that a slot names: its node's, which may have come back, or is known
 * by another endpoint; or one without a connection. *session is NULL where the process is gone.
 */
static int find_owner(struct adoption *adoption, const struct zcpd_endpoint *endpoint,
		      struct zcpd_session **sessionp)
{
	struct zcp_record_session record = {
		.number = endpoint->node_id,
		.pid = endpoint->pid,
		.signal = endpoint->signal,
		.process_start = endpoint->process_start,
		.greeted = true,
		.returning = true,
	};
	struct zcpd_session *session = find_session(adoption->server, endpoint->node_id);
	int pidfd, r;

	*sessionp = NULL;
	if (session) {
		if (session->greeted && session->pid == endpoint->pid &&
		    session->process_start == endpoint->process_start &&
		    session->signal == endpoint->signal)
			*sessionp = session;
		return *sessionp ? 0 : stale(adoption, "a slot of its region names somebody else");
	}
	pidfd = zcpd_process_open(endpoint->pid, endpoint->process_start, &record.uid);
	if (pidfd == -ESRCH)
		return 0;
	if (pidfd < 0)
		return stale(adoption, strerror(-pidfd));
	if (!zcpd_former_is_node(adoption->registry, endpoint->node_id) ||
	    endpoint->signal >= adoption->registry->signals.n_signals ||
	    zcpd_registry_has_signal(adoption->registry, endpoint->signal)) {
		zcp_close_fd(&pidfd);
		return stale(adoption, "the signal of one of its nodes has been given to another");
	}
	(void)strcpy(record.node, endpoint->node);
	r = zcpd_server_add_session(adoption->server, &record, pidfd, -1, &session);
	if (r < 0)
		return stale(adoption, strerror(-r));
	zcpd_registry_keep_signal(adoption->registry, endpoint->signal, -1);
	zcpd_record_session(session);
	*sessionp = session;
	return 0;
}

static uint32_t at_most(_Atomic uint32_t *word, uint32_t most)
{
	uint32_t n = atomic_load_explicit(word, memory_order_relaxed);

	return n < most ? n : most;
}

/* Who is in a slot. False where nobody is. */
static bool read_member(const struct zcpd_topic *topic, struct zcpd_endpoint *endpoint,
			uint32_t state)
{
	struct zcp_member member;

	if (!zcp_member_read(&topic->view,
			     endpoint->is_publisher ? ZCP_MEMBER_PUBLISHER : ZCP_MEMBER_SUBSCRIBER,
			     endpoint->slot, &member))
		return false;
	endpoint->id = member.id;
	endpoint->pid = member.pid;
	memcpy(endpoint->node, member.node, sizeof(endpoint->node));
	switch (state) {
	case ZCP_MEMBER_NONE:
		return false;
	case ZCP_MEMBER_OPEN:
		endpoint->state = ZCPD_ENDPOINT_OPEN;
		return true;
	case ZCP_MEMBER_INACTIVE:
		endpoint->state = ZCPD_ENDPOINT_INACTIVE;
		return true;
	default:
		/* One that was joining has no answer and asks again. */
		endpoint->state = endpoint->is_publisher ? ZCPD_ENDPOINT_INACTIVE :
							   ZCPD_ENDPOINT_LEAVING;
		return true;
	}
}

/* Returns whether it was closed while nobody was there to be told. */
static bool read_publisher(const struct zcpd_topic *topic, struct zcpd_endpoint *publisher)
{
	struct zcp_publisher_slot_shm *slot = &topic->view.publishers[publisher->slot];

	publisher->node_id = atomic_load_explicit(&slot->session, memory_order_relaxed);
	publisher->process_start = atomic_load_explicit(&slot->process_start, memory_order_relaxed);
	publisher->signal = atomic_load_explicit(&slot->signal, memory_order_relaxed);
	publisher->owner = topic->owners[publisher->slot];
	publisher->former = topic->formers[publisher->slot];
	publisher->loans = at_most(&slot->loans, LOANS_MAX);
	publisher->history = at_most(&slot->history, ZCP_TOPIC_HISTORY_MAX);
	publisher->alignment = atomic_load_explicit(&slot->alignment, memory_order_relaxed);
	publisher->user_header_size = topic->user_header_size;
	publisher->max_payload = atomic_load_explicit(&slot->max_payload, memory_order_relaxed);
	publisher->first_seq = atomic_load_explicit(&slot->next_seq, memory_order_relaxed);
	return atomic_load_explicit(&slot->abandoned, memory_order_relaxed) != 0;
}

static bool read_subscriber(const struct zcpd_topic *topic, struct zcpd_endpoint *subscriber)
{
	struct zcp_subscriber_slot_shm *slot = &topic->view.subscribers[subscriber->slot];

	subscriber->node_id = atomic_load_explicit(&slot->session, memory_order_relaxed);
	subscriber->process_start = atomic_load_explicit(&slot->process_start,
							 memory_order_relaxed);
	subscriber->signal = atomic_load_explicit(&slot->signal, memory_order_relaxed);
	subscriber->holder = atomic_load_explicit(&slot->holder, memory_order_relaxed);
	subscriber->depth_log2 = at_most(&slot->depth_log2, topic->view.geometry.max_depth_log2);
	subscriber->on_full = atomic_load_explicit(&slot->on_full, memory_order_relaxed);
	subscriber->held = at_most(&slot->held, HELD_MAX);
	subscriber->backlog = at_most(&slot->backlog, BACKLOG_MAX);
	subscriber->history = at_most(&slot->history, ZCP_TOPIC_HISTORY_MAX);
	subscriber->order = atomic_load_explicit(&slot->order, memory_order_relaxed);
	return atomic_load_explicit(&slot->abandoned, memory_order_relaxed) != 0;
}

static void enter(struct adoption *adoption, struct zcpd_endpoint *endpoint)
{
	struct zcpd_topic *topic = adoption->topic;

	if (endpoint->is_publisher) {
		topic->publishers[endpoint->slot] = endpoint;
		topic->n_publishers++;
	} else {
		topic->subscribers[endpoint->slot] = endpoint;
		topic->n_subscribers++;
		zcpd_pool_keep_holder(topic->pool, endpoint->holder);
	}
	if (endpoint->session)
		LIST_INSERT_HEAD(&endpoint->session->endpoints, endpoint, link);
	zcpd_record_endpoint(adoption->registry, endpoint);
	ZCP_CRASHPOINT("adopt.after_endpoint");
}

static bool has_own_place(const struct adoption *adoption, const struct zcpd_endpoint *endpoint)
{
	const struct zcpd_pool *pool = adoption->topic->pool;

	if (!zcpd_former_is_id(adoption->registry, endpoint->id) ||
	    zcpd_former_has_endpoint(adoption->registry, endpoint->id) ||
	    !zcpd_former_is_node(adoption->registry, endpoint->node_id))
		return false;
	return endpoint->is_publisher ? endpoint->owner != 0 && endpoint->former != 0 :
					endpoint->holder < ZCP_HOLDERS_MAX &&
						!has_bit(pool->holders, endpoint->holder);
}

/* Returns whether there is one more endpoint. */
static bool adopt_slot(struct adoption *adoption, bool is_publisher, uint32_t slot)
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
	endpoint->is_publisher = is_publisher;
	endpoint->slot = slot;
	endpoint->topic = topic;
	endpoint->backlog_fd = -1;
	if (!read_member(topic, endpoint, state))
		return false;
	is_abandoned = is_publisher ? read_publisher(topic, endpoint) :
				      read_subscriber(topic, endpoint);
	if (!has_own_place(adoption, endpoint) ||
	    (!is_abandoned && find_owner(adoption, endpoint, &endpoint->session) < 0)) {
		/* Nobody sends to it any more; its node is told when it comes. */
		if (!is_publisher)
			zcpd_subscriber_leave(topic, endpoint, &adoption->registry->signals,
					      adoption->registry->signal_fds);
		return false;
	}
	if (endpoint->session)
		endpoint->uid = endpoint->session->uid;
	/* Its node has handed back all that it has: it never got this one. */
	if (endpoint->session && !endpoint->session->returning)
		endpoint->session = NULL;
	enter(adoption, endpoint);
	endpoint = NULL;
	return true;
}

/*
 * All whom the topic's slots name, as far as they are not here yet: a worker before us may have
 * been killed in the middle. One that cannot be taken over is nothing to the others.
 */
static void adopt_members(struct adoption *adoption, bool is_new)
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

static int adopt_topic(struct adoption *adoption)
{
	struct zcpd_registry *registry = adoption->registry;
	struct zcpd_topic *topic;
	bool is_new = false;
	int r = read_topic(adoption);

	if (r < 0)
		return r;
	LIST_FOREACH(topic, &registry->topics, link) {
		if (topic->id != adoption->record.number &&
		    strcmp(topic->name, adoption->record.name) != 0)
			continue;
		if (!is_same_file(topic->fd, adoption->fds->fds[0]))
			return stale(adoption, "it has been opened anew");
		adoption->topic = topic;
		adoption->pool = topic->pool;
		r = add_classes(adoption);
	}
	if (!adoption->topic) {
		r = adopt_pool(adoption);
		if (r == 0)
			r = make_topic(adoption);
		if (r < 0 && adoption->pool && adoption->pool->n_topics == 0)
			zcpd_registry_drop_pool_if_unused(registry, adoption->pool);
		is_new = r == 0;
		if (is_new)
			zcpd_info("topic '%s' has been handed back", adoption->topic->name);
	}
	if (r == 0)
		adopt_members(adoption, is_new);
	return r;
}

static struct zcpd_endpoint *find_endpoint(struct zcpd_session *session, uint64_t id)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (endpoint->id == id)
			return endpoint;
	return NULL;
}

int zcpd_adopt_endpoint(struct zcpd_session *session, const struct zcp_hand_back *message,
			const struct zcp_fds *fds, char *text, size_t text_size)
{
	struct adoption adoption = {
		.server = session->user,
		.registry = session->registry,
		.fds = fds,
		.uid = session->uid,
		.text = text,
		.text_size = text_size,
	};
	struct zcpd_endpoint *endpoint = find_endpoint(session, message->endpoint);
	int r = 0;

	if (!session->returning) {
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
		return stale(&adoption, "it has been cleaned up");
	if (endpoint->state != ZCPD_ENDPOINT_OPEN) {
		(void)strcpy(adoption.record.name, endpoint->topic->name);
		/* What it holds stays its own until it is closed, as long as the process lives. */
		endpoint->returned = true;
		zcpd_record_endpoint(session->registry, endpoint);
		return stale(&adoption, "the runtime has taken the connection for lost");
	}
	/* Another node may have handed the topic back, and know less of its pool. */
	adoption.topic = endpoint->topic;
	adoption.pool = endpoint->topic->pool;
	(void)strcpy(adoption.record.name, endpoint->topic->name);
	adopt_members(&adoption, false);
	if (fds->n_fds == 0 || !is_same_file(fds->fds[0], endpoint->topic->fd))
		r = stale(&adoption, "it has been opened anew");
	else
		r = add_classes(&adoption);
	/* What it holds stays its own until it is closed, as long as the process lives. */
	if (r < 0)
		zcpd_registry_deactivate(session->registry, endpoint);
	endpoint->returned = true;
	zcpd_record_endpoint(session->registry, endpoint);
	ZCP_CRASHPOINT("adopt.after_returned");
	return r;
}

/* One that is not closed yet, though its node has it no more. */
static struct zcpd_endpoint *find_unreturned(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &session->endpoints, link)
		if (!endpoint->returned && endpoint->state != ZCPD_ENDPOINT_LEAVING)
			return endpoint;
	return NULL;
}

void zcpd_adopt_end(struct zcpd_session *session)
{
	struct zcpd_endpoint *endpoint;

	if (!session->returning)
		return;
	while ((endpoint = find_unreturned(session)) != NULL)
		zcpd_registry_close(session->registry, endpoint, 0);
	ZCP_CRASHPOINT("adopt.after_close");
	session->returning = false;
	zcpd_record_session(session);
	/* Slots of those who were joining are free before anybody asks for one. */
	(void)zcpd_registry_poll(session->registry);
	session->registry->events.returned(session->registry->events.user);
}
