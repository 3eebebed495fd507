/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime tells about a topic: what holds for it, the sums that an endpoint more is
 * let in or refused by, and the pages of its endpoints, whoever comes and goes between them.
 */
#include "runtime/serve/info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zcp/subscriber.h>

#include "tests/unit/registry_helpers.h"

/* --- the topic --- */

static void ask_topic(const char *topic, struct zcp_message *reply)
{
	struct zcp_info request = { .topic = "" };

	(void)strcpy(request.topic, topic);
	memset(reply, 0, sizeof(*reply));
	cr_assert_eq(zcpd_info_topic(&registry, &request, reply, text, sizeof(text)), 0);
	cr_assert_eq(reply->type, ZCP_MESSAGE_TOPIC_INFO);
}

Test(info, topic_tells_what_holds_for_it)
{
	struct zcpd_endpoint *publisher, *subscriber;
	struct zcp_message reply;
	const struct zcp_topic_info *info = &reply.u.topic_info;

	begin("[defaults]\nmax_publishers = 3\nmax_subscribers = 5\ndepth = 9\nmax_depth = 100\n"
	      "held = 7\nloans = 6\ntimestamps = false\n"
	      "[topic.\"own\"]\non_full = \"block\"\nmax_payload = 1000\ntype = \"T\"\n"
	      "[topic.\"shared/*\"]\npool = \"p\"\n"
	      "[pool.p]\nclasses = [{size = 64, count = 1000}]\n");
	cr_assert_eq(publish("own", 0, 0, &publisher), 0);
	ask_topic("own", &reply);
	cr_expect_str_eq(info->name, "own");
	cr_expect_str_eq(info->type, "T");
	cr_expect(info->max_publishers == 3 && info->max_subscribers == 5);
	cr_expect(info->n_publishers == 1 && info->n_subscribers == 0);
	cr_expect(info->depth == 16 && info->max_depth == 128 && info->held == 7);
	cr_expect(info->loans == 6 && info->max_payload == 1000 && !info->timestamps);
	cr_expect_eq(info->on_full, ZCP_ON_FULL_BLOCK);
	cr_expect(info->own_pool && info->n_pool_topics == 1);
	zcp_message_deinit(&reply);

	cr_assert_eq(subscribe("shared/a", 0, 0, &subscriber), 0);
	cr_assert_eq(subscribe("shared/b", 0, 0, &subscriber), 0);
	ask_topic("shared/b", &reply);
	cr_expect_str_eq(info->pool, "p");
	cr_expect(!info->own_pool && info->n_pool_topics == 2);
	cr_expect(info->n_publishers == 0 && info->n_subscribers == 1);
	cr_expect(info->on_full == ZCP_ON_FULL_DROP_OLDEST && info->max_payload == 0);
	zcp_message_deinit(&reply);
	end();
}

/* Who is refused finds the same numbers in the sentence and here. */
Test(info, sums_are_those_of_a_refusal)
{
	struct zcpd_endpoint *publishers[2], *subscribers[2];
	struct zcp_message reply;
	const struct zcp_topic_info *info = &reply.u.topic_info;

	begin("[pool.p]\nclasses = [{size = 64, count = 30}, {size = \"1KiB\", count = 20}]\n"
	      "[topic.\"*\"]\npool = \"p\"\n");
	/* 2 loans, a depth of 2, 8 that rotate, 1 held; 3 loans, 8 that rotate; and 1 of each class. */
	cr_assert_eq(publish("a", 64, 2, &publishers[0]), 0);
	cr_assert_eq(subscribe("a", 2, 1, &subscribers[0]), 0);
	cr_assert_eq(publish("b", 1024, 3, &publishers[1]), 0);
	ask_topic("a", &reply);
	cr_expect(info->n_reserved == 13 && info->n_pool_reserved == 26);
	cr_assert_eq(info->n_classes, 2);
	cr_expect(info->classes[0].n_chunks == 30 && info->classes[0].n_reserved == 14);
	cr_expect(info->classes[1].n_chunks == 20 && info->classes[1].n_reserved == 12);
	zcp_message_deinit(&reply);
	cr_assert_eq(subscribe("a", 16, 7, &subscribers[1]), -ENOSPC);
	cr_expect_not_null(strstr(text, "has 30 chunks of 64 bytes, 16 of them left;"));
	cr_expect_not_null(strstr(text, "would need 21 with 1 publisher;"));
	cr_assert_eq(subscribe("b", 4, 5, &subscribers[1]), -ENOSPC);
	cr_expect_not_null(strstr(text, "has 20 chunks of 1 KiB, 8 of them left;"));
	cr_expect_not_null(strstr(text, "would need 9 with 1 publisher;"));
	/* What is left can be had. */
	cr_assert_eq(subscribe("b", 4, 4, &subscribers[1]), 0);
	ask_topic("b", &reply);
	cr_expect(info->n_reserved == 19 && info->n_pool_reserved == 34);
	cr_expect(info->classes[1].n_chunks == 20 && info->classes[1].n_reserved == 20);
	zcp_message_deinit(&reply);
	end();
}

