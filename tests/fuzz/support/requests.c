/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages, field by field.
 */
#include "tests/fuzz/support/requests.h"

#include <string.h>

#include "pubsub/shm/region.h"

static const char *const topics[] = {
	"a",
	"b/c",
	"shared/1",
	"shared/2",
	"kept/x",
	"",
	"bad*",
	"two\nlines",
	"\xff",
	"long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-"
	"long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-"
	"long-long-long-long-long-long-long-long-long-long-long-long-long-long-long",
};
static const char *const types[] = { "", "T", "U", "two\nlines", "\xff" };

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const char *choose_topic(struct zcp_fuzz_input *input)
{
	return topics[zcp_fuzz_below(input, N(topics))];
}

static const char *choose_type(struct zcp_fuzz_input *input)
{
	return types[zcp_fuzz_below(input, N(types))];
}

/* The id of one that the client has, or a number that nobody has. */
static uint64_t choose_endpoint(const struct zcp_fuzz_client *client, struct zcp_fuzz_input *input)
{
	uint64_t n = zcp_fuzz_number(input), i = 0;
	const struct zcpd_endpoint *endpoint;

	if (client->session)
		LIST_FOREACH(endpoint, &client->session->endpoints, link)
			if (i++ == n)
				return endpoint->entry.id;
	return n;
}

/* Of nothing, of something, of what there cannot be. */
static void choose_shape(struct zcp_fuzz_input *input, uint64_t *type_size, uint64_t *alignment,
			 uint64_t *user_header_size)
{
	uint64_t shape = zcp_fuzz_number(input);

	*type_size = shape % 4 * 48;
	*alignment = shape / 4 % 4 == 3 ? shape : shape / 4 % 4 * 64;
	*user_header_size = shape / 16 % 4 == 3 ? shape : shape / 16 % 4 * 24;
}

static void open_publisher(struct zcp_message *message, struct zcp_fuzz_input *input)
{
	struct zcp_open_publisher *request = &message->u.open_publisher;

	message->type = ZCP_MESSAGE_OPEN_PUBLISHER;
	(void)strcpy(request->topic, choose_topic(input));
	(void)strcpy(request->type, choose_type(input));
	request->max_payload = zcp_fuzz_number(input);
	request->loans = (uint32_t)zcp_fuzz_number(input);
	request->history = (uint32_t)zcp_fuzz_number(input);
	choose_shape(input, &request->type_size, &request->alignment, &request->user_header_size);
	request->type_alignment = request->alignment;
}

static void open_subscriber(struct zcp_message *message, struct zcp_fuzz_input *input)
{
	struct zcp_open_subscriber *request = &message->u.open_subscriber;

	message->type = ZCP_MESSAGE_OPEN_SUBSCRIBER;
	(void)strcpy(request->topic, choose_topic(input));
	(void)strcpy(request->type, choose_type(input));
	request->depth = (uint32_t)zcp_fuzz_number(input);
	request->held = (uint32_t)zcp_fuzz_number(input);
	request->on_full = (uint32_t)zcp_fuzz_number(input);
	request->history = (uint32_t)zcp_fuzz_number(input);
	request->order = (uint32_t)zcp_fuzz_number(input);
	choose_shape(input, &request->type_size, &request->type_alignment,
		     &request->user_header_size);
}

void zcp_fuzz_request(struct zcp_message *message, char command,
		      const struct zcp_fuzz_client *client, struct zcp_fuzz_input *input)
{
	switch (command) {
	case 'h':
		message->type = ZCP_MESSAGE_HELLO;
		message->u.hello.fingerprint = zcp_layout_fingerprint() + zcp_fuzz_number(input);
		(void)strcpy(message->u.hello.name, "node\n");
		break;
	case 'p':
		open_publisher(message, input);
		break;
	case 's':
		open_subscriber(message, input);
		break;
	case 'x':
		message->type = ZCP_MESSAGE_CLOSE;
		message->u.close.endpoint = choose_endpoint(client, input);
		break;
	case 'y':
		message->type = ZCP_MESSAGE_CLOSE;
		message->u.close.opened_by = zcp_fuzz_number(input);
		break;
	case 'g':
		message->type = ZCP_MESSAGE_POOL_GET;
		message->u.pool_get.endpoint = choose_endpoint(client, input);
		break;
	case 'f':
		message->type = ZCP_MESSAGE_SIGNAL_FD;
		break;
	case 'F':
		message->type = ZCP_MESSAGE_FREED;
		message->u.freed.endpoint = choose_endpoint(client, input);
		break;
	case 'w':
		message->type = ZCP_MESSAGE_SIGNAL_GET;
		message->u.signal_get.signal = (uint32_t)zcp_fuzz_number(input);
		break;
	case 'l':
		message->type = ZCP_MESSAGE_LIST;
		(void)strcpy(message->u.list.after, choose_topic(input));
		break;
	case 'i':
		message->type = ZCP_MESSAGE_INFO;
		(void)strcpy(message->u.info.topic, choose_topic(input));
		break;
	case 'e':
		message->type = ZCP_MESSAGE_ENDPOINTS;
		(void)strcpy(message->u.endpoints.topic, choose_topic(input));
		message->u.endpoints.from = (uint32_t)zcp_fuzz_number(input);
		break;
	case 'a':
		message->type = ZCP_MESSAGE_AUDIT;
		break;
	case 't':
		message->type = ZCP_MESSAGE_REPLACE;
		message->u.replace.fingerprint = zcp_layout_fingerprint() + zcp_fuzz_number(input);
		(void)strcpy(message->u.replace.version, "version\n");
		break;
	default:
		message->type = (enum zcp_message_type)(
			1 + zcp_fuzz_below(input, ZCP_MESSAGE_N_TYPES - 1));
	}
}
