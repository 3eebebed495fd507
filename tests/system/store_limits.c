/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service manager's store that is empty, spoilt, too small or somebody else's: the runtime begins
 * anew, says why, and nodes come back. One that replaces the service has its store.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/system/store_helpers.h"

static void stop(struct service *service)
{
	char said[64];

	zcp_test_runtime_stop(&service->link.runtime);
	ZCP_CHECK(n_stored(service) == 0);
	ZCP_CHECK(recv(service->manager.others, said, sizeof(said), 0) == 10);
	ZCP_CHECK(memcmp(said, "STOPPING=1", 10) == 0);
}

static void a_clean_end_empties_the_store(void)
{
	struct service service;

	begin(&service, "1024");
	for (int round = 0; round < 3; round++) {
		stop(&service);
		start_service(&service);
		ZCP_CHECK(zcp_test_ask(service.link.node, "t") == 0);
		ZCP_CHECK(!zcp_test_runtime_said(&service.link.runtime, "does not go on"));
	}
	zcp_test_scene_close_link(&service.link);
	zcp_test_scene_open_link(&service.link);
	end(&service);
}

/* The next one begins anew, says so, and the node comes back with what it has. */
static void check_anew(struct service *service, const char *why)
{
	ZCP_CHECK(truncate(service->link.runtime.log, 0) == 0);
	start_service(service);
	ZCP_CHECK(zcp_test_ask(service->link.node, "t") == 0);
	ZCP_CHECK(zcp_test_runtime_said(&service->link.runtime, "does not go on"));
	ZCP_CHECK(zcp_test_runtime_said(&service->link.runtime, why));
	ZCP_CHECK(zcp_test_runtime_said(&service->link.runtime, "has come back"));
	zcp_test_scene_check(&service->link);
	/* And has a store that is as good as the first one. */
	note_connection(service);
	ZCP_CHECK(truncate(service->link.runtime.log, 0) == 0);
	restart(service);
	zcp_test_scene_check(&service->link);
	check_unnoticed(service);
}

static void a_spoilt_store_is_not_used(void)
{
	static const struct {
		enum zcp_test_manager_command command;
		const char *why;
	} spoils[] = {
		{ ZCP_MANAGER_LOSE_ONE, "a descriptor is missing" },
		{ ZCP_MANAGER_BREAK_RECORDS, "its list of records is broken" },
		{ ZCP_MANAGER_AGE, "it is of another version" },
	};
	struct service service;

	begin(&service, "1024");
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		uint32_t n = n_stored(&service);

		zcp_test_runtime_kill_all(&service.link.runtime);
		(void)zcp_test_manager_tell(&service.manager, spoils[i].command);
		check_anew(&service, spoils[i].why);
		ZCP_CHECK(n_stored(&service) == n);
	}
	end(&service);
}

static void a_store_that_is_too_small_is_called_off(void)
{
	struct service service;

	begin(&service, "8");
	ZCP_CHECK(zcp_test_runtime_said(&service.link.runtime, "raise FileDescriptorStoreMax="));
	zcp_test_scene_check(&service.link);
	zcp_test_runtime_kill_all(&service.link.runtime);
	service.manager.room = "1024";
	check_anew(&service, "something could not be stored");
	end(&service);
}

