/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keeper and the worker say to each other: packets over a SOCK_SEQPACKET pair, each
 * this header, and descriptors beside it. A record is the descriptors of one object; what there is
 * to know of the object is in the directory. Only the worker knows which descriptor is which.
 *
 * A worker begins with all records, in the order in which they were kept first, and END.
 *
 * A process that hands all records on to another keeper (as its predecessor) sends it the same
 * packets, and then does nothing until a worker has the records: that worker is given the way
 * back with its END, says GOT, and begins when the predecessor is gone. Where successor and worker
 * die before that, the predecessor goes on. So at any moment exactly one process goes on with
 * everything.
 */
#ifndef ZCPD_FAILOVER_KEEP_H
#define ZCPD_FAILOVER_KEEP_H

#include <stdint.h>

#include "pubsub/layout/directory_shm.h"

enum zcpd_keep_operation {
	ZCPD_KEEP_RECORD, /* both ways; replaces the one that has its key */
	ZCPD_KEEP_DROP,
	ZCPD_KEEP_END,      /* keeper: these were all; its pid is the id; with its predecessor */
	ZCPD_KEEP_READY,    /* worker: it serves; with where the log goes from now on, or nothing */
	ZCPD_KEEP_STOPPING, /* worker: it has begun to end */
	ZCPD_KEEP_GOT,      /* worker, to its keeper's predecessor: it has all, and waits */
	ZCPD_KEEP_ABORT,    /* keeper, to such a worker: it goes on itself after all */
	ZCPD_KEEP_REPLACE,  /* worker: another keeper is to have all, over this socket */
};

/* Kind and id together are a record's key. */
struct zcpd_keep_header {
	uint32_t operation;
	uint32_t kind;
	uint64_t id;
};

/* A kind that is no entry's: the list of what a service manager stores (runtime/failover/store.h). */
#define ZCPD_KEEP_LEDGER UINT32_MAX
/* The id of what there is one of. */
#define ZCPD_KEEP_SINGLE 1
/* Descriptors of one record. */
#define ZCPD_KEEP_FDS_MAX 4
/* Bytes of one packet. */
#define ZCPD_KEEP_SIZE_MAX sizeof(struct zcpd_keep_header)

#endif
