/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Within the sums nobody starves anybody: endpoints are opened as long as the runtime lets them in,
 * and whatever they do, a publisher that has a loan left gets it. What is held or on loan is never
 * written by another. In a random order, in which endpoints come, go, and lose their connection.
 */
#include <stdio.h>

#include "runtime/open/admission.h"
#include "runtime/open/open.h"
#include "tests/unit/plane_helpers.h"

#define N_TOPICS 2
#define N_PUBLISHERS 4
#define N_SUBSCRIBERS 6
#define MAX_LOANS 12
#define MAX_HELD 24
#ifdef ZCP_TEST_ASAN
#define N_SEEDS 4
#else
#define N_SEEDS 40
#endif
#define N_PHASES 100
#define N_STEPS 200

/* What an endpoint does for a while. */
enum mode {
	MODE_ANY,
	MODE_IDLE,  /* nothing */
	MODE_EAGER, /* a publisher sends and sends; a subscriber takes all that it may hold */
	MODE_TIDY,  /* a subscriber takes and gives back; a publisher has nothing on loan */
	N_MODES,
};

struct publisher {
	enum mode mode;
	struct zcpd_endpoint *endpoint;
	struct zcp_writer writer;
	struct zcp_writer_loan loans[MAX_LOANS];
	uint32_t n_loans;
};

struct subscriber {
	enum mode mode;
	struct zcpd_endpoint *endpoint;
	struct zcp_reader reader;
	struct zcp_reader_message held[MAX_HELD];
	uint32_t n_held;
};

static struct publisher publishers[N_PUBLISHERS];
static struct subscriber subscribers[N_SUBSCRIBERS];
static uint32_t random_state;
/* How often it was so, over all runs. */
static uint64_t n_loans, n_refused, n_inactive, n_taken, n_without;

static uint32_t below(uint32_t n)
{
	return zcp_test_random(&random_state) % n;
}

static const char *a_topic(void)
{
	static const char *const names[N_TOPICS] = { "a", "b" };

	return names[below(N_TOPICS)];
}

/* With as many loans as there is room for. */
static void open_publisher(struct publisher *p, uint32_t seed)
{
	struct zcp_open_publisher request = { .max_payload = 64,
					      .history = below(2) * below(seed % 3 ? 8 : 24) };

	(void)strcpy(request.topic, a_topic());
	for (request.loans = 1 + below(MAX_LOANS); request.loans > 0; request.loans--) {
		if (zcpd_open_publisher(&registry, &client, &request, &p->endpoint, text,
					sizeof(text)) == 0) {
			p->n_loans = 0;
			open_writer(p->endpoint, &p->writer);
			return;
		}
		n_refused++;
	}
	p->endpoint = NULL;
}

static void close_publisher(struct publisher *p)
{
	zcp_writer_deinit(&p->writer);
	close_endpoint(p->endpoint);
	p->endpoint = NULL;
}

static void open_one_subscriber(struct subscriber *s, uint32_t seed)
{
	struct zcp_open_subscriber request = { .depth = 1 + below(seed % 3 ? 8 : 16),
					       .history = below(2) * below(seed % 3 ? 8 : 24) };

	(void)strcpy(request.topic, a_topic());
	for (request.held = 1 + below(MAX_HELD); request.held > 0; request.held--) {
		if (zcpd_open_subscriber(&registry, &client, &request, 1, &s->endpoint, text,
					 sizeof(text)) == 0) {
			s->n_held = 0;
			open_reader(s->endpoint, &s->reader);
			return;
		}
		n_refused++;
	}
	s->endpoint = NULL;
}

static void close_subscriber(struct subscriber *s)
{
	zcp_reader_deinit(&s->reader);
	close_endpoint(s->endpoint);
	s->endpoint = NULL;
}

static bool loses_connections(uint32_t seed)
{
	return seed % 4 == 0;
}

/*
 * Whether the sums hold. A subscriber that loses its connection has a queue of its own from then
 * on, which nobody had reserved: then they may not, until it is gone.
 */
static bool has_room(const struct zcpd_pool *shared)
{
	struct zcpd_admission_sum sums[ZCP_CLASSES_MAX];

	ZCP_CHECK(zcpd_admission_sums(&registry, shared, NULL, sums) == 0);
	return sums[0].n_reserved <= sums[0].n_chunks;
}

static bool loan(struct publisher *p, uint32_t seed, int phase)
{
	struct zcp_writer_loan *loan = &p->loans[p->n_loans];
	int r;

	if (p->n_loans == p->endpoint->entry.loans)
		return false;
	r = zcp_writer_loan(&p->writer, 64, loan);
	if (r != 0) {
		if (!loses_connections(seed) || has_room(p->endpoint->topic->pool))
			(void)fprintf(stderr, "seed %u, phase %d: a loan fails\n", seed, phase);
		ZCP_CHECK(r == ZCP_WRITER_E_EXHAUSTED && loses_connections(seed) &&
			  !has_room(p->endpoint->topic->pool));
		n_without++;
		return false;
	}
	/* As long as it is on loan nobody else writes there. */
	zcp_test_fill(loan->payload, 64, p->endpoint->entry.id, loan->ticket);
	p->n_loans++;
	n_loans++;
	return true;
}

