/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the control socket that say anything in any order, with any descriptors beside
 * it, and end at any time; and a worker that dies at any time, from whose records the next one
 * goes on. The registry agrees with itself after each step, the answers are what they should be,
 * the records say what there is, and when all have gone nothing is left, open, allocated or kept.
 *
 *   c CLIENT CRAMPED       connects; CRAMPED: what it does not read is soon too much
 *   r CLIENT               reads what was said to it
 *   q CLIENT    k CLIENT   hangs up; its process ends
 *   j CLIENT TEXT          says what stands there to the end of the line: support/packet.h
 *   h p s x y g f F w l i e a m
 *                          says something else: support/requests.h
 *   d KIND                 one more descriptor goes with what is said next: support/image.h
 *   b N                    0: the runtime does all at once; 1: when it is told to
 *   u    v    V            it is; it looks after those that join and leave; time passes first
 *   t N                    the worker dies: before the N-th access to shared memory of what it
 *                          does next (a crash point counts as one), or else behind it; the one
 *                          after that, as often as this is said again before
 *   z N                    it can open about N descriptors more, the next time it does anything
 *   K E B n o N A W        all of the runtime is killed, and its nodes come back to another one:
 *                          support/comeback.h
 *   M TOPIC WORD VALUE               lies in a topic
 *   O TOPIC PUBLISHER WORD VALUE     lies in a publisher's slot, whose first word is op
 *   D TOPIC CLASS CHUNK WORD VALUE   lies in a descriptor, from 1 on; 0: in what the class says of
 *                                    its use
 *   H TOPIC SUBSCRIBER WORD VALUE    lies in a subscriber's acks, or behind the last one's in what
 *                                    all of them write
 *   R BLOCK WORD VALUE     lies in the directory; R and S: support/records_lie.h
 *   S RECORD HOW           a record is spoiled; the next worker may refuse to go on
 *   C N                    before everything else: which configuration
 *   Z                      last of all: the runtime ends, and its clients are still there
 *
 * With ZCP_FUZZ_LOG in the environment the runtime's log is written, all of it.
 */
#include <stdlib.h>
#include <string.h>

#include "pubsub/util.h"
#include "runtime/repair/audit.h"
#include "runtime/system/log.h"
#include "tests/fuzz/support/clients.h"
#include "tests/fuzz/support/comeback.h"
#include "tests/fuzz/support/descriptors.h"
#include "tests/fuzz/support/image.h"
#include "tests/fuzz/support/input.h"
#include "tests/fuzz/support/mortal.h"
#include "tests/fuzz/support/records_check.h"
#include "tests/fuzz/support/records_lie.h"
#include "tests/fuzz/support/registry_check.h"
#include "tests/fuzz/support/requests.h"
#include "tests/fuzz/support/say.h"
#include "tests/support/check.h"

#define N_CONFIGURATIONS 3

