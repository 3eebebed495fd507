/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffers of the control socket are full: of a client that asks and does not read, and of a
 * node whose runtime is stopped. Nobody else notices, nothing is lost that was asked for, nothing
 * is left behind, and all goes on when the other end reads again.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "pubsub/util.h"
#include "pubsub/wire/codec.h"
#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/peer.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

/* Descriptors of the runtime's two processes, and ours. */
struct count {
	unsigned int keeper;
	unsigned int worker;
	unsigned int own;
};

/* A link that goes on all the time. */
struct link {
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;
	uint64_t n;
	struct count before;
};

static struct count count(const struct link *link)
{
	/* What the worker has told the keeper, it has read when it sleeps. */
	zcp_test_wait_until_asleep_in(link->runtime.pid, "poll");
	return (struct count){
		.keeper = zcp_test_n_fds(link->runtime.pid),
		.worker = zcp_test_n_fds(link->runtime.worker),
		.own = zcp_test_n_fds(getpid()),
	};
}

static void begin(struct link *link)
{
	*link = (struct link){ .n = 0 };
	zcp_test_runtime_start(&link->runtime, NULL);
	link->node = zcp_test_node();
	link->publisher = zcp_test_publisher(link->node, "link", 64, 1);
	link->subscriber = zcp_test_subscriber(link->node, "link", 4, 1, 0);
	/* So that what is made the first time is there. */
	zcp_publisher_close(zcp_test_publisher(link->node, "other", 64, 1));
	/* It answers a close, and clears up in that turn. */
	ZCP_CHECK(zcp_test_ask(link->node, "other") == -ENOENT);
	link->before = count(link);
}

static void check_messages(struct link *link)
{
	zcp_test_send(link->publisher, ++link->n);
	zcp_test_expect(link->subscriber, link->n);
}

static void check_link(struct link *link)
{
	check_messages(link);
	ZCP_OK(zcp_test_ask(link->node, "link"), link->node);
}

static void end(struct link *link)
{
	struct count now;

	/* Both clear up in their own time. */
	do {
		check_link(link);
		now = count(link);
	} while (now.keeper != link->before.keeper || now.worker != link->before.worker);
	ZCP_CHECK(now.own == link->before.own);
	(void)zcp_test_audit(link->node);
	ZCP_CHECK(zcp_test_worker(link->runtime.pid) == link->runtime.worker);
	zcp_node_close(link->node);
	zcp_test_runtime_stop(&link->runtime);
}

/* --- a client that does not read --- */

/* Asks the same, with ids from `first` on, until nothing more can be sent. Returns the next id. */
static uint64_t ask_until_full(struct link *link, int socket, struct zcp_message *request,
			       uint64_t first)
{
	static char buffer[ZCP_PACKET_SIZE_MAX];
	uint64_t id = first;
	size_t size;

	/* Once the runtime cannot answer it does not read: then nothing makes room. */
	for (int n_refused = 0; n_refused < 50;) {
		request->id = id;
		ZCP_CHECK(zcp_codec_pack(request, buffer, sizeof(buffer), &size) == 0);
		if (send(socket, buffer, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
			id++;
			n_refused = 0;
			continue;
		}
		ZCP_CHECK(errno == EAGAIN);
		n_refused++;
		check_link(link);
	}
	return id;
}

/* Every one of them has its answer, in order. */
static void read_answers(int socket, enum zcp_message_type type, uint64_t first, uint64_t end)
{
	for (uint64_t id = first; id < end; id++) {
		struct zcp_message reply;
		struct zcp_fds fds;

		ZCP_CHECK(zcp_socket_receive(socket, &reply, &fds) == 0);
		ZCP_CHECK(reply.type == type && reply.id == id);
		zcp_message_deinit(&reply);
		zcp_fds_deinit(&fds);
	}
}

static void client_that_reads_late(void)
{
	struct zcp_message list = { .type = ZCP_MESSAGE_LIST };
	uint64_t first = 2, next;
	struct link link;
	int socket;

	begin(&link);
	socket = zcp_test_greet();
	for (int i = 0; i < 3; i++) {
		next = ask_until_full(&link, socket, &list, first);
		ZCP_CHECK(next > first + 50);
		read_answers(socket, ZCP_MESSAGE_TOPICS, first, next);
		first = next;
	}
	(void)close(socket);
	end(&link);
}

/* Each answer has a descriptor; it reads them late, and then never. */
static void client_that_does_not_read_descriptors(void)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_SIGNAL_GET };
	uint64_t next;
	struct link link;
	int socket;

	begin(&link);
	ZCP_CHECK(zcp_node_fd(link.node) >= 0);
	link.before = count(&link);
	socket = zcp_test_greet();
	next = ask_until_full(&link, socket, &request, 2);
	ZCP_CHECK(next > 52);
	read_answers(socket, ZCP_MESSAGE_SIGNAL, 2, next);
	ZCP_CHECK(ask_until_full(&link, socket, &request, next) > next + 50);
	(void)close(socket);
	end(&link);
}

