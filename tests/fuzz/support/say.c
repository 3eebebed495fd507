/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbering what is said.
 */
#include "tests/fuzz/support/say.h"

#include "pubsub/util.h"
#include "pubsub/wire/codec.h"
#include "tests/fuzz/support/packet.h"
#include "tests/support/check.h"

void zcp_fuzz_wait_no_more(struct zcp_fuzz_runtime *runtime, const struct zcp_fuzz_client *client)
{
	for (uint64_t i = 1; i <= runtime->n_requests; i++)
		if (runtime->requests[i].pid == client->pid)
			runtime->requests[i].pid = 0;
}

uint64_t zcp_fuzz_say_with(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
			   struct zcp_message *message, struct zcp_fds *fds)
{
	static char packet[ZCP_PACKET_SIZE_MAX];
	size_t size;

	if (runtime->n_requests == ZCP_FUZZ_REQUESTS_MAX) {
		zcp_fds_deinit(fds);
		return 0;
	}
	/* No answer comes to what is only told. */
	message->id = message->type == ZCP_MESSAGE_FREED ? 0 : ++runtime->n_requests;
	ZCP_CHECK(zcp_codec_pack(message, packet, sizeof(packet), &size) == 0);
	if (message->type == ZCP_MESSAGE_CLOSE)
		zcp_fuzz_wait_no_more(runtime, client);
	if (!zcp_fuzz_client_send(client, packet, size, fds))
		return 0;
	zcp_fuzz_belongings_say(&client->has, message);
	if (message->id != 0)
		runtime->requests[message->id].pid = client->pid;
	return message->id;
}

void zcp_fuzz_say(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
		  struct zcp_message *message)
{
	struct zcp_fds fds = runtime->fds;

	runtime->fds.n_fds = 0;
	ZCP_IGNORE(zcp_fuzz_say_with(runtime, client, message, &fds) == 0);
}

void zcp_fuzz_say_text(struct zcp_fuzz_runtime *runtime, struct zcp_fuzz_client *client,
		       struct zcp_fuzz_input *input)
{
	static uint8_t packet[ZCP_PACKET_SIZE_MAX + 16];
	const uint8_t *text = input->at;
	struct zcp_fds fds = runtime->fds;
	struct zcp_message message;
	size_t size;

	while (input->at < input->end && *input->at != '\n')
		input->at++;
	runtime->fds.n_fds = 0;
	/* It may have the number of anything. */
	zcp_fuzz_wait_no_more(runtime, client);
	size = zcp_fuzz_packet(text, (size_t)(input->at - text), packet, sizeof(packet));
	if (zcp_codec_unpack(&message, (const char *)packet, size) == 0) {
		zcp_fuzz_belongings_say(&client->has, &message);
		zcp_message_deinit(&message);
	}
	ZCP_IGNORE(!zcp_fuzz_client_send(client, (const char *)packet, size, &fds));
}