static const char *const configurations[N_CONFIGURATIONS] = {
	"[runtime]\nmax_nodes = 3\nmax_topics = 5\n"
	"[topic.\"*\"]\nmax_payload = \"64KiB\"\nmax_publishers = 2\nmax_subscribers = 3\n"
	"depth = 2\nmax_depth = 8\n"
	"[pool.p]\nclasses = [ { size = 64, count = 20 }, { size = 512, count = 30 } ]\n"
	"user_header = 64\n"
	"[topic.\"shared/*\"]\npool = \"p\"\n"
	"[topic.\"kept/*\"]\nkeep_history = true\nhistory = 2\n",
	/* The defaults. */
	"",
	"[defaults]\ntimestamps = false\nmax_publishers = 1\nmax_subscribers = 1\n"
	"[topic.a]\ntype = \"T\"\nalignment = 256\nuser_header = 24\nmax_payload = 100\n"
	"[topic.\"b/c\"]\ntimestamps = true\norder = \"time\"\non_full = \"block\"\nhistory = 9\n"
	"max_subscribers = 90\n",
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zcpd_config *configs[N_CONFIGURATIONS];

struct scene {
	struct zcp_fuzz_runtime runtime;
	bool batch;
};

static void add_descriptor(struct scene *s, struct zcp_fuzz_input *input)
{
	const struct zcp_fuzz_image image = {
		.size = 4096, .descriptor = zcp_fuzz_below(input, ZCP_FUZZ_N_DESCRIPTORS)
	};
	int fd = zcp_fuzz_image_open(&image);

	if (fd >= 0 && s->runtime.fds.n_fds < 3)
		s->runtime.fds.fds[s->runtime.fds.n_fds++] = fd;
	else
		zcp_close_fd(&fd);
}

/* --- lies --- */

static const struct zcpd_topic *choose_existing(const struct scene *s, struct zcp_fuzz_input *input)
{
	uint32_t n = s->runtime.server.registry.n_topics;
	uint32_t i = n > 0 ? zcp_fuzz_below(input, n) : 0;
	const struct zcpd_topic *topic;

	LIST_FOREACH(topic, &s->runtime.server.registry.topics, link)
		if (i-- == 0)
			return topic;
	return NULL;
}

/* Behind the header and the geometry, which are looked at once. */
static void lie_in_topic(struct scene *s, struct zcp_fuzz_input *input)
{
	const struct zcpd_topic *topic = choose_existing(s, input);
	uint32_t n = topic ? (uint32_t)(zcp_topic_size(&topic->view.geometry) / 8) : 0, word;

	if (n <= 16)
		return;
	word = 16 + zcp_fuzz_below(input, n - 16);
	zcp_test_store((_Atomic uint64_t *)topic->view.shm + word, zcp_fuzz_number(input));
	s->runtime.is_honest = s->runtime.is_smooth = false;
}

static void lie_in_publisher(struct scene *s, struct zcp_fuzz_input *input)
{
	const struct zcpd_topic *topic = choose_existing(s, input);
	struct zcp_publisher_slot_shm *slot;
	uint32_t word;

	if (!topic)
		return;
	slot = &topic->view.publishers[zcp_fuzz_below(input, topic->view.geometry.max_publishers)];
	word = zcp_fuzz_below(input, sizeof(*slot) / 8);
	zcp_test_store(&slot->op + word, zcp_fuzz_number(input));
	s->runtime.is_honest = s->runtime.is_smooth = false;
}

/* In a subscriber's block as far as its first places, or where they write together. */
static void lie_in_acks(struct scene *s, struct zcp_fuzz_input *input)
{
	const struct zcpd_topic *topic = choose_existing(s, input);
	uint32_t subscriber, n;
	_Atomic uint64_t *words;

	if (!topic)
		return;
	subscriber = zcp_fuzz_below(input, topic->view.geometry.max_subscribers + 1);
	if (subscriber < topic->view.geometry.max_subscribers) {
		words = (void *)zcp_acks_block(&topic->acks, subscriber);
		n = (uint32_t)(zcp_acks_held(&topic->acks, subscriber) - words) + 8;
	} else {
		words = topic->acks.shm->sleepers;
		n = 16;
	}
	zcp_test_store(words + zcp_fuzz_below(input, n), zcp_fuzz_number(input));
	s->runtime.is_honest = s->runtime.is_smooth = false;
}

static void lie_in_descriptor(struct scene *s, struct zcp_fuzz_input *input)
{
	const struct zcpd_topic *topic = choose_existing(s, input);
	const struct zcp_class *class;
	_Atomic uint64_t *words;
	uint32_t i;

	if (!topic || topic->pool->view.n_classes == 0)
		return;
	class = &topic->pool->view.classes[zcp_fuzz_below(input, topic->pool->view.n_classes)];
	i = zcp_fuzz_below(input, class->n_chunks + 1);
	words = i == 0 ? (void *)&class->shm->n_touched : (void *)&class->chunks[i - 1];
	words += zcp_fuzz_below(input, sizeof(struct zcp_chunk_shm) / 8);
	zcp_test_store(words, zcp_fuzz_number(input));
	s->runtime.is_honest = s->runtime.is_smooth = false;
}

/* --- commands --- */

static void let_time_pass(struct scene *s)
{
	struct zcpd_endpoint *endpoint;

	TAILQ_FOREACH(endpoint, &s->runtime.server.registry.pending, pending)
		endpoint->deadline_ns = 0;
}

static void run_runtime(struct scene *s, char command, struct zcp_fuzz_input *input)
{
	switch (command) {
	case 'd':
		add_descriptor(s, input);
		break;
	case 'b':
		s->batch = zcp_fuzz_below(input, 2);
		break;
	case 't':
		zcp_fuzz_runtime_kill(&s->runtime, (uint32_t)zcp_fuzz_number(input));
		break;
	case 'z':
		s->runtime.n_free = (int)zcp_fuzz_below(input, 8);
		s->runtime.is_smooth = false;
		break;
	case 'V':
		let_time_pass(s);
		/* fall through */
	case 'v':
		zcp_fuzz_runtime_poll(&s->runtime);
		break;
	case 'M':
		lie_in_topic(s, input);
		break;
	case 'O':
		lie_in_publisher(s, input);
		break;
	case 'D':
		lie_in_descriptor(s, input);
		break;
	case 'H':
		lie_in_acks(s, input);
		break;
	case 'R':
	case 'S':
		s->runtime.records_lie = true;
		s->runtime.is_honest = s->runtime.is_smooth = false;
		if (command == 'R')
			zcp_fuzz_records_change(&s->runtime.server.directory, input);
		else
			zcp_fuzz_records_spoil(&s->runtime.keeper.shelf, input);
		break;
	}
}

static void run_client(struct scene *s, char command, struct zcp_fuzz_input *input)
{
	struct zcp_fuzz_client *client =
		&s->runtime.clients[zcp_fuzz_below(input, ZCP_FUZZ_CLIENTS)];
	struct zcp_message message = { .type = ZCP_MESSAGE_NONE };

	switch (command) {
	case 'c':
		zcp_fuzz_client_connect(&s->runtime, client, zcp_fuzz_below(input, 2));
		break;
	case 'j':
		zcp_fuzz_say_text(&s->runtime, client, input);
		break;
	case 'r':
		zcp_fuzz_client_drain(&s->runtime, client);
		break;
	case 'q':
		zcp_fuzz_client_hang_up(client);
		break;
	case 'k':
		zcp_fuzz_client_die(client);
		break;
	default:
		zcp_fuzz_request(&message, command, client, input);
		zcp_fuzz_say(&s->runtime, client, &message);
	}
}

/* What was not handed back is closed. */
static bool is_of_before(const struct zcpd_registry *registry, const struct zcpd_endpoint *endpoint)
{
	return endpoint->entry.id >> 32 < registry->last_id >> 32 && !endpoint->entry.returned &&
	       endpoint->entry.state != ZCPD_ENDPOINT_LEAVING;
}

static void check_session(const struct scene *s, const struct zcpd_session *session)
{
	const struct zcpd_registry *registry = &s->runtime.server.registry;
	const struct zcpd_endpoint *endpoint;
	uint32_t n = 0;

	LIST_FOREACH(endpoint, &session->endpoints, link) {
		ZCP_CHECK(endpoint->session == session);
		/* Nothing new is sent to where nobody listens. */
		ZCP_CHECK(session->socket >= 0 || session->entry.returning ||
			  endpoint->entry.state == ZCPD_ENDPOINT_INACTIVE ||
			  endpoint->entry.state == ZCPD_ENDPOINT_LEAVING);
		ZCP_CHECK(!s->runtime.is_honest || session->entry.returning ||
			  !is_of_before(registry, endpoint));
		n++;
	}
	ZCP_CHECK(zcp_fuzz_n_endpoints(registry, session) == n);
}

static void check(const struct scene *s)
{
	const struct zcpd_registry *registry = &s->runtime.server.registry;
	uint32_t n_greeted = 0, n_words = (registry->signals.n_signals + 63) / 64;
	const struct zcpd_session *session, *other;

	zcp_fuzz_registry_check(registry, s->runtime.is_honest);
	LIST_FOREACH(session, &s->runtime.server.sessions, link) {
		n_greeted += session->entry.greeted;
		LIST_FOREACH(other, &s->runtime.server.sessions, link)
			ZCP_CHECK(other == session || other->entry.id != session->entry.id);
		check_session(s, session);
	}
	ZCP_CHECK(zcp_fuzz_n_bits(registry->signals_used, n_words) == n_greeted);
	ZCP_CHECK(registry->n_nodes == n_greeted);
	ZCP_CHECK(registry->waits == s->runtime.waits);
}

static void audit(const struct scene *s)
{
	struct zcp_message report = { .type = ZCP_MESSAGE_NONE };
	char text[ZCP_TEXT_SIZE];

	ZCP_CHECK(zcpd_audit(&s->runtime.server.registry, &report, text, sizeof(text)) == 0);
	ZCP_CHECK(report.u.audit_report.n_wrong == 0);
	zcp_message_deinit(&report);
}

static void run(struct scene *s, char command, struct zcp_fuzz_input *input)
{
	uint32_t n_workers = s->runtime.n_workers;

	if (strchr("dbtuvVMODHzRS", command))
		run_runtime(s, command, input);
	else if (strchr(ZCP_FUZZ_COMEBACKS, command))
		zcp_fuzz_come_back(&s->runtime, command, input);
	else if (s->runtime.n_requests < ZCP_FUZZ_REQUESTS_MAX)
		run_client(s, command, input);
	if (strchr("ztRS", command) || (s->batch && command != 'u'))
		return;
	zcp_fuzz_runtime_turn(&s->runtime);
	if (s->runtime.records_lie)
		return;
	check(s);
	if (s->runtime.n_workers != n_workers)
		zcp_fuzz_records_check(&s->runtime.keeper, &s->runtime.server);
}

static void end(struct scene *s, bool is_abandoned)
{
	if (s->runtime.records_lie) {
		zcp_fuzz_runtime_kill(&s->runtime, 0);
		zcp_fuzz_runtime_turn(&s->runtime);
		zcp_fuzz_runtime_drop(&s->runtime);
		return;
	}
	zcp_fuzz_runtime_end_wait(&s->runtime);
	zcp_fuzz_records_check(&s->runtime.keeper, &s->runtime.server);
	if (s->runtime.is_honest) {
		zcp_fuzz_clients_check_answers(&s->runtime);
		audit(s);
	}
	if (is_abandoned)
		zcp_fuzz_runtime_abandon(&s->runtime);
	else
		zcp_fuzz_runtime_deinit(&s->runtime);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct zcpd_config_error error;
	uv_loop_t loop;

	(void)argc;
	(void)argv;
	zcp_fuzz_mortal_init();
	zcpd_log_set_level(getenv("ZCP_FUZZ_LOG") ? ZCPD_CONFIG_LOG_DEBUG : ZCPD_CONFIG_LOG_ERROR);
	/* The first loop of all opens something that stays. */
	ZCP_CHECK(uv_loop_init(&loop) == 0);
	ZCP_CHECK(uv_loop_close(&loop) == 0);
	for (int i = 0; i < N_CONFIGURATIONS; i++)
		ZCP_CHECK(zcpd_config_parse(&configs[i], configurations[i],
					    strlen(configurations[i]), "fuzz", &error) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene s;
	struct zcp_fuzz_input input = { data, data + size };
	uint32_t config = 0;
	char command;

	if (zcp_fuzz_begins_with(&input, 'C'))
		config = zcp_fuzz_below(&input, N_CONFIGURATIONS);
	memset(&s, 0, sizeof(s));
	zcp_fuzz_descriptors_begin();
	zcp_fuzz_runtime_init(&s.runtime, configs[config]);
	do {
		command = zcp_fuzz_command(&input, ZCP_FUZZ_REQUESTS ZCP_FUZZ_COMEBACKS
					   "crqjkdbtzuvVMODHRSZ");
		if (command && command != 'Z')
			run(&s, command, &input);
	} while (command && command != 'Z' && !s.runtime.is_refused);
	end(&s, command == 'Z');
	zcp_fuzz_descriptors_check();
	return 0;
}
