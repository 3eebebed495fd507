/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scene whose runtime is the service of a manager that stores descriptors.
 */
#ifndef ZCP_TESTS_SYSTEM_STORE_HELPERS_H
#define ZCP_TESTS_SYSTEM_STORE_HELPERS_H

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/manager.h"
#include "tests/support/scene.h"

struct service {
	struct zcp_test_scene link;
	struct zcp_test_manager manager;
	/* the node's connection, and what it is to stay */
	int socket;
	struct stat connection;
};

static inline void start_service(struct service *service)
{
	struct zcp_test_runtime *runtime = &service->link.runtime;

	zcp_test_manager_run(&service->manager, runtime, true, false);
	zcp_test_runtime_notifies(runtime, "READY=1");
	runtime->worker = zcp_test_worker(runtime->pid);
}

static inline void restart(struct service *service)
{
	zcp_test_runtime_kill_all(&service->link.runtime);
	start_service(service);
}

static inline uint32_t n_stored(const struct service *service)
{
	return zcp_test_manager_tell(&service->manager, ZCP_MANAGER_COUNT);
}

static inline void note_connection(struct service *service)
{
	service->socket = zcp_test_socket(service->link.node);
	ZCP_CHECK(fstat(service->socket, &service->connection) == 0);
}

static inline void begin(struct service *service, const char *room)
{
	*service = (struct service){ .socket = -1 };
	ZCP_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	zcp_test_manager_start(&service->manager, room);
	start_service(service);
	zcp_test_scene_attach(&service->link);
	note_connection(service);
}

static inline void check_unnoticed(const struct service *service)
{
	const struct zcp_test_runtime *runtime = &service->link.runtime;
	struct stat now;

	ZCP_CHECK(zcp_test_socket(service->link.node) == service->socket);
	ZCP_CHECK(fstat(service->socket, &now) == 0);
	ZCP_CHECK(now.st_ino == service->connection.st_ino);
	ZCP_CHECK(now.st_dev == service->connection.st_dev);
	ZCP_CHECK(!zcp_test_runtime_said(runtime, "has come back"));
	ZCP_CHECK(!zcp_test_runtime_said(runtime, "does not go on"));
	ZCP_CHECK(!zcp_test_runtime_said(runtime, "does not keep"));
}

static inline void end(struct service *service)
{
	zcp_test_scene_check(&service->link);
	zcp_test_scene_end(&service->link);
	ZCP_CHECK(n_stored(service) == 0);
	zcp_test_manager_stop(&service->manager);
}

#endif
