/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory (pubsub/layout/directory_shm.h) as the runtime writes it: each change of an entry
 * is there wholly or not at all, whenever the process is killed.
 *
 * Descriptors, which memory cannot keep, are the keeper's: see runtime/failover/record.h.
 */
#ifndef ZCPD_DOMAIN_DIRECTORY_H
#define ZCPD_DOMAIN_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "pubsub/layout/directory_shm.h"

/* Of a kind's entries, those that are free. */
struct zcpd_places {
	uint32_t *all;
	uint32_t n;
	uint32_t room;
};

struct zcpd_directory {
	/* -1: nothing is kept, as in tests of parts of the runtime */
	int fd;
	char *base;
	uint64_t size;
	struct zcpd_places free[ZCP_ENTRY_KINDS];
};

#define ZCPD_DIRECTORY_NULL                                                                        \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Makes an empty directory in `fd` (consumed), a file without contents. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int zcpd_directory_make(struct zcpd_directory *directory,
							    int fd);

/*
 * Goes on with the one in `fd` (consumed). Returns 0; -EPROTO with *why where it is none, or none
 * of this build and boot; what mapping it gives.
 */
__attribute__((warn_unused_result)) int zcpd_directory_open(struct zcpd_directory *directory,
							    int fd, const char **why);

void zcpd_directory_deinit(struct zcpd_directory *directory);

/*
 * Room for one more entry of that kind: the next zcpd_directory_put() of a new one succeeds.
 * Returns 0, or a negative errno: the file system is full.
 */
__attribute__((warn_unused_result)) int zcpd_directory_reserve(struct zcpd_directory *directory,
							       enum zcp_entry_kind kind);

/*
 * Writes an entry: at *place, or where that is 0 at a new one, which is *place then. Where there is
 * no room the process ends: what is not kept must not happen.
 */
void zcpd_directory_put(struct zcpd_directory *directory, enum zcp_entry_kind kind, uint32_t *place,
			uint64_t id, const void *contents);

/* *place is 0 then. */
void zcpd_directory_drop(struct zcpd_directory *directory, enum zcp_entry_kind kind,
			 uint32_t *place);

/*
 * The first entry of a kind behind *place (0: from the beginning), copied. False where there is no
 * more.
 */
bool zcpd_directory_next(const struct zcpd_directory *directory, enum zcp_entry_kind kind,
			 uint32_t *place, uint64_t *id, void *contents);

/* Bytes of a kind's contents. */
size_t zcpd_directory_contents_size(enum zcp_entry_kind kind);

/* All of it, into a new file (consumed), with which the directory goes on. Or a negative errno. */
__attribute__((warn_unused_result)) int zcpd_directory_move(struct zcpd_directory *directory,
							    int fd);

#endif