/* Opens a publisher of the link's topic, and never reads again. */
static void open_and_be_deaf(struct zcp_test_child *self, void *arg)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_OPEN_PUBLISHER, .id = 2 }, reply;
	int socket = zcp_test_greet();

	(void)arg;
	(void)strcpy(request.u.open_publisher.topic, "link");
	request.u.open_publisher.max_payload = 64;
	zcp_test_request(socket, &request, &reply);
	ZCP_CHECK(reply.type == ZCP_MESSAGE_OPENED);
	zcp_test_say_step(self, 1);
	zcp_test_wait_for_the_end(self);
}

/* It is told of each subscriber, with a descriptor, until it is given up. */
static void client_that_does_not_read_what_it_is_told(void)
{
	struct zcp_test_child child;
	struct link link;

	begin(&link);
	ZCP_CHECK(zcp_node_fd(link.node) >= 0);
	link.before = count(&link);
	zcp_test_fork(&child, open_and_be_deaf, NULL);
	zcp_test_hear_step(&child, 1);
	for (int n = 0; !zcp_test_runtime_said(&link.runtime, "cannot be answered: No buffer");
	     n++) {
		ZCP_CHECK(n < 10000);
		zcp_subscriber_close(zcp_test_subscriber(link.node, "link", 4, 1, 0));
		check_messages(&link);
	}
	zcp_test_kill(&child);
	zcp_test_wait_for_members(link.node, "link", 1, 1);
	end(&link);
}

/* --- a runtime that is stopped --- */

static bool is_full(const struct zcp_node *node)
{
	struct pollfd pollfd = { .fd = zcp_test_socket(node), .events = POLLOUT };

	return poll(&pollfd, 1, 0) == 0;
}

#define SHORTLY_NS INT64_C(2000000)

static int try_to_publish(struct zcp_node *node)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher;
	int r;

	options.max_payload = 64;
	r = zcp_publisher_open(&publisher, node, "theirs", &options);
	if (r == 0)
		zcp_publisher_close(publisher);
	return r;
}

/* Each answer is waited for as long as was said, and not longer. */
static void check_no_answer(struct link *link, struct zcp_node *hasty)
{
	uint64_t begin = zcp_now_ns();

	ZCP_REFUSED(try_to_publish(hasty), hasty, -ETIMEDOUT, "did not answer within|stopped");
	ZCP_CHECK(zcp_now_ns() - begin >= SHORTLY_NS);
	ZCP_CHECK(zcp_test_ask(hasty, "link") == -ETIMEDOUT);
	/* Both, and a machine that has much to do. */
	ZCP_CHECK(zcp_now_ns() - begin < UINT64_C(5000000000));
	check_messages(link);
}

static void runtime_that_is_stopped(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *hasty;
	struct link link;
	int n = 0;

	begin(&link);
	options.timeout_ns = SHORTLY_NS;
	while (zcp_node_open(&hasty, &options) < 0)
		continue;
	zcp_test_stop_process(link.runtime.pid);
	zcp_test_stop_process(link.runtime.worker);
	for (; !is_full(hasty); n++)
		check_no_answer(&link, hasty);
	ZCP_CHECK(n > 10);
	for (int i = 0; i < 20; i++)
		check_no_answer(&link, hasty);
	zcp_test_continue_process(link.runtime.worker);
	zcp_test_continue_process(link.runtime.pid);
	/* What was opened for nobody is closed when its answer comes. */
	while (zcp_test_ask(hasty, "theirs") != -ENOENT)
		continue;
	check_link(&link);
	while (try_to_publish(hasty) < 0)
		continue;
	while (zcp_test_ask(hasty, "theirs") != -ENOENT)
		continue;
	zcp_node_close(hasty);
	end(&link);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(client_that_reads_late),
	ZCP_TEST_CASE(client_that_does_not_read_descriptors),
	ZCP_TEST_CASE(client_that_does_not_read_what_it_is_told),
	ZCP_TEST_CASE(runtime_that_is_stopped),
};

ZCP_TEST_MAIN(cases)