/* --- its chunks --- */

static struct zcp_chunk_shm *give(const struct zcpd_endpoint *publisher, uint32_t index,
				  uint32_t flags, uint64_t seq)
{
	const struct zcp_class *class = &publisher->topic->pool->view.classes[0];

	zcp_class_touch(class, index);
	atomic_store(&class->chunks[index].state, zcp_chunk_state(publisher->entry.owner, flags));
	atomic_store(&class->chunks[index].seq, seq);
	return &class->chunks[index];
}

Test(info, chunk_is_counted_once_and_for_its_first_reason)
{
	struct zcpd_endpoint *publisher, *subscriber;
	const struct zcp_class_info *class;
	struct zcp_message reply;
	struct zcpd_topic *topic;
	struct zcp_lane lane;

	begin("");
	cr_assert_eq(publish("t", 64, 2, &publisher), 0);
	cr_assert_eq(subscribe("t", 4, 2, &subscriber), 0);
	topic = publisher->topic;
	lane = zcp_topic_lane(&topic->view, &topic->acks, 0, subscriber->entry.slot, 2);
	/* It publishes 10 next and keeps 7; the subscriber has taken all below 8, and holds 5. */
	atomic_store(&topic->view.publishers[0].next_seq, 10);
	atomic_store(&topic->view.publishers[0].history, 7);
	atomic_store(&lane.shm->base, 1);
	atomic_store(&lane.ack->tail, 8);
	atomic_store(&zcp_acks_counts(&topic->acks, subscriber->entry.slot)->n_held, 1);
	atomic_store(zcp_acks_held(&topic->acks, subscriber->entry.slot), zcp_held(0, 5));
	give(publisher, 0, ZCP_CHUNK_LOANED, 0);
	give(publisher, 1, 0, 0);
	give(publisher, 2, 0, 9);
	give(publisher, 3, 0, 8);
	give(publisher, 4, 0, 5);
	give(publisher, 5, 0, 4);
	give(publisher, 6, 0, 2);
	/* While it is given back. */
	atomic_store(&give(publisher, 7, 0, 0)->state,
		     zcp_chunk_state(ZCP_OWNER_RUNTIME, ZCP_CHUNK_LOANED));
	ask_topic("t", &reply);
	class = &reply.u.topic_info.classes[0];
	cr_expect_eq(class->n_loaned, 1);
	cr_expect_eq(class->n_spare, 2);
	cr_expect_eq(class->n_queued, 2);
	cr_expect_eq(class->n_held, 1);
	cr_expect_eq(class->n_history, 1);
	cr_expect_eq(class->n_free, class->n_chunks - 7);
	cr_expect_eq(class->n_used, 8);
	cr_expect(class->n_bytes >= 4096 && class->n_bytes <= 16384);
	zcp_message_deinit(&reply);

	/* What is left to a subscriber that is gone is in use by nobody. */
	zcpd_registry_close(&registry, subscriber, 0);
	ask_topic("t", &reply);
	class = &reply.u.topic_info.classes[0];
	cr_expect_eq(class->n_queued + class->n_held, 0);
	cr_expect_eq(class->n_history, 4);
	cr_expect_eq(class->n_spare, 2);
	zcp_message_deinit(&reply);
	end();
}

