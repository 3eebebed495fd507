/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscribers come and go, the way the runtime lets them, while somebody looks who is there:
 * from another thread as fast as it can, and between any two instructions of the one who
 * looks. Every name is whole and belongs to its id, nobody is seen before he is announced,
 * nobody comes or goes twice, and in the end both sides agree.
 */
#include "pubsub/shm/members.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/check.h"
#include "tests/support/testbed.h"
#include "tests/support/tracee.h"

#define N_SLOTS 3
#define N_MEMBERS_MAX 1000000
/* More than one word. */
#define NAME_LENGTH 12
/* Instructions of a look at which somebody comes or goes, evenly apart. */
#define N_PLACES 64

enum fate {
	UNBORN,
	ANNOUNCED,
	JOINED,
	LEFT,
};

/* Shared by all who take part. */
struct stress {
	struct zcp_testbed bed;
	uint64_t n_members;
	_Atomic bool is_over;
	/* of the one who comes and goes */
	uint64_t last_id;
	uint64_t set;
	uint32_t seed;
	uint32_t n_slots;
	uint32_t slot;
	enum { LEAVE, WRITE, JOIN } next;
	/* of the one who looks */
	struct zcp_members members;
	uint64_t n_looks;
	/* stops itself after so many, if not 0 */
	_Atomic uint64_t stop_after;
	uint64_t n_joined;
	uint64_t n_left;
	/* one for each id: enum fate; written by the one side up to ANNOUNCED, then the other */
	_Atomic uint8_t fates[N_MEMBERS_MAX + 1];
};

static struct stress *stress_new(uint64_t n_members, uint32_t n_slots)
{
	const struct zcp_testbed_options options = ZCP_TESTBED_OPTIONS(1, N_SLOTS, 2, 64, 4);
	struct stress *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ZCP_CHECK(s != MAP_FAILED);
	s->n_members = n_members < N_MEMBERS_MAX ? n_members : N_MEMBERS_MAX;
	s->n_slots = n_slots;
	s->seed = 1;
	zcp_testbed_init(&s->bed, &options);
	ZCP_CHECK(zcp_members_init(&s->members, &s->bed.view.topic, ZCP_MEMBER_SUBSCRIBER) == 0);
	return s;
}

static void stress_free(struct stress *s)
{
	zcp_members_deinit(&s->members);
	zcp_testbed_deinit(&s->bed);
	(void)munmap(s, sizeof(*s));
}

/* A name that says whose it is, in each of its words. */
static void name_of(uint64_t id, char name[ZCP_MEMBER_NODE_SIZE])
{
	memset(name, 0, ZCP_MEMBER_NODE_SIZE);
	memset(name, (int)('a' + id % 26), NAME_LENGTH);
}

static void write_name(struct stress *s, uint32_t slot, uint64_t id)
{
	struct zcp_member member = { .id = id, .pid = (uint32_t)id };

	name_of(id, member.node);
	zcp_member_write(&s->bed.view.topic, ZCP_MEMBER_SUBSCRIBER, slot, &member);
}

static void check_name(const struct zcp_member *member)
{
	char name[ZCP_MEMBER_NODE_SIZE];

	name_of(member->id, name);
	ZCP_CHECK(strcmp(member->node, name) == 0 && member->pid == (uint32_t)member->id);
}

static void announce(struct stress *s, bool present)
{
	const struct zcp_topic *topic = &s->bed.view.topic;
	uint64_t bit = UINT64_C(1) << s->slot;

	s->set = present ? s->set | bit : s->set & ~bit;
	/* MEMBERS-R1, CHANGES-R1: as zcpd_members_announce(). */
	atomic_store_explicit(&topic->shm->announced[0], s->set, memory_order_release);
	(void)atomic_fetch_add_explicit(&topic->shm->changes, 1, memory_order_release);
}

