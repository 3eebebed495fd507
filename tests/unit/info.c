/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime tells about a topic: the pages of its endpoints, whoever comes and goes
 * between them.
 */
#include "runtime/info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/registry_helpers.h"

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
		cr_assert_eq(crowd.told[crowd.endpoints[i]->id], 1);
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
			cr_assert(crowd.told[crowd.endpoints[i]->id] ||
				  crowd.endpoints[i]->id > last);
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