/* --- its endpoints --- */

static void ask_endpoints(const char *topic, struct zcp_message *reply)
{
	struct zcp_endpoints request = { .from = 0 };

	(void)strcpy(request.topic, topic);
	memset(reply, 0, sizeof(*reply));
	cr_assert_eq(zcpd_info_endpoints(&registry, &request, reply, text, sizeof(text)), 0);
}

Test(info, endpoints_tell_how_many_others_they_have)
{
	struct zcpd_endpoint *publishers[2], *subscribers[3], *other;
	struct zcp_message reply;
	const struct zcp_endpoint_page *page = &reply.u.endpoint_page;

	begin("");
	for (int i = 0; i < 2; i++)
		cr_assert_eq(publish("t", 64, 1, &publishers[i]), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(subscribe("t", 1, 1, &subscribers[i]), 0);
	cr_assert_eq(subscribe("other", 1, 1, &other), 0);
	/* Its connection has ended and its process has not: nothing is sent to it. */
	zcpd_registry_deactivate(&registry, subscribers[1]);
	ask_endpoints("t", &reply);
	cr_assert(page->n_publishers == 2 && page->n_subscribers == 3);
	for (int i = 0; i < 2; i++)
		cr_expect_eq(page->publishers[i].n_subscribers, 2);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(page->subscribers[i].n_publishers, i == 1 ? 0 : 2);
	zcp_message_deinit(&reply);
	ask_endpoints("other", &reply);
	cr_expect_eq(page->subscribers[0].n_publishers, 0);
	zcp_message_deinit(&reply);
	end();
}

#define FULL "[defaults]\nmax_publishers = 64\nmax_subscribers = 256\ndepth = 1\nmax_depth = 1\n"
#define N_MAX (64 + 256)
/* Enough for whoever comes while the test goes on. */
#define N_IDS 65536

/* All of the topic's, and how often each was told of. */
struct crowd {
	struct zcpd_endpoint *endpoints[N_MAX];
	int n;
	unsigned char told[N_IDS];
	int n_told;
};

static struct crowd crowd;

static void come(bool is_publisher)
{
	struct zcpd_endpoint **endpoint = &crowd.endpoints[crowd.n];

	if (crowd.n < N_MAX &&
	    (is_publisher ? publish("t", 8, 1, endpoint) : subscribe("t", 1, 1, endpoint)) == 0)
		crowd.n++;
}

static void go(int i)
{
	close_endpoint(crowd.endpoints[i]);
	crowd.endpoints[i] = crowd.endpoints[--crowd.n];
}

/* As many as there can be. */
static void come_all(void)
{
	for (int i = 0; i < N_MAX; i++)
		come(i < 64);
	cr_assert_eq(crowd.n, N_MAX, "%s", text);
}

static void told(uint64_t id)
{
	cr_assert_lt(id, N_IDS);
	cr_assert_eq(crowd.told[id], 0, "%u is told of twice", (unsigned int)id);
	crowd.told[id] = 1;
	crowd.n_told++;
}

/* Asks for one page and adds it up; returns whether there is more. */
static bool ask_page(uint32_t *from)
{
	struct zcp_endpoints request = { .topic = "t", .from = *from };
	struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	const struct zcp_endpoint_page *page = &reply.u.endpoint_page;
	bool more;

	cr_assert_eq(zcpd_info_endpoints(&registry, &request, &reply, text, sizeof(text)), 0);
	cr_assert_eq(reply.type, ZCP_MESSAGE_ENDPOINT_PAGE);
	cr_assert_leq(page->n_publishers + page->n_subscribers, ZCP_ENDPOINTS_PER_PAGE);
	for (uint32_t i = 0; i < page->n_publishers; i++)
		told(page->publishers[i].id);
	for (uint32_t i = 0; i < page->n_subscribers; i++)
		told(page->subscribers[i].id);
	more = page->more;
	cr_assert(!more || page->next > *from);
	*from = page->next;
	zcp_message_deinit(&reply);
	return more;
}

Test(info, pages_tell_of_every_endpoint_once)
{
	uint32_t from = 0;
	int n_pages = 1;

	begin(FULL);
	come_all();
	while (ask_page(&from))
		n_pages++;
	cr_assert_eq(n_pages, N_MAX / ZCP_ENDPOINTS_PER_PAGE);
	cr_assert_eq(crowd.n_told, N_MAX);
	for (int i = 0; i < N_MAX; i++)
		cr_assert_eq(crowd.told[crowd.endpoints[i]->entry.id], 1);
	end();
}

/*
 * Between two pages any number goes, told of or not, and others come into their slots. Who
 * is there all the time is told of once, nobody is told of twice, and there is an end.
 */
Test(info, pages_go_on_while_others_come_and_go)
{
	uint32_t seed = 1;

	begin(FULL);
	for (int round = 0; round < 50; round++) {
		uint64_t last;
		uint32_t from = 0;

		come_all();
		/* Whoever has a larger id comes while we ask. */
		last = registry.last_id;
		memset(crowd.told, 0, sizeof(crowd.told));
		for (int n_pages = 1; ask_page(&from); n_pages++) {
			cr_assert_leq(n_pages, N_MAX / ZCP_ENDPOINTS_PER_PAGE);
			for (int i = 0; i < 100; i++) {
				seed = seed * 1664525 + 1013904223;
				if ((seed >> 16 & 1) && crowd.n > 0)
					go((int)((seed >> 17) % (uint32_t)crowd.n));
				else
					come(seed >> 17 & 1);
			}
		}
		for (int i = 0; i < crowd.n; i++)
			cr_assert(crowd.told[crowd.endpoints[i]->entry.id] ||
				  crowd.endpoints[i]->entry.id > last);
	}
	end();
}

Test(info, pages_of_a_topic_that_has_ended_are_refused)
{
	struct zcp_endpoints request = { .topic = "t" };
	struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	uint32_t from = 0;

	begin(FULL);
	come_all();
	cr_assert(ask_page(&from));
	while (crowd.n > 0)
		go(0);
	request.from = from;
	cr_assert_eq(zcpd_info_endpoints(&registry, &request, &reply, text, sizeof(text)), -ENOENT);
	cr_assert_str_eq(text, "there is no topic 't': see `zcp list` for those there are");
	end();
}

/* The sentence goes into the log. */
Test(info, name_that_is_no_text_is_not_repeated)
{
	static const char *const names[] = { "two\nlines", "\x1b[2J", "caf\xe9" };
	struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };

	begin(FULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct zcp_endpoints endpoints = { .from = 0 };
		struct zcp_info info = { .topic = "" };

		(void)strcpy(info.topic, names[i]);
		(void)strcpy(endpoints.topic, names[i]);
		cr_assert_eq(zcpd_info_topic(&registry, &info, &reply, text, sizeof(text)),
			     -ENOENT);
		cr_assert_null(strstr(text, names[i]));
		cr_assert_eq(zcpd_info_endpoints(&registry, &endpoints, &reply, text, sizeof(text)),
			     -ENOENT);
		cr_assert_null(strstr(text, names[i]));
	}
	end();
}

Test(info, page_behind_the_last_place_is_empty)
{
	static const uint32_t places[] = { N_MAX, N_MAX + 1, UINT32_MAX };

	begin(FULL);
	come_all();
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint32_t from = places[i];

		cr_assert(!ask_page(&from));
		cr_assert_eq(crowd.n_told, 0);
	}
	end();
}