static void a_manager_that_hangs_does_not_stop_the_runtime(void)
{
	struct zcp_subscriber *subscribers[16];
	struct service service;
	uint32_t n;

	begin(&service, "1024");
	(void)zcp_test_manager_tell(&service.manager, ZCP_MANAGER_STALL);
	/* The node has an answer, although nobody stores what it opens. */
	for (n = 0; n < 16; n++) {
		char topic[16];

		(void)snprintf(topic, sizeof(topic), "t%u", n);
		subscribers[n] = zcp_test_subscriber(service.link.node, topic, ZCP_SCENE_DEPTH,
						     ZCP_SCENE_HELD, 0);
	}
	for (n = 0; n < 16; n++)
		zcp_subscriber_close(subscribers[n]);
	if (!zcp_test_runtime_said(&service.link.runtime, "does not keep what the runtime has")) {
		(void)n_stored(&service);
		zcp_test_skip("the kernel's queue of datagrams is too long to be filled");
	}
	zcp_test_scene_check(&service.link);
	/* The next worker has it stored again. */
	(void)n_stored(&service);
	(void)zcp_test_kill_worker(service.link.runtime.pid);
	zcp_test_scene_check(&service.link);
	ZCP_CHECK(truncate(service.link.runtime.log, 0) == 0);
	restart(&service);
	zcp_test_scene_check(&service.link);
	check_unnoticed(&service);
	end(&service);
}

/* --- --replace --- */

static void replace(struct service *service, bool is_service)
{
	struct zcp_test_runtime old = service->link.runtime;
	char state[32], said[64];
	bool has_ready = false, has_pid = false;
	int status;
	ssize_t n;

	zcp_test_manager_run(&service->manager, &service->link.runtime, is_service, true);
	(void)snprintf(state, sizeof(state), "MAINPID=%d", (int)service->link.runtime.pid);
	/* The old one says it; the new one too, where it is the service's. */
	while (!has_pid || (is_service && !has_ready)) {
		n = recv(service->manager.others, said, sizeof(said) - 1, 0);
		ZCP_CHECK(n > 0);
		said[n] = 0;
		ZCP_CHECK(strncmp(said, state, strlen(state)) == 0);
		has_ready = has_ready || strstr(said, "READY=1");
		has_pid = has_pid || !strstr(said, "READY=1");
	}
	ZCP_CHECK(waitpid(old.pid, &status, 0) == old.pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(old.pidfd);
	(void)close(old.notify);
	zcp_test_scene_check(&service->link);
}

static void one_that_replaces_has_the_store(void)
{
	struct service service;
	uint32_t n;

	begin(&service, "1024");
	n = n_stored(&service);
	for (int round = 0; round < 3; round++) {
		replace(&service, true);
		ZCP_CHECK(n_stored(&service) == n);
		restart(&service);
		zcp_test_scene_check(&service.link);
		check_unnoticed(&service);
		ZCP_CHECK(n_stored(&service) == n);
	}
	end(&service);
}

/* What it has is the other's now, and must be left alone: its lock, its connections. */
static void what_one_elsewhere_has_is_not_taken(void)
{
	struct zcp_test_runtime elsewhere;
	struct service service;
	int status;

	begin(&service, "1024");
	replace(&service, false);
	elsewhere = service.link.runtime;
	zcp_test_manager_run(&service.manager, &service.link.runtime, true, false);
	ZCP_CHECK(waitpid(service.link.runtime.pid, &status, 0) == service.link.runtime.pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	ZCP_CHECK(zcp_test_runtime_said(&service.link.runtime, "has taken it over"));
	ZCP_CHECK(zcp_test_runtime_said(&service.link.runtime, "has a runtime already"));
	ZCP_CHECK(n_stored(&service) == 0);
	(void)close(service.link.runtime.pidfd);
	(void)close(service.link.runtime.notify);
	service.link.runtime = elsewhere;
	ZCP_CHECK(zcp_test_socket(service.link.node) == service.socket);
	zcp_test_scene_check(&service.link);
	end(&service);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(a_clean_end_empties_the_store),
	ZCP_TEST_CASE(a_spoilt_store_is_not_used),
	ZCP_TEST_CASE(a_store_that_is_too_small_is_called_off),
	ZCP_TEST_CASE(a_manager_that_hangs_does_not_stop_the_runtime),
	ZCP_TEST_CASE(one_that_replaces_has_the_store),
	ZCP_TEST_CASE(what_one_elsewhere_has_is_not_taken),
};

ZCP_TEST_MAIN(cases)
