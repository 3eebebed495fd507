/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping, writing into, and handing back what a node has.
 */
#include "tests/fuzz/support/belongings.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pubsub/layout/signal_shm.h"
#include "pubsub/shm/members.h"
#include "pubsub/shm/topic.h"
#include "pubsub/util.h"
#include "tests/support/check.h"

/* Larger regions are not copied. */
#define COPY_MAX (1 << 20)

static bool is_same_file(int a, int b)
{
	struct stat st_a, st_b;

	ZCP_CHECK(fstat(a, &st_a) == 0 && fstat(b, &st_b) == 0);
	return st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

static void write_at(int fd, uint64_t at, const void *bytes, size_t size)
{
	ZCP_CHECK(pwrite(fd, bytes, size, (off_t)at) == (ssize_t)size);
}

static void close_belonging(struct zcp_fuzz_belonging *endpoint)
{
	zcp_close_fd(&endpoint->topic_fd);
	zcp_close_fd(&endpoint->acks_fd);
	for (uint32_t c = 0; c < endpoint->n_classes; c++) {
		zcp_close_fd(&endpoint->class_fds[c][0]);
		zcp_close_fd(&endpoint->class_fds[c][1]);
	}
}

void zcp_fuzz_belongings_init(struct zcp_fuzz_belongings *belongings)
{
	*belongings = (struct zcp_fuzz_belongings){ .signals_fd = -1 };
}

void zcp_fuzz_belongings_deinit(struct zcp_fuzz_belongings *belongings)
{
	for (uint32_t i = 0; i < belongings->n_endpoints; i++)
		close_belonging(&belongings->endpoints[i]);
	zcp_close_fd(&belongings->signals_fd);
	zcp_fuzz_belongings_init(belongings);
}

void zcp_fuzz_belongings_descriptors(const struct zcp_fuzz_belongings *belongings,
				     struct zcp_fuzz_descriptors *descriptors)
{
	zcp_fuzz_descriptors_mark(descriptors, belongings->signals_fd);
	for (uint32_t i = 0; i < belongings->n_endpoints; i++) {
		const struct zcp_fuzz_belonging *endpoint = &belongings->endpoints[i];

		zcp_fuzz_descriptors_mark(descriptors, endpoint->topic_fd);
		zcp_fuzz_descriptors_mark(descriptors, endpoint->acks_fd);
		for (uint32_t c = 0; c < endpoint->n_classes; c++) {
			zcp_fuzz_descriptors_mark(descriptors, endpoint->class_fds[c][0]);
			zcp_fuzz_descriptors_mark(descriptors, endpoint->class_fds[c][1]);
		}
	}
}

/* --- what is heard and said --- */

/* As settle() of the library does: it is a new one in this domain. */
static void settle(struct zcp_fuzz_belongings *belongings, const struct zcp_welcome *welcome,
		   struct zcp_fds *fds)
{
	uint64_t at = sizeof(struct zcp_signals_shm) +
		      welcome->signal * sizeof(struct zcp_signal_shm) +
		      offsetof(struct zcp_signal_shm, node);

	uint32_t n_killed = belongings->n_killed;

	zcp_fuzz_belongings_deinit(belongings);
	belongings->n_killed = n_killed;
	belongings->signals_fd = zcp_steal_fd(&fds->fds[0]);
	belongings->node = welcome->node;
	belongings->domain_id = welcome->domain_id;
	belongings->signal = welcome->signal;
	belongings->symmetric = welcome->symmetric;
	write_at(belongings->signals_fd, at, &welcome->node, sizeof(welcome->node));
}

static void hear_welcome(struct zcp_fuzz_belongings *belongings, const struct zcp_welcome *welcome,
			 struct zcp_fds *fds)
{
	if (belongings->node != 0 && welcome->node == belongings->node &&
	    welcome->domain_id == belongings->domain_id && welcome->signal == belongings->signal)
		belongings->is_back = true;
	else
		settle(belongings, welcome, fds);
}

/* Those that it has not got yet. */
static void add_classes(struct zcp_fuzz_belonging *endpoint, struct zcp_fds *fds, uint32_t first)
{
	for (uint32_t i = first; i + 1 < fds->n_fds; i += 2) {
		bool is_there = endpoint->n_classes == ZCP_CLASSES_MAX;

		for (uint32_t c = 0; c < endpoint->n_classes; c++)
			is_there |= is_same_file(endpoint->class_fds[c][0], fds->fds[i]);
		if (is_there)
			continue;
		endpoint->class_fds[endpoint->n_classes][0] = zcp_steal_fd(&fds->fds[i]);
		endpoint->class_fds[endpoint->n_classes++][1] = zcp_steal_fd(&fds->fds[i + 1]);
	}
}

static void hear_opened(struct zcp_fuzz_belongings *belongings, const struct zcp_message *message,
			struct zcp_fds *fds)
{
	const struct zcp_opened *opened = &message->u.opened;
	struct zcp_fuzz_belonging *endpoint;

	/* It comes again after a worker's death. */
	if (zcp_fuzz_belongings_find(belongings, opened->endpoint) ||
	    belongings->n_endpoints == ZCP_FUZZ_BELONGINGS)
		return;
	endpoint = &belongings->endpoints[belongings->n_endpoints++];
	*endpoint = (struct zcp_fuzz_belonging){
		.id = opened->endpoint,
		.opened_by = message->id,
		.is_publisher = opened->owner != 0,
		.slot = opened->slot,
		.topic_fd = zcp_steal_fd(&fds->fds[0]),
		.acks_fd = zcp_steal_fd(&fds->fds[1]),
		.is_known = belongings->n_killed == 0,
		.was_known = belongings->n_killed == 1,
	};
	add_classes(endpoint, fds, opened->backlog ? 3 : 2);
}

void zcp_fuzz_belongings_hear(struct zcp_fuzz_belongings *belongings,
			      const struct zcp_message *message, struct zcp_fds *fds)
{
	struct zcp_fuzz_belonging *endpoint;

	switch (message->type) {
	case ZCP_MESSAGE_WELCOME:
		hear_welcome(belongings, &message->u.welcome, fds);
		break;
	case ZCP_MESSAGE_OPENED:
		hear_opened(belongings, message, fds);
		break;
	case ZCP_MESSAGE_POOL_CLASSES:
		endpoint = zcp_fuzz_belongings_find(belongings, message->u.pool_classes.endpoint);
		if (endpoint)
			add_classes(endpoint, fds, 0);
		break;
	default:
		break;
	}
}

void zcp_fuzz_belongings_say(struct zcp_fuzz_belongings *belongings,
			     const struct zcp_message *message)
{
	if (message->type != ZCP_MESSAGE_CLOSE)
		return;
	for (uint32_t i = belongings->n_endpoints; i-- > 0;) {
		struct zcp_fuzz_belonging *endpoint = &belongings->endpoints[i];

		if (message->u.close.endpoint ? message->u.close.endpoint == endpoint->id :
						message->u.close.opened_by == endpoint->opened_by)
			zcp_fuzz_belongings_drop(belongings, endpoint);
	}
}

void zcp_fuzz_belongings_orphan(struct zcp_fuzz_belongings *belongings)
{
	belongings->is_back = false;
	belongings->n_killed++;
	for (uint32_t i = 0; i < belongings->n_endpoints; i++) {
		belongings->endpoints[i].was_known = belongings->endpoints[i].is_known;
		belongings->endpoints[i].is_known = false;
	}
}

struct zcp_fuzz_belonging *zcp_fuzz_belongings_find(struct zcp_fuzz_belongings *belongings,
						    uint64_t id)
{
	for (uint32_t i = 0; i < belongings->n_endpoints; i++)
		if (belongings->endpoints[i].id == id)
			return &belongings->endpoints[i];
	return NULL;
}

void zcp_fuzz_belongings_reconnect(struct zcp_fuzz_belongings *belongings)
{
	belongings->is_back = false;
	belongings->n_killed = 0;
	for (uint32_t i = 0; i < belongings->n_endpoints; i++)
		belongings->endpoints[i].is_said = false;
}

void zcp_fuzz_belongings_forget_rest(struct zcp_fuzz_belongings *belongings)
{
	for (uint32_t i = belongings->n_endpoints; i-- > 0;)
		if (!belongings->endpoints[i].is_said)
			zcp_fuzz_belongings_drop(belongings, &belongings->endpoints[i]);
}

void zcp_fuzz_belongings_drop(struct zcp_fuzz_belongings *belongings,
			      struct zcp_fuzz_belonging *endpoint)
{
	close_belonging(endpoint);
	*endpoint = belongings->endpoints[--belongings->n_endpoints];
}

/* --- what its slot says --- */

/* False where its region is none any more. */
static bool map_topic(const struct zcp_fuzz_belongings *belongings,
		      const struct zcp_fuzz_belonging *endpoint, struct zcp_topic *topic)
{
	const char *why;

	if (zcp_topic_attach(topic, endpoint->topic_fd, belongings->domain_id,
			     endpoint->is_publisher, &why) < 0)
		return false;
	if (endpoint->slot < (endpoint->is_publisher ? topic->geometry.max_publishers :
						       topic->geometry.max_subscribers))
		return true;
	zcp_topic_deinit(topic);
	return false;
}

/* The same for the acks of a topic that is mapped. */
static bool map_acks(const struct zcp_fuzz_belongings *belongings,
		     const struct zcp_fuzz_belonging *endpoint, const struct zcp_topic *topic,
		     struct zcp_acks *acks)
{
	const char *why;

	return zcp_acks_attach(acks, endpoint->acks_fd, topic->geometry.max_publishers,
			       topic->geometry.max_subscribers, belongings->domain_id,
			       topic->shm->region.region_id, &why) == 0;
}

bool zcp_fuzz_belonging_is_open(const struct zcp_fuzz_belongings *belongings,
				const struct zcp_fuzz_belonging *endpoint)
{
	struct zcp_topic topic;
	struct zcp_member member;
	bool is_open;

	if (!map_topic(belongings, endpoint, &topic))
		return false;
	is_open = zcp_member_read(&topic,
				  endpoint->is_publisher ? ZCP_MEMBER_PUBLISHER :
							   ZCP_MEMBER_SUBSCRIBER,
				  endpoint->slot, &member) &&
		  member.id == endpoint->id &&
		  atomic_load(endpoint->is_publisher ?
				      &topic.publishers[endpoint->slot].state :
				      &topic.subscribers[endpoint->slot].state) == ZCP_MEMBER_OPEN;
	zcp_topic_deinit(&topic);
	return is_open;
}

void zcp_fuzz_belongings_abandon(struct zcp_fuzz_belongings *belongings,
				 struct zcp_fuzz_belonging *endpoint)
{
	struct zcp_topic topic;
	struct zcp_acks acks;

	if (map_topic(belongings, endpoint, &topic)) {
		if (endpoint->is_publisher) {
			atomic_store(&topic.publishers[endpoint->slot].abandoned, 1);
		} else if (map_acks(belongings, endpoint, &topic, &acks)) {
			atomic_store(&zcp_acks_counts(&acks, endpoint->slot)->abandoned, 1);
			zcp_acks_deinit(&acks);
		}
		zcp_topic_deinit(&topic);
	}
	zcp_fuzz_belongings_drop(belongings, endpoint);
}

/* --- lies --- */

static void write_word(int fd, uint64_t from, uint64_t to, struct zcp_fuzz_input *input)
{
	uint32_t word = zcp_fuzz_below(input, (uint32_t)((to - from) / 8));
	uint64_t value = zcp_fuzz_number(input);

	write_at(fd, from + UINT64_C(8) * word, &value, sizeof(value));
}

static uint64_t size_of(int fd)
{
	struct stat st;

	ZCP_CHECK(fstat(fd, &st) == 0);
	return (uint64_t)st.st_size;
}

static void lie_in_slot(const struct zcp_fuzz_belongings *belongings,
			const struct zcp_fuzz_belonging *endpoint, bool is_own,
			struct zcp_fuzz_input *input)
{
	uint32_t slot = is_own ? endpoint->slot : zcp_fuzz_below(input, 4);
	bool is_publisher = is_own ? endpoint->is_publisher : zcp_fuzz_below(input, 2);
	struct zcp_topic topic;
	uint64_t at, size;

	if (!map_topic(belongings, endpoint, &topic))
		return;
	slot %= is_publisher ? topic.geometry.max_publishers : topic.geometry.max_subscribers;
	at = (uint64_t)((is_publisher ? (char *)&topic.publishers[slot] :
					(char *)&topic.subscribers[slot]) -
			(char *)topic.shm);
	size = is_publisher ? sizeof(topic.publishers[0]) : sizeof(topic.subscribers[0]);
	zcp_topic_deinit(&topic);
	write_word(endpoint->topic_fd, at, at + size, input);
}

static void lie_as_publisher(const struct zcp_fuzz_belongings *belongings,
			     const struct zcp_fuzz_belonging *endpoint, uint32_t place,
			     struct zcp_fuzz_input *input)
{
	switch (place) {
	case 0:
		write_word(endpoint->topic_fd, 0, size_of(endpoint->topic_fd), input);
		break;
	case 1:
		write_word(endpoint->topic_fd, 0, sizeof(struct zcp_topic_shm), input);
		break;
	case 2:
		lie_in_slot(belongings, endpoint, true, input);
		break;
	case 3:
		lie_in_slot(belongings, endpoint, false, input);
		break;
	case 4:
		if (endpoint->n_classes > 0)
			write_word(endpoint->class_fds[0][0], 0, size_of(endpoint->class_fds[0][0]),
				   input);
		break;
	default:
		write_word(endpoint->acks_fd, 0, size_of(endpoint->acks_fd), input);
	}
}

/* The counts and lines of a subscriber's block, or what it holds. */
static void lie_in_block(const struct zcp_fuzz_belongings *belongings,
			 const struct zcp_fuzz_belonging *endpoint, uint32_t slot, bool in_held,
			 struct zcp_fuzz_input *input)
{
	struct zcp_topic topic;
	struct zcp_acks acks;
	uint64_t at, held;

	if (!map_topic(belongings, endpoint, &topic))
		return;
	if (map_acks(belongings, endpoint, &topic, &acks)) {
		slot %= topic.geometry.max_subscribers;
		at = (uint64_t)(zcp_acks_block(&acks, slot) - (char *)acks.shm);
		held = (uint64_t)((char *)zcp_acks_held(&acks, slot) - (char *)acks.shm);
		zcp_acks_deinit(&acks);
		write_word(endpoint->acks_fd, in_held ? held : at, in_held ? held + 64 : held,
			   input);
	}
	zcp_topic_deinit(&topic);
}

static void lie_as_subscriber(const struct zcp_fuzz_belongings *belongings,
			      const struct zcp_fuzz_belonging *endpoint, uint32_t place,
			      struct zcp_fuzz_input *input)
{
	switch (place) {
	case 0:
		write_word(endpoint->acks_fd, 0, size_of(endpoint->acks_fd), input);
		break;
	case 1:
		write_word(endpoint->acks_fd, 0, offsetof(struct zcp_acks_shm, sleepers), input);
		break;
	case 2:
	case 4:
		lie_in_block(belongings, endpoint, endpoint->slot, place == 4, input);
		break;
	case 3:
		lie_in_block(belongings, endpoint, zcp_fuzz_below(input, 4), false, input);
		break;
	default:
		write_word(endpoint->acks_fd, offsetof(struct zcp_acks_shm, sleepers), 512, input);
	}
}

void zcp_fuzz_belongings_lie(const struct zcp_fuzz_belongings *belongings,
			     const struct zcp_fuzz_belonging *endpoint,
			     struct zcp_fuzz_input *input)
{
	uint32_t place = zcp_fuzz_below(input, 7);

	if (place == 6)
		write_word(belongings->signals_fd, 0, size_of(belongings->signals_fd), input);
	else if (endpoint->is_publisher)
		lie_as_publisher(belongings, endpoint, place, input);
	else
		lie_as_subscriber(belongings, endpoint, place, input);
}

/* --- handing back --- */

/* So much of the file, in another one with these seals; or the file itself where it is large. */
static int copy(int fd, uint64_t size, int seals)
{
	static char bytes[COPY_MAX];
	int new;

	if (size > sizeof(bytes))
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	new = memfd_create("zcp-fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ZCP_CHECK(new >= 0 && ftruncate(new, (off_t)size) == 0);
	ZCP_CHECK(pread(fd, bytes, size, 0) == (ssize_t)size);
	write_at(new, 0, bytes, size);
	ZCP_CHECK(fcntl(new, F_ADD_SEALS, seals) == 0);
	return new;
}

static void add(struct zcp_fds *fds, int fd)
{
	int new = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	ZCP_CHECK(new >= 0);
	fds->fds[fds->n_fds++] = new;
}

static void replace(struct zcp_fds *fds, uint32_t i, int fd)
{
	if (i < fds->n_fds && fd >= 0) {
		zcp_close_fd(&fds->fds[i]);
		fds->fds[i] = zcp_steal_fd(&fd);
	}
	zcp_close_fd(&fd);
}

static void add_pairs(struct zcp_fds *fds, const struct zcp_fuzz_belonging *endpoint)
{
	for (uint32_t c = 0; c < endpoint->n_classes && fds->n_fds + 2 <= ZCP_PACKET_FDS_MAX; c++) {
		add(fds, endpoint->class_fds[c][0]);
		add(fds, endpoint->class_fds[c][1]);
	}
}

/* As it is, but another one. */
static void copy_one(struct zcp_fds *fds, uint32_t i, bool is_sealed, unsigned int divisor)
{
	if (i < fds->n_fds)
		replace(fds, i,
			copy(fds->fds[i], size_of(fds->fds[i]) / divisor,
			     is_sealed ? fcntl(fds->fds[i], F_GET_SEALS) : 0));
}

static void spoil(struct zcp_fds *fds, const struct zcp_fuzz_belonging *endpoint,
		  enum zcp_fuzz_way way, struct zcp_fds *odd)
{
	int swapped;

	switch (way) {
	case ZCP_FUZZ_TWICE:
		add_pairs(fds, endpoint);
		break;
	case ZCP_FUZZ_ODD_TOPIC:
	case ZCP_FUZZ_ODD_ACKS:
	case ZCP_FUZZ_ODD_CLASS:
		if (odd->n_fds > 0)
			replace(fds, (uint32_t)(way - ZCP_FUZZ_ODD_TOPIC),
				zcp_steal_fd(&odd->fds[0]));
		break;
	case ZCP_FUZZ_SWAPPED:
		if (fds->n_fds < 4)
			break;
		swapped = fds->fds[2];
		fds->fds[2] = fds->fds[3];
		fds->fds[3] = swapped;
		break;
	case ZCP_FUZZ_COPIED_TOPIC:
		copy_one(fds, 0, true, 1);
		break;
	case ZCP_FUZZ_COPIED_ACKS:
		copy_one(fds, 1, true, 1);
		break;
	case ZCP_FUZZ_COPIED_CLASS:
		copy_one(fds, 2, true, 1);
		copy_one(fds, 3, true, 1);
		break;
	case ZCP_FUZZ_UNSEALED:
	case ZCP_FUZZ_UNSEALED_ACKS:
		copy_one(fds, way == ZCP_FUZZ_UNSEALED_ACKS, false, 1);
		break;
	case ZCP_FUZZ_SHORT:
	case ZCP_FUZZ_SHORT_ACKS:
		copy_one(fds, way == ZCP_FUZZ_SHORT_ACKS, true, 2);
		break;
	default:
		break;
	}
}

uint64_t zcp_fuzz_belonging_fds(const struct zcp_fuzz_belonging *endpoint,
				const struct zcp_fuzz_belonging *another, enum zcp_fuzz_way way,
				struct zcp_fds *odd, struct zcp_fds *fds)
{
	fds->n_fds = 0;
	if (way != ZCP_FUZZ_NOTHING) {
		add(fds, (way == ZCP_FUZZ_TOPIC_OF_ANOTHER ? another : endpoint)->topic_fd);
		add(fds, (way == ZCP_FUZZ_ACKS_OF_ANOTHER ? another : endpoint)->acks_fd);
	}
	if (way != ZCP_FUZZ_NOTHING && way != ZCP_FUZZ_TOPIC_ALONE)
		add_pairs(fds, way == ZCP_FUZZ_CLASSES_OF_ANOTHER ? another : endpoint);
	spoil(fds, endpoint, way, odd);
	zcp_fds_deinit(odd);
	return way == ZCP_FUZZ_ID_OF_ANOTHER ? another->id : endpoint->id;
}
