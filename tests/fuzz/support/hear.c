/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime says to its clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pubsub/flow/backlog.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "tests/fuzz/support/clients.h"
#include "tests/support/check.h"

/* It goes into logs and onto terminals. */
static void check_text(const char *text)
{
	ZCP_CHECK(zcp_name_is_utf8(text));
	for (const char *c = text; *c; c++)
		ZCP_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* What subscribers are given they cannot write to, but for the acks. */
static void check_readonly(int fd, bool is_publisher)
{
	ZCP_CHECK(is_publisher || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
}

static void check_classes(uint64_t domain_id, bool is_publisher, const int *fds, uint32_t n_fds)
{
	struct zcp_pool pool = { .n_classes = 0 };
	const char *why = "";

	ZCP_CHECK(n_fds % 2 == 0);
	for (uint32_t i = 0; i < n_fds; i += 2) {
		ZCP_CHECK(zcp_pool_attach(&pool, fds[i], fds[i + 1], domain_id, is_publisher,
					  &why) == 0);
		check_readonly(fds[i], is_publisher);
		check_readonly(fds[i + 1], is_publisher);
	}
	zcp_pool_deinit(&pool);
}

/* In the domain of whom it was said to, which may be that of a runtime before. */
static void check_opened(uint64_t domain_id, const struct zcp_opened *opened,
			 const struct zcp_fds *fds)
{
	struct zcp_backlog backlog = { .n_entries = 0 };
	struct zcp_topic topic = { .shm = NULL };
	struct zcp_acks acks = { .shm = NULL };
	bool is_publisher = opened->owner != 0;
	uint32_t n = opened->backlog ? 3 : 2;
	const char *why = "";

	ZCP_CHECK(fds->n_fds >= n);
	check_readonly(fds->fds[0], is_publisher);
	ZCP_CHECK(zcp_topic_attach(&topic, fds->fds[0], domain_id, is_publisher, &why) == 0);
	ZCP_CHECK(zcp_acks_attach(&acks, fds->fds[1], topic.geometry.max_publishers,
				  topic.geometry.max_subscribers, domain_id,
				  topic.shm->region.region_id, &why) == 0);
	if (opened->backlog)
		ZCP_CHECK(zcp_backlog_import(&backlog, fds->fds[2], domain_id, &why) == 0);
	check_classes(domain_id, is_publisher, fds->fds + n, fds->n_fds - n);
	if (is_publisher) {
		ZCP_CHECK(opened->slot < topic.geometry.max_publishers);
		ZCP_CHECK(opened->owner < ZCP_OWNER_RUNTIME && opened->loans > 0);
		ZCP_CHECK(opened->class < (fds->n_fds - n) / 2);
		ZCP_CHECK(opened->history <= ZCP_TOPIC_HISTORY_MAX);
		ZCP_CHECK(!opened->backlog);
	} else {
		ZCP_CHECK(opened->slot < topic.geometry.max_subscribers);
		ZCP_CHECK(opened->held > 0 && opened->held <= ZCP_HELD_MAX);
		ZCP_CHECK(opened->depth_log2 <= topic.geometry.max_depth_log2);
		ZCP_CHECK(backlog.n_entries <=
			  (uint64_t)topic.geometry.max_publishers * opened->history);
	}
	zcp_backlog_deinit(&backlog);
	zcp_acks_deinit(&acks);
	zcp_topic_deinit(&topic);
}

/* A publisher writes to it without looking. */
static void check_waker(const struct zcp_fds *fds)
{
	static const char eventfd_name[] = "anon_inode:[eventfd]";
	char path[64], target[64] = "";

	ZCP_CHECK(fds->n_fds == 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds->fds[0]);
	ZCP_CHECK(readlink(path, target, sizeof(target) - 1) > 0);
	ZCP_CHECK(strcmp(target, eventfd_name) == 0);
	ZCP_CHECK(fcntl(fds->fds[0], F_GETFL) & O_NONBLOCK);
}

static void check_said(const struct zcp_fuzz_runtime *runtime, const struct zcp_fuzz_client *client,
		       const struct zcp_message *message, const struct zcp_fds *fds)
{
	switch (message->type) {
	case ZCP_MESSAGE_WELCOME:
		ZCP_CHECK(fds->n_fds == 1);
		ZCP_CHECK(message->u.welcome.node != 0);
		return;
	case ZCP_MESSAGE_OPENED:
		if (runtime->has_headers)
			check_opened(client->has.domain_id, &message->u.opened, fds);
		return;
	case ZCP_MESSAGE_POOL_CLASSES:
		ZCP_CHECK(fds->n_fds % 2 == 0);
		return;
	case ZCP_MESSAGE_SIGNAL:
		check_waker(fds);
		return;
	case ZCP_MESSAGE_ERROR:
		ZCP_CHECK(message->u.error.code > 0 && message->u.error.text[0]);
		check_text(message->u.error.text);
		break;
	case ZCP_MESSAGE_TOPICS:
		for (uint32_t i = 0; i < message->u.topics.n_topics; i++)
			check_text(message->u.topics.topics[i].name);
		break;
	case ZCP_MESSAGE_OK:
	case ZCP_MESSAGE_TOPIC_INFO:
	case ZCP_MESSAGE_ENDPOINT_PAGE:
	case ZCP_MESSAGE_AUDIT_REPORT:
		break;
	default:
		/* What nodes say. */
		ZCP_CHECK(false);
	}
	ZCP_CHECK(fds->n_fds == 0);
}

/* Open again in the slot that it had. */
static void check_returned(const struct zcp_fuzz_client *client,
			   const struct zcp_fuzz_belonging *has)
{
	const struct zcpd_endpoint *endpoint;

	LIST_FOREACH(endpoint, &client->session->endpoints, link)
		if (endpoint->entry.id == has->id)
			break;
	ZCP_CHECK(endpoint && endpoint->entry.returned &&
		  endpoint->entry.state == ZCPD_ENDPOINT_OPEN);
	ZCP_CHECK(endpoint->entry.is_publisher == has->is_publisher &&
		  endpoint->entry.slot == has->slot);
}

static void note_hand_back(const struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			   const struct zcp_fuzz_request *request, bool is_taken)
{
	struct zcp_fuzz_belonging *endpoint = zcp_fuzz_belongings_find(&client->has,
								       request->hands_back);

	/* It may have been closed meanwhile, and its connection be over. */
	if (!endpoint || !client->session || client->session->socket < 0 ||
	    !client->session->entry.greeted || client->session->entry.id != client->has.node)
		return;
	ZCP_CHECK(is_taken || !request->must_succeed || !runtime->is_honest || !runtime->is_smooth);
	if (!is_taken) {
		/* Under this runtime it is nothing. */
		zcp_fuzz_belongings_drop(&client->has, endpoint);
		return;
	}
	endpoint->is_known = true;
	if (runtime->is_honest)
		check_returned(client, endpoint);
}

/* It may come again after a worker's death, but never as another one. */
static void note_answer(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			const struct zcp_message *message)
{
	struct zcp_fuzz_request *request = &runtime->requests[message->id];

	if (message->id == 0 || message->id > runtime->n_requests)
		return;
	request->is_answered = true;
	if (request->hands_back)
		note_hand_back(runtime, client, request, message->type == ZCP_MESSAGE_OK);
	if (message->type != ZCP_MESSAGE_OPENED)
		return;
	ZCP_CHECK(request->opened == 0 || request->opened == message->u.opened.endpoint);
	request->opened = message->u.opened.endpoint;
}

/* A new one while others come back may be in their way. */
static void note_welcome(struct zcp_fuzz_runtime *runtime, const struct zcp_fuzz_client *client,
			 const struct zcp_welcome *welcome)
{
	if (welcome->node == client->has.node && welcome->domain_id == client->has.domain_id)
		return;
	ZCP_CHECK(!client->must_come_back || !runtime->is_honest || !runtime->is_smooth);
	if (runtime->waits)
		runtime->is_smooth = false;
}

void zcp_fuzz_client_drain(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client)
{
	int r = 0;

	while (client->socket >= 0 && r == 0) {
		struct zcp_message message;
		struct zcp_fds fds;

		r = zcp_socket_receive(client->socket, &message, &fds);
		if (r == 0) {
			if (!runtime->records_lie) {
				if (message.type == ZCP_MESSAGE_WELCOME)
					note_welcome(runtime, client, &message.u.welcome);
				check_said(runtime, client, &message, &fds);
				note_answer(runtime, client, &message);
				zcp_fuzz_belongings_hear(&client->has, &message, &fds);
			}
			zcp_fds_deinit(&fds);
			zcp_message_deinit(&message);
		}
	}
	ZCP_CHECK(r == 0 || r == -EAGAIN || r == -EPIPE || r == -ECONNRESET);
}

/* Whether somebody who is connected waits for one. */
static bool has_unanswered(const struct zcp_fuzz_runtime *runtime)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		const struct zcp_fuzz_client *client = &runtime->clients[i];

		if (client->socket < 0 || !client->session || client->session->socket < 0)
			continue;
		for (uint64_t k = 1; k <= runtime->n_requests; k++)
			if (runtime->requests[k].pid == client->pid &&
			    !runtime->requests[k].is_answered)
				return true;
	}
	return false;
}

void zcp_fuzz_clients_check_answers(struct zcp_fuzz_runtime *runtime)
{
	/* One may wait for the one before it, and that for somebody to read. */
	uint64_t n_turns = 2 * runtime->n_requests + 2;

	while (runtime->n_deaths > 0)
		zcp_fuzz_runtime_turn(runtime);
	for (uint64_t i = 0; i < n_turns && has_unanswered(runtime); i++) {
		zcp_fuzz_runtime_turn(runtime);
		for (int c = 0; c < ZCP_FUZZ_CLIENTS; c++)
			zcp_fuzz_client_drain(runtime, &runtime->clients[c]);
	}
	ZCP_CHECK(!has_unanswered(runtime));
}
