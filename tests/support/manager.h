/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service manager that stores descriptors as systemd does (FDSTORE=1, FDSTOREREMOVE=1), in a
 * process of its own, and hands them to the zcpd that is started next (LISTEN_FDS).
 */
#ifndef ZCP_TESTS_SUPPORT_MANAGER_H
#define ZCP_TESTS_SUPPORT_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/process.h"
#include "tests/support/runtime.h"

struct zcp_test_manager {
	struct zcp_test_child process;
	/* NOTIFY_SOCKET */
	char notify[128];
	/* commands go there; and what it is told that is not about the store comes from there */
	int control;
	int others;
	/* FDSTORE: as many as it says that it has room for */
	const char *room;
	/* what is started has what is stored */
	bool hands_out;
};

enum zcp_test_manager_command {
	ZCP_MANAGER_COUNT,
	ZCP_MANAGER_LIST,
	ZCP_MANAGER_LOSE_ONE,      /* a descriptor is gone */
	ZCP_MANAGER_BREAK_RECORDS, /* bytes in the middle of the list */
	ZCP_MANAGER_AGE,           /* as if another version had written it */
	ZCP_MANAGER_STALL,         /* until the next command */
};

void zcp_test_manager_start(struct zcp_test_manager *manager, const char *room);

/* Without what it has stored. */
void zcp_test_manager_stop(struct zcp_test_manager *manager);

/* Returns how many descriptors are stored. */
uint32_t zcp_test_manager_tell(const struct zcp_test_manager *manager,
			       enum zcp_test_manager_command command);

/*
 * Starts zcpd: as the manager's service, with what is stored unless it replaces one that runs; or
 * as a stranger. Does not wait until it is ready.
 */
void zcp_test_manager_run(struct zcp_test_manager *manager, struct zcp_test_runtime *runtime,
			  bool is_service, bool replaces);

#endif
