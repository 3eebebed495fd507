/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the runtime's registry share: one registry without a server around it,
 * and endpoints that are opened and closed at once.
 */
#ifndef ZCP_TESTS_REGISTRY_HELPERS_H
#define ZCP_TESTS_REGISTRY_HELPERS_H

#include <criterion/criterion.h>
#include <string.h>

#include "runtime/domain/registry.h"
#include "runtime/open/open.h"
#include "tests/unit/config_helpers.h"

static struct zcpd_config *config;
static struct zcpd_registry registry;
static char text[ZCP_TEXT_SIZE];
static struct zcpd_endpoint *joined;

static inline void on_joined(struct zcpd_endpoint *subscriber, void *user)
{
	(void)user;
	joined = subscriber;
}

static inline void on_closed(struct zcpd_endpoint *endpoint, void *user)
{
	(void)endpoint;
	(void)user;
}

static inline void on_grown(struct zcpd_endpoint *endpoint, uint32_t first, void *user)
{
	(void)endpoint;
	(void)first;
	(void)user;
}

static inline void begin(const char *toml)
{
	const struct zcpd_registry_events events = {
		.joined = on_joined,
		.closed = on_closed,
		.grown = on_grown,
	};

	config = parse(toml);
	cr_assert_eq(zcpd_registry_init(&registry, config, true, &events), 0);
}

static inline void end(void)
{
	zcpd_registry_deinit(&registry);
	config = zcpd_config_free(config);
}

static const struct zcpd_client client = { .node = "test", .pid = 1 };

static inline int publish(const char *topic, uint64_t max_payload, uint32_t loans,
			  struct zcpd_endpoint **publisher)
{
	struct zcp_open_publisher request = { .max_payload = max_payload, .loans = loans };

	(void)strcpy(request.topic, topic);
	text[0] = 0;
	return zcpd_open_publisher(&registry, &client, &request, publisher, text, sizeof(text));
}

static inline int subscribe(const char *topic, uint32_t depth, uint32_t held,
			    struct zcpd_endpoint **subscriber)
{
	struct zcp_open_subscriber request = { .depth = depth, .held = held };
	int r;

	(void)strcpy(request.topic, topic);
	text[0] = 0;
	joined = NULL;
	r = zcpd_open_subscriber(&registry, &client, &request, 1, subscriber, text, sizeof(text));
	cr_assert((r == 0) == (joined != NULL));
	return r;
}

static inline void close_endpoint(struct zcpd_endpoint *endpoint)
{
	zcpd_registry_close(&registry, endpoint, 0);
}

#endif
