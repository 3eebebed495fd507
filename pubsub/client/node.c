/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a node.
 */
#include "pubsub/client/node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zcp/publisher.h>
#include <zcp/subscriber.h>
#include <zcp/version.h>

#include "pubsub/client/control.h"
#include "pubsub/client/start.h"
#include "pubsub/shm/fence.h"
#include "pubsub/util.h"

#define TIMEOUT_DEFAULT_NS UINT64_C(5000000000)
/* Between two tries to open a node that the runtime has closed the door to. */
#define REOPEN_NS 20000000

/* What zcp_node_open() said last in this thread, when there was no node to say it. */
static _Thread_local char open_error[sizeof(((struct zcp_node *)NULL)->error)];

int zcp_node_fail(struct zcp_node *node, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(node->error, sizeof(node->error), format, arguments);
	va_end(arguments);
	return code;
}

const char *zcp_node_error(const struct zcp_node *node)
{
	return node ? node->error : open_error;
}

const char *zcp_node_name(const struct zcp_node *node)
{
	return node->name;
}

static int copy_name(struct zcp_node *node, const char *name)
{
	if (!name)
		name = program_invocation_short_name;
	if (strlen(name) > ZCP_NODE_NAME_MAX)
		return zcp_node_fail(node, -ENAMETOOLONG,
				     "the node's name '%.32s…' is longer than %d bytes: shorten it",
				     name, ZCP_NODE_NAME_MAX);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return zcp_node_fail(node, -EINVAL,
					     "the node's name has a control character: remove it");
	(void)strcpy(node->name, name);
	return 0;
}

static int fill_options(struct zcp_node *node, struct zcp_node_options *options,
			const struct zcp_node_options *theirs)
{
	const char *environment = getenv("ZCP_AUTO_START");
	int r = theirs ? zcp_options_copy(options, sizeof(*options), theirs) : 0;

	if (r == 0 && (options->reserved || options->auto_start > ZCP_AUTO_START_OFF))
		r = -EINVAL;
	if (r < 0)
		return zcp_node_fail(node, r,
				     "node options: initialise them with ZCP_NODE_OPTIONS_INIT of "
				     "this libzcp's headers");
	if (!options->domain)
		options->domain = getenv("ZCP_DOMAIN");
	if (!options->domain || !options->domain[0])
		options->domain = "default";
	if (options->auto_start == ZCP_AUTO_START_DEFAULT)
		options->auto_start = environment && strcmp(environment, "0") == 0 ?
					      ZCP_AUTO_START_OFF :
					      ZCP_AUTO_START_ON;
	if (options->timeout_ns == 0)
		options->timeout_ns = TIMEOUT_DEFAULT_NS;
	if (options->timeout_ns > INT64_MAX / 2)
		options->timeout_ns = INT64_MAX / 2;
	node->timeout_ns = options->timeout_ns;
	node->spin_ns = options->spin_ns;
	return copy_name(node, options->name);
}

/* What the runtime said at the door, checked. */
static int accept_welcome(struct zcp_node *node, const struct zcp_welcome *welcome,
			  const struct zcp_fds *fds, bool membarrier)
{
	const char *why = "the runtime sent no descriptor";
	int r;

	if (welcome->fingerprint != zcp_layout_fingerprint())
		return zcp_node_fail(
			node, -EPROTO,
			"the runtime of domain '%s' (version %s) has another memory layout "
			"than libzcp %s: bring both to one build",
			node->domain, welcome->version, zcp_version_string());
	if (!membarrier && !welcome->symmetric)
		return zcp_node_fail(
			node, -ENOTSUP,
			"membarrier is refused to this process, and the runtime of domain "
			"'%s' counts on it: set fences = \"symmetric\" in [runtime] of its "
			"configuration",
			node->domain);
	node->domain_id = welcome->domain_id;
	node->symmetric = welcome->symmetric;
	r = fds->n_fds != 1 ?
		    -EPROTO :
		    zcp_signals_attach(&node->signals, fds->fds[0], node->domain_id, &why);
	if (r < 0)
		return zcp_node_fail(node, r, "the signal region: %s", why);
	if (welcome->signal >= node->signals.n_signals)
		return zcp_node_fail(node, -EPROTO, "the runtime gave an impossible signal");
	node->signal = &node->signals.signals[welcome->signal];
	zcp_signal_reset(node->signal, welcome->node);
	return 0;
}

static int introduce(struct zcp_node *node)
{
	ZCP_CLEANUP(zcp_fds_deinit) struct zcp_fds fds = { .n_fds = 0 };
	struct zcp_message request = { .type = ZCP_MESSAGE_HELLO }, reply;
	bool membarrier = zcp_fence_register() == 0;
	int r;

	request.u.hello.fingerprint = zcp_layout_fingerprint();
	request.u.hello.membarrier = membarrier;
	(void)strcpy(request.u.hello.name, node->name);
	(void)strncpy(request.u.hello.program, program_invocation_short_name,
		      sizeof(request.u.hello.program) - 1);
	r = zcp_control_request(node, &request, ZCP_MESSAGE_WELCOME, &reply, &fds);
	if (r < 0)
		return r;
	return accept_welcome(node, &reply.u.welcome, &fds, membarrier);
}

static int open_node(struct zcp_node *node, const struct zcp_node_options *theirs)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	uint64_t deadline;
	int r;

	r = zcp_process_init(&node->process);
	if (r < 0)
		return zcp_node_fail(node, r, "cannot map a page that a fork wipes: %s",
				     zcp_strerror(r));
	r = fill_options(node, &options, theirs);
	if (r < 0)
		return r;
	deadline = zcp_now_ns() + options.timeout_ns;
	node->deadline_ns = deadline;
	for (;;) {
		zcp_close_fd(&node->socket);
		r = zcp_start_connect(&options, deadline, &node->socket, node->error,
				      sizeof(node->error));
		if (r < 0)
			return r;
		(void)strncpy(node->domain, options.domain, sizeof(node->domain) - 1);
		r = introduce(node);
		/* A runtime that ends because it was idle may close the door before us. */
		if (r != -ENOTCONN || zcp_now_ns() >= deadline)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = REOPEN_NS }, NULL);
	}
	node->deadline_ns = 0;
	return r;
}

int zcp_node_open(struct zcp_node **nodep, const struct zcp_node_options *options)
{
	struct zcp_node *node = calloc(1, sizeof(*node));
	int r;

	if (!node) {
		(void)snprintf(open_error, sizeof(open_error), "out of memory");
		return -ENOMEM;
	}
	node->socket = -1;
	node->event_fd = -1;
	r = open_node(node, options);
	if (r < 0) {
		memcpy(open_error, node->error, sizeof(open_error));
		zcp_close_fd(&node->socket);
		zcp_signals_deinit(&node->signals);
		free(node);
		return r;
	}
	*nodep = node;
	return 0;
}

struct zcp_node *zcp_node_close(struct zcp_node *node)
{
	if (!node)
		return NULL;
	/* All of it within one timeout. */
	node->deadline_ns = zcp_now_ns() + node->timeout_ns;
	while (!LIST_EMPTY(&node->publishers))
		(void)zcp_publisher_close(LIST_FIRST(&node->publishers));
	while (!LIST_EMPTY(&node->subscribers))
		(void)zcp_subscriber_close(LIST_FIRST(&node->subscribers));
	zcp_close_fd(&node->socket);
	zcp_close_fd(&node->event_fd);
	zcp_node_free_wakers(node);
	zcp_signals_deinit(&node->signals);
	free(node);
	return NULL;
}
