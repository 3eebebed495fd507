/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the directory of the runtime before us to one of our own.
 */
#include "runtime/failover/begin.h"

#include <stdio.h>
#include <string.h>

#include "pubsub/shm/crashpoint.h"
#include "runtime/serve/names.h"
#include "runtime/system/log.h"

/*
 * What the runtime before has left in its directory, if it was killed or left nodes: they are waited
 * for.
 */
static void read_former(struct zcpd_server *server)
{
	struct zcpd_directory former = ZCPD_DIRECTORY_NULL;
	struct zcp_server_entry_shm entry;
	struct zcp_domain_entry_shm domain;
	struct zcp_node_entry_shm node;
	uint32_t place = 0;
	uint64_t id;
	const char *why;
	int r = zcpd_names_open_directory(server);

	if (r < 0)
		return;
	r = zcpd_directory_open(&former, r, &why);
	if (r < 0) {
		zcpd_warning("what the runtime before has left in %s/" ZCPD_NAMES_DIRECTORY
			     " is not used: %s",
			     server->paths.domain, why);
		return;
	}
	/* One that was killed while it waited, before it had a node. */
	if (zcpd_directory_next(&former, ZCP_ENTRY_SERVER, &place, &id, &entry)) {
		server->entry.had_nodes = entry.had_nodes;
		server->entry.former_domain_id = entry.former_domain_id;
	}
	place = 0;
	while (zcpd_directory_next(&former, ZCP_ENTRY_NODE, &place, &id, &node))
		if (node.greeted) {
			server->entry.had_nodes = true;
			server->entry.former_domain_id = 0;
		}
	place = 0;
	if (server->entry.had_nodes && server->entry.former_domain_id == 0 &&
	    zcpd_directory_next(&former, ZCP_ENTRY_DOMAIN, &place, &id, &domain))
		server->entry.former_domain_id = domain.domain_id;
	zcpd_directory_deinit(&former);
}

/* Under its name only once it says what the one before it said. */
int zcpd_begin_directory(struct zcpd_server *server, char *text, size_t text_size)
{
	int fd, r;

	read_former(server);
	fd = zcpd_names_new_directory(server, text, text_size);
	if (fd < 0)
		return fd;
	r = zcpd_directory_make(&server->directory, fd);
	if (r == 0)
		r = zcpd_directory_reserve(&server->directory, ZCP_ENTRY_SERVER);
	if (r == 0)
		r = zcpd_directory_reserve(&server->directory, ZCP_ENTRY_DOMAIN);
	if (r < 0) {
		(void)snprintf(text, text_size,
			       "cannot make " ZCPD_NAMES_DIRECTORY
			       " in %s: %s: have some room there",
			       server->paths.domain, strerror(-r));
		return r;
	}
	zcpd_directory_put(&server->directory, ZCP_ENTRY_SERVER, &server->place, 1, &server->entry);
	ZCP_CRASHPOINT("start.before_directory");
	r = zcpd_names_put_directory(server, text, text_size);
	ZCP_CRASHPOINT("start.after_directory");
	if (r == 0)
		zcpd_server_record_fds(server);
	return r;
}
