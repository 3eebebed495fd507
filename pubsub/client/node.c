/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing a node.
 */
#include "pubsub/client/node.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <zcp/publisher.h>
#include <zcp/subscriber.h>

#include "pubsub/client/connection/attach.h"
#include "pubsub/client/inside.h"
#include "pubsub/client/thread_errors.h"
#include "pubsub/util.h"
#include "pubsub/wire/name.h"
#include "pubsub/wire/paths.h"

#define TIMEOUT_DEFAULT_NS UINT64_C(5000000000)

int zcp_node_fail(struct zcp_node *node, int code, const char *format, ...)
{
	bool is_own = zcp_node_is_busy(node);
	struct zcp_thread_errors *errors = is_own ? zcp_thread_errors_make() : zcp_thread_errors();
	va_list arguments;

	if (errors && (is_own || errors->node == node))
		errors->node = is_own ? node : NULL;
	/* Without memory for it the sentence is lost: the node's own is the other thread's. */
	if (is_own && !errors)
		return code;
	va_start(arguments, format);
	(void)vsnprintf(is_own ? errors->own : node->error, sizeof(node->error), format, arguments);
	va_end(arguments);
	return code;
}

int zcp_node_refuse_busy(struct zcp_node *node)
{
	return zcp_node_fail(node, -EBUSY,
			     "another thread is in a call on node '%s' or on one of its endpoints: "
			     "open a node for each thread",
			     node->name);
}

const char *zcp_node_error(const struct zcp_node *node)
{
	const struct zcp_thread_errors *errors = zcp_thread_errors();

	if (!node)
		return errors ? errors->open : "";
	return errors && errors->node == node ? errors->own : node->error;
}

const char *zcp_node_name(const struct zcp_node *node)
{
	return node->name;
}

/* Nobody has given it: what does not fit, or cannot be shown, is no error. */
static void copy_program_name(struct zcp_node *node)
{
	const char *name = program_invocation_short_name;

	(void)snprintf(node->name, sizeof(node->name), "%.*s",
		       (int)zcp_name_cut(name, ZCP_NODE_NAME_MAX), name);
	zcp_name_hide_controls(node->name);
}

static int copy_name(struct zcp_node *node, const char *name)
{
	size_t n;

	if (!name) {
		copy_program_name(node);
		return 0;
	}
	if (strlen(name) > ZCP_NODE_NAME_MAX)
		return zcp_node_fail(node, -ENAMETOOLONG,
				     "the node's name '%.32s…' is longer than %d bytes: shorten it",
				     name, ZCP_NODE_NAME_MAX);
	if (zcp_name_find_control(name, &n))
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
	if (options->timeout_ns > INT64_MAX / 4)
		options->timeout_ns = INT64_MAX / 4;
	if (options->wait_ns > INT64_MAX / 4)
		options->wait_ns = INT64_MAX / 4;
	node->timeout_ns = options->timeout_ns;
	node->spin_ns = options->spin_ns;
	return copy_name(node, options->name);
}

/* What the caller gave may go; the node may have to find a runtime again. */
static int copy_strings(struct zcp_node *node)
{
	const char *strings[] = { node->options.domain, node->options.runtime_dir,
				  node->options.zcpd };
	const char **ours[] = { &node->options.domain, &node->options.runtime_dir,
				&node->options.zcpd };
	int r = 0;

	node->options.name = NULL;
	for (int i = 0; i < 3; i++) {
		*ours[i] = strings[i] ? strdup(strings[i]) : NULL;
		if (strings[i] && !*ours[i])
			r = zcp_node_fail(node, -ENOMEM, "out of memory");
	}
	return r;
}

static void free_strings(struct zcp_node *node)
{
	free((char *)node->options.domain);
	free((char *)node->options.runtime_dir);
	free((char *)node->options.zcpd);
}

static void free_node(struct zcp_node *node)
{
	struct zcp_thread_errors *errors = zcp_thread_errors();

	zcp_detach(node);
	free_strings(node);
	(void)pthread_mutex_destroy(&node->talk);
	if (errors && errors->node == node)
		errors->node = NULL;
	free(node);
}

static int open_node(struct zcp_node *node, const struct zcp_node_options *theirs)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	char directory[PATH_MAX];
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
	if (options.wait_ns > options.timeout_ns)
		deadline += options.wait_ns - options.timeout_ns;
	(void)strncpy(node->domain, options.domain, sizeof(node->domain) - 1);
	/* Wherever we are when another runtime is to be found; one that is too long is told of then. */
	if (zcp_paths_find(options.runtime_dir, directory, sizeof(directory)) == 0)
		options.runtime_dir = directory;
	node->options = options;
	r = copy_strings(node);
	if (r == 0)
		r = zcp_attach(node, deadline);
	/* From here on it starts none that it does not wait for. */
	node->options.wait_ns = 0;
	return r;
}

/* Again in the same thread: a request may have to find a runtime first. */
static int init_talk(struct zcp_node *node)
{
	pthread_mutexattr_t attributes;
	int r = pthread_mutexattr_init(&attributes);

	if (r != 0)
		return -r;
	(void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	r = pthread_mutex_init(&node->talk, &attributes);
	(void)pthread_mutexattr_destroy(&attributes);
	return -r;
}

/* For zcp_node_error(NULL); returns `code`. */
static int say_open_error(int code, const char *text)
{
	struct zcp_thread_errors *errors = zcp_thread_errors_make();

	if (errors)
		(void)snprintf(errors->open, sizeof(errors->open), "%s", text);
	return code;
}

int zcp_node_open_as(struct zcp_node **nodep, const struct zcp_node_options *options,
		     enum zcp_node_role role)
{
	struct zcp_node *node = calloc(1, sizeof(*node));
	int r;

	if (!node || init_talk(node) < 0) {
		free(node);
		return say_open_error(-ENOMEM, "out of memory");
	}
	node->socket = -1;
	node->signals_fd = -1;
	node->event_fd = -1;
	node->poll_fd = -1;
	node->timer_fd = -1;
	node->role = role;
	r = open_node(node, options);
	if (r < 0) {
		r = say_open_error(r, node->error);
		free_node(node);
		return r;
	}
	*nodep = node;
	return 0;
}

int zcp_node_open(struct zcp_node **node, const struct zcp_node_options *options)
{
	return zcp_node_open_as(node, options, ZCP_NODE_TAKES_PART);
}

struct zcp_node *zcp_node_close(struct zcp_node *node)
{
	if (!node)
		return NULL;
	if (node->is_dispatching) {
		node->is_closing = true;
		return NULL;
	}
	/* All of it within one timeout. */
	node->deadline_ns = zcp_now_ns() + node->timeout_ns;
	while (!LIST_EMPTY(&node->publishers))
		(void)zcp_publisher_close(LIST_FIRST(&node->publishers));
	while (!LIST_EMPTY(&node->subscribers))
		(void)zcp_subscriber_close(LIST_FIRST(&node->subscribers));
	zcp_node_free_wakers(node);
	free_node(node);
	return NULL;
}
