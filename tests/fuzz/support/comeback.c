/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coming back as the library does it, and otherwise.
 */
#include "tests/fuzz/support/comeback.h"

#include <fcntl.h>
#include <string.h>

#include "pubsub/util.h"
#include "tests/fuzz/support/say.h"

/* For one message each, and one that is in its way. */
#define TURNS 2

enum wrong {
	NOT_AGAIN = 1,
	DOMAIN = 2,
	NODE = 4,
	SIGNAL = 8,
	FENCE = 16,
	NO_DESCRIPTOR = 32,
	ODD = 64,
	N_WRONG = 128,
};

static void say_who(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
		    uint32_t wrong)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_HELLO };
	struct zcp_hello *hello = &message.u.hello;
	struct zcp_fds fds = { .n_fds = 0 };

	hello->fingerprint = zcp_layout_fingerprint();
	hello->domain_id = client->has.domain_id + (wrong & DOMAIN ? 1 : 0);
	hello->node = client->has.node + (wrong & NODE ? 1 : 0);
	hello->signal = client->has.signal + (wrong & SIGNAL ? 1 : 0);
	hello->symmetric = client->has.symmetric != ((wrong & FENCE) != 0);
	(void)strcpy(hello->name, "again");
	if (wrong & ODD) {
		fds = runtime->fds;
		runtime->fds.n_fds = 0;
	} else if (!(wrong & NO_DESCRIPTOR) && client->has.signals_fd >= 0) {
		fds.fds[0] = fcntl(client->has.signals_fd, F_DUPFD_CLOEXEC, 0);
		fds.n_fds = fds.fds[0] >= 0;
	}
	ZCP_IGNORE(zcp_fuzz_say_with(runtime, client, &message, &fds) == 0);
}

static void come(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client, uint32_t wrong)
{
	if (!(wrong & NOT_AGAIN))
		zcp_fuzz_client_reconnect(runtime, client);
	/* Who is taken for a new one has somebody's place. */
	if (wrong & ~(uint32_t)NOT_AGAIN)
		runtime->is_smooth = false;
	/* The first one that comes back says which domain it is; this one stayed away before. */
	if (client->has.domain_id != runtime->former_domain_id)
		runtime->is_smooth = false;
	if (wrong & (NODE | SIGNAL | FENCE))
		runtime->is_honest = false;
	say_who(runtime, client, wrong);
}

static void hand_back(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
		      struct zcp_fuzz_belonging *endpoint, const struct zcp_fuzz_belonging *another,
		      enum zcp_fuzz_way way, bool must_succeed)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_HAND_BACK };
	struct zcp_fds odd = runtime->fds, fds;
	struct zcp_fuzz_request *request;

	/* The runtime before knew nothing of it, and may have had another topic of that name. */
	if (!endpoint->was_known)
		runtime->is_smooth = false;
	if (way != ZCP_FUZZ_RIGHT && way != ZCP_FUZZ_NOTHING)
		runtime->is_honest = runtime->is_smooth = false;
	runtime->fds.n_fds = 0;
	message.u.hand_back.endpoint = zcp_fuzz_belonging_fds(endpoint, another, way, &odd, &fds);
	request = &runtime->requests[zcp_fuzz_say_with(runtime, client, &message, &fds)];
	endpoint->is_said = true;
	if (way == ZCP_FUZZ_RIGHT && endpoint->id == message.u.hand_back.endpoint)
		request->hands_back = endpoint->id;
	request->must_succeed = must_succeed;
}

static void say_all(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client)
{
	struct zcp_message message = { .type = ZCP_MESSAGE_HANDED_BACK };

	zcp_fuzz_say(runtime, client, &message);
	zcp_fuzz_belongings_forget_rest(&client->has);
}

static void wait_for_answer(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client)
{
	for (int i = 0; i < TURNS && !runtime->is_refused; i++)
		zcp_fuzz_runtime_turn(runtime);
	zcp_fuzz_client_drain(runtime, client);
}

static bool is_open_anywhere(const struct zcp_fuzz_belongings *has)
{
	for (uint32_t i = 0; i < has->n_endpoints; i++)
		if (has->endpoints[i].was_known &&
		    zcp_fuzz_belonging_is_open(has, &has->endpoints[i]))
			return true;
	return false;
}

/* One after another; what is not taken back is nothing any more. */
static void come_back(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client)
{
	if (client->has.node == 0)
		return;
	client->must_come_back = is_open_anywhere(&client->has);
	come(runtime, client, 0);
	wait_for_answer(runtime, client);
	client->must_come_back = false;
	for (uint32_t i = client->has.n_endpoints; i-- > 0 && client->has.is_back;) {
		struct zcp_fuzz_belonging *endpoint = &client->has.endpoints[i];
		bool must_succeed = endpoint->was_known &&
				    zcp_fuzz_belonging_is_open(&client->has, endpoint);

		hand_back(runtime, client, endpoint, NULL, ZCP_FUZZ_RIGHT, must_succeed);
		wait_for_answer(runtime, client);
	}
	if (client->has.is_back)
		say_all(runtime, client);
	wait_for_answer(runtime, client);
}

static const struct zcp_fuzz_belonging *find_another(const struct zcp_fuzz_runtime *runtime,
						     uint32_t n)
{
	for (;;) {
		for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
			const struct zcp_fuzz_belongings *has = &runtime->clients[i].has;

			if (n < has->n_endpoints)
				return &has->endpoints[n];
			n -= has->n_endpoints;
		}
	}
}

static void touch_one(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
		      char command, struct zcp_fuzz_input *input)
{
	struct zcp_fuzz_belonging *endpoint;
	enum zcp_fuzz_way way;

	if (client->has.n_endpoints == 0)
		return;
	endpoint = &client->has.endpoints[zcp_fuzz_below(input, client->has.n_endpoints)];
	switch (command) {
	case 'o':
		way = zcp_fuzz_below(input, ZCP_FUZZ_N_WAYS);
		hand_back(runtime, client, endpoint,
			  find_another(runtime, zcp_fuzz_below(input, 16)), way, false);
		break;
	case 'A':
		if (client->session && client->session->socket >= 0)
			break;
		zcp_fuzz_belongings_abandon(&client->has, endpoint);
		break;
	default:
		zcp_fuzz_belongings_lie(&client->has, endpoint, input);
		runtime->is_honest = runtime->is_smooth = runtime->has_headers = false;
	}
}

void zcp_fuzz_come_back(struct zcp_fuzz_runtime *runtime, char command,
			struct zcp_fuzz_input *input)
{
	struct zcp_fuzz_client *client;

	switch (command) {
	case 'K':
		zcp_fuzz_runtime_kill_all(runtime);
		return;
	case 'E':
		zcp_fuzz_runtime_end_wait(runtime);
		return;
	}
	client = &runtime->clients[zcp_fuzz_below(input, ZCP_FUZZ_CLIENTS)];
	switch (command) {
	case 'B':
		come_back(runtime, client);
		break;
	case 'n':
		come(runtime, client, zcp_fuzz_below(input, N_WRONG));
		break;
	case 'N':
		say_all(runtime, client);
		break;
	default:
		touch_one(runtime, client, command, input);
	}
}
