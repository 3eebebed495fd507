/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one interface behind which everything stands that is measured: zcp, other middleware, the
 * kernel's own ways, and the floors below which nobody comes. A link is one direction between the
 * two roles: one or several publishers in one process, one or several subscribers in the other
 * one. An end is one publisher or one subscriber of it.
 */
#ifndef ZCP_BENCH_PEER_H
#define ZCP_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Links that are open at once, and ends on each side of one. */
#define BENCH_LINKS 16
#define BENCH_OUT_MAX 4
#define BENCH_IN_MAX 64

struct bench_pair;

enum bench_side {
	BENCH_SERVER, /* serves, and keeps the time */
	BENCH_RETURNER,
};

struct bench_link {
	/* differs among all links of a run */
	char name[48];
	/* differs among those that are open at once, below BENCH_LINKS */
	uint32_t place;
	uint32_t n_out;
	uint32_t n_in;
	/* bytes of a message at most, a multiple of 64 */
	size_t size;
	/* messages that wait for a subscriber at most */
	uint32_t depth;
	/* a subscriber sleeps until there is a message */
	bool blocks;
	/* a publisher pushes out the oldest message where a queue is full, and else waits */
	bool drops;
};

struct bench_end {
	const struct bench_link *link;
	const struct bench_pair *pair;
	enum bench_side side;
	bool is_out;
	/* among the publishers, or among the subscribers, of the link */
	uint32_t index;
	/* the peer's */
	void *of;
	/* bytes of payload that were copied between the application's memory and anywhere else */
	uint64_t n_copied;
};

struct bench_message {
	const void *data;
	size_t size;
	/* the peer's */
	void *of;
};

/*
 * All return 0 or a negative errno, and may set bench_peer_error() to say more. Those that can be
 * NULL are marked so. Calls come from one thread of a role's process, but `prepare` and `finish`.
 */
struct bench_peer {
	const char *name;
	/* at what settings it plays, in a sentence */
	const char *settings;
	/* the longest message; 0: any */
	size_t size_max;
	/* the size of all its messages; 0: any */
	size_t size_only;
	bool can_drop;
	/* its subscriber hands out what its own process has written: nothing goes across */
	bool is_private;
	/* before the roles' processes are made, and after they are gone: what they share; or NULL */
	int (*prepare)(void);
	void (*finish)(void);
	/* first in a role's process; or NULL */
	int (*begin)(enum bench_side side);
	int (*open)(struct bench_end *end);
	/* both sides have opened their ends: until this one is connected to all of the others; or NULL */
	int (*ready)(struct bench_end *end);
	/* where to write `size` bytes */
	int (*loan)(struct bench_end *end, size_t size, void **data);
	/* to all subscribers; waits for room where the link does not drop */
	int (*send)(struct bench_end *end, void *data, size_t size);
	/* -EAGAIN: none; on a link that blocks, sleeps until there is one */
	int (*take)(struct bench_end *end, struct bench_message *message);
	int (*release)(struct bench_end *end, struct bench_message *message);
	void (*close)(struct bench_end *end);
};

/* All that were compiled in, ended by NULL. */
extern const struct bench_peer *const bench_peers[];

/* NULL: there is none of that name. */
const struct bench_peer *bench_peer_find(const char *name);

/* Says more about the next failure of this process: one line, as printf() takes it; returns r. */
int bench_peer_fail(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *bench_peer_error(void);

/* The directory in which sockets and configurations of this run are. */
const char *bench_directory(void);

#endif