static void publish_or_discard(struct publisher *p)
{
	uint32_t i;
	struct zcp_writer_loan loan;

	if (p->n_loans == 0)
		return;
	i = below(p->n_loans);
	loan = p->loans[i];
	p->loans[i] = p->loans[--p->n_loans];
	ZCP_CHECK(zcp_test_is_filled(loan.payload, 64, p->endpoint->entry.id, loan.ticket));
	if (below(16) == 0) {
		zcp_writer_discard(&p->writer, &loan);
		return;
	}
	zcp_test_fill(loan.payload, 64, p->endpoint->entry.id, p->writer.next_seq);
	ZCP_CHECK(zcp_writer_publish(&p->writer, &loan, 64, 0) == 0);
}

static void take(struct subscriber *s)
{
	struct zcp_reader_message *m = &s->held[s->n_held];
	int r = below(16) ? zcp_reader_take(&s->reader, m) : zcp_reader_latest(&s->reader, m);

	if (r == ZCP_READER_E_HELD)
		ZCP_CHECK(s->n_held == s->endpoint->entry.held);
	if (r != 0)
		return;
	ZCP_CHECK(zcp_test_is_filled(m->payload, 64, m->publisher_id, m->seq));
	s->n_held++;
	n_taken++;
}

static void release(struct subscriber *s)
{
	uint32_t i;

	if (s->n_held == 0)
		return;
	i = below(s->n_held);
	ZCP_CHECK(zcp_test_is_filled(s->held[i].payload, 64, s->held[i].publisher_id,
				     s->held[i].seq));
	ZCP_CHECK(zcp_reader_release(&s->reader, s->held[i].place, s->held[i].held) == 0);
	s->held[i] = s->held[--s->n_held];
}

static void step_of_publisher(struct publisher *p, uint32_t seed, int phase)
{
	if (!p->endpoint || p->mode == MODE_IDLE)
		return;
	for (int i = 0; i < 4; i++) {
		if (p->mode == MODE_EAGER || below(2))
			(void)loan(p, seed, phase);
		if (p->mode != MODE_ANY || below(2))
			publish_or_discard(p);
	}
}

static void step_of_subscriber(struct subscriber *s)
{
	if (!s->endpoint || s->mode == MODE_IDLE)
		return;
	if (s->mode == MODE_TIDY || below(2))
		take(s);
	if (s->mode == MODE_TIDY || (s->mode == MODE_ANY && below(2)))
		release(s);
	if (s->mode == MODE_EAGER)
		take(s);
}

/* Some come and go, and all do something else from now on. */
static void begin_phase(uint32_t seed)
{
	for (int p = 0; p < N_PUBLISHERS; p++) {
		if (publishers[p].endpoint && below(20) == 0)
			close_publisher(&publishers[p]);
		publishers[p].mode = below(N_MODES);
	}
	for (int s = 0; s < N_SUBSCRIBERS; s++) {
		struct zcpd_endpoint *endpoint = subscribers[s].endpoint;

		if (endpoint && below(seed % 2 ? 20 : 8) == 0)
			close_subscriber(&subscribers[s]);
		else if (loses_connections(seed) && endpoint &&
			 endpoint->entry.state == ZCPD_ENDPOINT_OPEN && below(8) == 0) {
			zcpd_registry_deactivate(&registry, endpoint);
			n_inactive++;
		}
		subscribers[s].mode = below(N_MODES);
	}
	/* As many as are let in. */
	for (int i = 0; i < 4; i++) {
		struct publisher *p = &publishers[below(N_PUBLISHERS)];
		struct subscriber *s = &subscribers[below(N_SUBSCRIBERS)];

		if (!p->endpoint)
			open_publisher(p, seed);
		if (!s->endpoint)
			open_one_subscriber(s, seed);
	}
}

/* All that they may have at once. */
static void end_phase(uint32_t seed, int phase)
{
	for (int p = 0; p < N_PUBLISHERS; p++)
		while (publishers[p].endpoint && loan(&publishers[p], seed, phase))
			continue;
}

static void run(uint32_t seed)
{
	struct zcpd_endpoint *anchor;
	char toml[256];

	random_state = seed;
	(void)snprintf(toml, sizeof(toml),
		       "[defaults]\nkeep_history = %s\n[topic.\"*\"]\npool = \"p\"\n"
		       "[pool.p]\nclasses = [{size = 64, count = %u}]\n",
		       below(2) ? "true" : "false", 30 + below(120));
	begin(toml);
	/* So that the pool goes on where all others have left; it reserves nothing. */
	cr_assert_eq(subscribe("anchor", 1, 1, &anchor), 0);
	for (int phase = 0; phase < N_PHASES; phase++) {
		begin_phase(seed);
		for (int step = 0; step < N_STEPS; step++) {
			step_of_publisher(&publishers[below(N_PUBLISHERS)], seed, phase);
			step_of_subscriber(&subscribers[below(N_SUBSCRIBERS)]);
		}
		end_phase(seed, phase);
	}
	for (int p = 0; p < N_PUBLISHERS; p++)
		if (publishers[p].endpoint)
			close_publisher(&publishers[p]);
	for (int s = 0; s < N_SUBSCRIBERS; s++)
		if (subscribers[s].endpoint)
			close_subscriber(&subscribers[s]);
	zcp_pool_deinit(&pool);
	end();
}

Test(starve, publisher_that_was_let_in_gets_each_of_its_loans, .timeout = 100)
{
	for (uint32_t seed = 1; seed <= N_SEEDS; seed++)
		run(seed);
	/* The sums were in the way, and were not so careful that little was left. */
	cr_assert_gt(n_refused, 20 * N_SEEDS);
	cr_assert_gt(n_inactive, N_SEEDS);
	cr_assert_gt(n_loans, 5000 * N_SEEDS);
	cr_assert_gt(n_loans, 100 * n_without);
	cr_assert_gt(n_taken, 500 * N_SEEDS);
}