/* One step of a slot's change of hands. */
static void come_and_go(struct stress *s)
{
	switch (s->next) {
	case LEAVE:
		s->slot = zcp_test_random(&s->seed) % s->n_slots;
		if (s->set >> s->slot & 1)
			announce(s, false);
		s->next = WRITE;
		break;
	case WRITE:
		write_name(s, s->slot, s->last_id + 1);
		s->next = JOIN;
		break;
	default:
		s->last_id++;
		/* Relaxed: the announcement orders it. */
		atomic_store_explicit(&s->fates[s->last_id], ANNOUNCED, memory_order_relaxed);
		announce(s, true);
		s->next = LEAVE;
	}
}

static void look_once(struct stress *s)
{
	struct zcp_members_look look = zcp_members_look(&s->members);
	struct zcp_member member;
	bool has_joined;

	while (zcp_members_next(&s->members, &look, &member, &has_joined)) {
		ZCP_CHECK(member.id >= 1 && member.id <= s->n_members);
		check_name(&member);
		/* Relaxed: what is known of the member came after it. */
		ZCP_CHECK(atomic_load_explicit(&s->fates[member.id], memory_order_relaxed) ==
			  (has_joined ? ANNOUNCED : JOINED));
		atomic_store_explicit(&s->fates[member.id], has_joined ? JOINED : LEFT,
				      memory_order_relaxed);
		s->n_joined += has_joined;
		s->n_left += !has_joined;
	}
}

/* What is known is what there is, once nobody comes or goes any more. */
static void check_agreement(const struct stress *s)
{
	const struct zcp_topic *topic = &s->bed.view.topic;
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
		uint64_t id = zcp_test_load(&topic->subscribers[slot].subscriber_id);

		if (!(zcp_test_load(&topic->shm->announced[0]) >> slot & 1))
			id = 0;
		ZCP_CHECK(s->members.known[slot].id == id);
		n += id != 0;
	}
	ZCP_CHECK(s->members.n_known == n && s->n_joined - s->n_left == n);
}

static void look(void *arg)
{
	struct stress *s = arg;
	bool is_over;

	do {
		is_over = zcp_test_load(&s->is_over);
		if (zcp_members_have_changed(&s->members))
			look_once(s);
		if (++s->n_looks == zcp_test_load(&s->stop_after))
			(void)raise(SIGSTOP);
	} while (!is_over);
	ZCP_CHECK(!zcp_members_have_changed(&s->members));
	check_agreement(s);
}

/* --- two threads --- */

static void *let_come_and_go(void *arg)
{
	struct stress *s = arg;

	while (s->last_id < s->n_members) {
		come_and_go(s);
		zcp_test_pause(&s->seed, s->next == LEAVE ? 400 : 100);
	}
	zcp_test_store(&s->is_over, true);
	return NULL;
}

static void threads(void)
{
	struct stress *s = stress_new(zcp_test_rounds(100000), N_SLOTS);
	pthread_t thread;

	ZCP_CHECK(pthread_create(&thread, NULL, let_come_and_go, s) == 0);
	look(s);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	(void)printf("threads: %llu came, %llu were seen to come, %llu to go\n",
		     (unsigned long long)s->last_id, (unsigned long long)s->n_joined,
		     (unsigned long long)s->n_left);
	ZCP_CHECK(s->n_joined > 0 && s->n_left > 0);
	stress_free(s);
}

/* --- between two instructions --- */

/* On, and to the beginning of the second look from here. */
static void go_on_to_a_look(struct stress *s, pid_t pid)
{
	zcp_test_store(&s->stop_after, s->n_looks + 2);
	ZCP_CHECK(zcp_tracee_continue(pid));
}

/* Into that look, as far as one of N_PLACES. */
static void go_on_to_place(pid_t pid, uint64_t n_steps, uint64_t place)
{
	for (uint64_t i = 0; i < n_steps * place / N_PLACES; i++)
		ZCP_CHECK(zcp_tracee_step(pid));
}

