/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of a pool's memory share.
 */
#ifndef ZCP_TESTS_SYSTEM_MEMORY_HELPERS_H
#define ZCP_TESTS_SYSTEM_MEMORY_HELPERS_H

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "pubsub/wire/message.h"
#include "tests/support/cases.h"
#include "tests/support/runtime.h"

/* What `zcp info` asks for. */
static inline void expect_info(struct zcp_node *node, const char *topic, bool prefaulted,
			       bool locked, const char *pages)
{
	struct zcp_message reply;

	zcp_test_info(node, topic, &reply);
	ZCP_CHECK(reply.u.topic_info.prefaulted == prefaulted);
	ZCP_CHECK(reply.u.topic_info.locked == locked);
	ZCP_CHECK(zcp_test_has(reply.u.topic_info.pages, pages));
	zcp_message_deinit(&reply);
}

static inline bool has_lock_capability(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	ZCP_CHECK(syscall(SYS_capget, &header, data) == 0);
	return data[CAP_IPC_LOCK / 32].effective >> CAP_IPC_LOCK % 32 & 1;
}

static inline int try_to_publish(struct zcp_node *node, const char *topic)
{
	struct zcp_publisher *publisher = NULL;
	int r = zcp_publisher_open(&publisher, node, topic, NULL);

	ZCP_CHECK((r == 0) == (publisher != NULL));
	zcp_publisher_close(publisher);
	return r;
}

static inline int try_to_subscribe(struct zcp_node *node, const char *topic)
{
	struct zcp_subscriber *subscriber = NULL;
	int r = zcp_subscriber_open(&subscriber, node, topic, NULL);

	ZCP_CHECK((r == 0) == (subscriber != NULL));
	zcp_subscriber_close(subscriber);
	return r;
}

#endif
