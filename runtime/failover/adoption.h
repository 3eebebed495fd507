/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic that is being taken over, between the files that do it: see adopt.h.
 */
#ifndef ZCPD_FAILOVER_ADOPTION_H
#define ZCPD_FAILOVER_ADOPTION_H

#include "pubsub/wire/socket.h"
#include "runtime/serve/server.h"

/* What is handed back, and where to say what is wrong with it. */
struct zcpd_adoption {
	struct zcpd_server *server;
	struct zcpd_registry *registry;
	const struct zcp_fds *fds;
	/* the user that hands it back: all of it counts for that user, whichever one had it made */
	uint32_t uid;
	struct zcp_topic_entry_shm entry;
	char pool_name[ZCP_TOPIC_SIZE];
	bool pool_is_automatic;
	/* NULL until it is there */
	struct zcpd_pool *pool;
	struct zcpd_topic *topic;
	char *text;
	size_t text_size;
};

/* Says why it cannot go on. Returns -ESTALE. */
int zcpd_adoption_stale(const struct zcpd_adoption *adoption, const char *why);

struct zcpd_session *zcpd_adoption_session(const struct zcpd_server *server, uint64_t id);

/*
 * A descriptor of our own for writing, of the region behind `fd` (borrowed), which may be for
 * reading only. Returns it, or -ESTALE.
 */
__attribute__((warn_unused_result)) int zcpd_adoption_open(int fd);

/* Whether two descriptors (borrowed) are of one region. */
bool zcpd_adoption_is_same_file(int a, int b);

/*
 * The pool's size classes as far as this node has them; others may have more. Returns 0 or
 * -ESTALE with a sentence.
 */
__attribute__((warn_unused_result)) int zcpd_adoption_add_classes(struct zcpd_adoption *adoption);

/* The topic's pool, with these. Returns as above; then `pool` may be there, and without a topic. */
__attribute__((warn_unused_result)) int zcpd_adoption_adopt_pool(struct zcpd_adoption *adoption);

/*
 * All whom the topic's slots name, as far as they are not here yet: a worker before us may have
 * been killed in the middle. One that cannot be taken over is nothing to the others.
 */
void zcpd_adoption_adopt_members(struct zcpd_adoption *adoption, bool is_new);

#endif