static void go_on_to_the_end(struct stress *s, pid_t pid)
{
	zcp_test_store(&s->stop_after, 0);
	zcp_test_store(&s->is_over, true);
	ZCP_CHECK(!zcp_tracee_continue(pid));
}

/* To the beginning of a look that finds a newcomer; the one before him has been found to leave. */
static void go_on_to_a_newcomer(struct stress *s, pid_t pid)
{
	while (s->next != JOIN)
		come_and_go(s);
	go_on_to_a_look(s, pid);
	come_and_go(s);
}

/*
 * Each time some instructions later in the look that finds a newcomer he leaves, and another
 * is about to have his slot.
 */
static void steps_of_a_look(void)
{
	struct stress *s = stress_new(N_MEMBERS_MAX, 1);
	pid_t pid = zcp_tracee_start(look, s);
	uint64_t n = 0, n_joined;

	go_on_to_a_newcomer(s, pid);
	for (n_joined = s->n_joined; s->n_joined == n_joined; n++)
		ZCP_CHECK(zcp_tracee_step(pid));
	for (uint64_t place = 0; place < N_PLACES; place++) {
		go_on_to_a_newcomer(s, pid);
		go_on_to_place(pid, n, place);
	}
	go_on_to_the_end(s, pid);
	(void)printf("a look of %llu instructions: %llu came, %llu were seen to\n",
		     (unsigned long long)n, (unsigned long long)s->last_id,
		     (unsigned long long)s->n_joined);
	stress_free(s);
}

/* Reads whoever has the slot; what is read must be of one piece. Returns the id, or 0. */
static uint64_t read_name(const struct stress *s)
{
	struct zcp_member member;

	if (!zcp_member_read(&s->bed.view.topic, ZCP_MEMBER_SUBSCRIBER, 0, &member))
		return 0;
	check_name(&member);
	return member.id;
}

static void read_names(void *arg)
{
	struct stress *s = arg;

	while (!zcp_test_load(&s->is_over)) {
		s->n_joined += read_name(s) != 0;
		if (++s->n_looks == zcp_test_load(&s->stop_after))
			(void)raise(SIGSTOP);
	}
}

/* The slot is given to another while it is read. */
static void steps_of_a_read(void)
{
	struct stress *s = stress_new(0, 1);
	pid_t pid = zcp_tracee_start(read_names, s);
	uint64_t n = 0, n_looks, id = 0;

	write_name(s, 0, ++id);
	go_on_to_a_look(s, pid);
	for (n_looks = s->n_looks; s->n_looks == n_looks; n++)
		ZCP_CHECK(zcp_tracee_step(pid));
	for (uint64_t place = 0; place < N_PLACES; place++) {
		go_on_to_a_look(s, pid);
		go_on_to_place(pid, n, place);
		write_name(s, 0, ++id);
	}
	go_on_to_the_end(s, pid);
	(void)printf("a read of %llu instructions: %llu of %llu were whole\n",
		     (unsigned long long)n, (unsigned long long)s->n_joined,
		     (unsigned long long)s->n_looks);
	ZCP_CHECK(s->n_joined > 0 && s->n_joined < s->n_looks);
	stress_free(s);
}

static void write_second_name(void *arg)
{
	write_name(arg, 0, 2);
}

/* Whoever reads between two of the writer's instructions gets the one name or the other. */
static void steps_of_a_write(void)
{
	struct stress *s = stress_new(0, 1);
	bool seen[3] = { false };
	pid_t pid;

	write_name(s, 0, 1);
	pid = zcp_tracee_start(write_second_name, s);
	do {
		seen[read_name(s)] = true;
	} while (zcp_tracee_step(pid));
	ZCP_CHECK(seen[0] && seen[1] && seen[2]);
	stress_free(s);
}

int main(void)
{
	zcp_test_watchdog(100);
	threads();
#ifdef ZCP_TEST_TSAN
	/* Each step of ThreadSanitizer's own would be one too. */
	return 0;
#endif
	steps_of_a_look();
	steps_of_a_read();
	steps_of_a_write();
	return 0;
}
