/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's configuration: read from TOML, checked completely, then never changed. What each
 * key means, its unit, default and bounds stand in config_schema.c; config/zcp.toml is the
 * commented reference for users.
 *
 * A topic's settings are layered: the built-in defaults, [defaults], every wildcard topic that
 * matches from the shortest to the longest, then the topic of that name. Each layer overrides the
 * keys that it sets.
 */
#ifndef ZCPD_CONFIG_CONFIG_H
#define ZCPD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum zcpd_config_log_level {
	ZCPD_CONFIG_LOG_ERROR,
	ZCPD_CONFIG_LOG_WARNING,
	ZCPD_CONFIG_LOG_INFO,
	ZCPD_CONFIG_LOG_DEBUG,
};

enum zcpd_config_fences {
	ZCPD_CONFIG_FENCES_AUTO,      /* light and heavy where membarrier is available */
	ZCPD_CONFIG_FENCES_SYMMETRIC, /* never membarrier */
};

enum zcpd_config_on_full {
	ZCPD_CONFIG_ON_FULL_DROP_OLDEST,
	ZCPD_CONFIG_ON_FULL_BLOCK,
};

/* From which publisher a subscriber that does not ask takes first. */
enum zcpd_config_order {
	ZCPD_CONFIG_ORDER_TURN, /* each in turn */
	ZCPD_CONFIG_ORDER_TIME, /* the one whose message was published first */
};

/* [runtime] */
struct zcpd_runtime_config {
	uint32_t log_level; /* enum zcpd_config_log_level */
	uint32_t fences;    /* enum zcpd_config_fences */
	uint64_t idle_timeout_ns;
	uint32_t max_nodes;
	uint32_t max_topics;
	/* of one user; 0: no limit */
	uint32_t max_connections_per_user;
	uint32_t max_endpoints_per_user;
	uint64_t max_memory_per_user; /* bytes */
	uint64_t hello_timeout_ns;
	uint64_t return_timeout_ns;
};

/* A time that does not come. */
#define ZCPD_CONFIG_NEVER UINT64_MAX

/* Connections that a user may have beside all the nodes there may be, unless it is said how many. */
#define ZCPD_CONFIG_SPARE_CONNECTIONS 64

/* [defaults] and [topic."NAME"]; the strings belong to the configuration. */
struct zcpd_topic_config {
	uint32_t max_publishers;
	uint32_t max_subscribers;
	uint32_t depth;     /* as written: the runtime rounds it up to a power of two for a lane */
	uint32_t max_depth; /* never smaller than depth */
	uint32_t loans;
	uint32_t held;
	uint32_t on_full; /* enum zcpd_config_on_full */
	bool allow_block;
	uint32_t history;
	bool keep_history;
	uint32_t order; /* enum zcpd_config_order */
	bool timestamps;
	bool reserve;           /* of a pool of its own; see runtime/open/reserve.h */
	uint64_t trim_after_ns; /* of a pool of its own; ZCPD_CONFIG_NEVER */
	uint64_t alignment;     /* of payloads, bytes; 0: what the first publisher needs */
	uint64_t user_header;   /* bytes before each message; 0: what the first endpoint declares */
	uint64_t max_payload;   /* bytes; 0: what the publishers declare */
	char *type;             /* NULL: what the first endpoint declares */
	char *pool;             /* name of a pool of this configuration; NULL: the topic's own */
};

/* One [topic."NAME"] as written; zcpd_config_topic() gives what holds for a topic. */
struct zcpd_topic_entry {
	char *name;
	bool wildcard; /* the name ends in a '*', which stands for the rest of any topic's name */
	uint64_t set;  /* bit i: key i of the schema is set here */
	struct zcpd_topic_config own;
};

/* One size class of a pool. */
struct zcpd_class_config {
	uint64_t size; /* bytes of payload */
	uint32_t count;
};

enum zcpd_config_huge_pages {
	ZCPD_CONFIG_HUGE_PAGES_NO,
	ZCPD_CONFIG_HUGE_PAGES_TRY, /* the kernel's pool of them, else transparent ones, else none */
	ZCPD_CONFIG_HUGE_PAGES_MUST, /* the kernel's pool of them */
};

/* [pool.NAME] */
struct zcpd_pool_config {
	char *name;
	bool reserve; /* see runtime/open/reserve.h */
	bool prefault;
	bool lock;
	uint32_t huge_pages;               /* enum zcpd_config_huge_pages */
	struct zcpd_class_config *classes; /* by size, the smallest first */
	uint32_t n_classes;
	uint64_t trim_after_ns; /* ZCPD_CONFIG_NEVER; see runtime/domain/trim_pool.h */
	uint64_t alignment;     /* of payloads, bytes */
	uint64_t user_header;   /* room before each message, bytes; enough for the topics below */
};

/* Only the code that reads the file writes it. */
struct zcpd_config {
	struct zcpd_runtime_config runtime;
	struct zcpd_topic_config defaults;
	struct zcpd_topic_entry *topics; /* sorted by name */
	size_t n_topics;
	struct zcpd_pool_config *pools; /* sorted by name */
	size_t n_pools;
	/* which file that was, for people; "" where it is too long to be told */
	char source[1024];
};

/* What is wrong: "file:line:column: sentence", or "file: sentence" with line and column 0. */
struct zcpd_config_error {
	uint32_t line;
	uint32_t column;
	char text[512];
};

/* A configuration of nothing but defaults, which the caller frees. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int zcpd_config_new_default(struct zcpd_config **out);

/*
 * Reads a configuration of `size` bytes at `text`, which need not end with a NUL; `file_name` is
 * for the messages only. The caller frees the result.
 *
 * Returns 0; -EINVAL when something in it is wrong; -EFBIG when it is larger than a MiB; -ENOMEM.
 * `error` is filled for each of them; `*out` is left alone then.
 */
__attribute__((warn_unused_result)) int zcpd_config_parse(struct zcpd_config **out,
							  const char *text, size_t size,
							  const char *file_name,
							  struct zcpd_config_error *error);

/*
 * The same from a file, which may be a pipe as well. Returns what zcpd_config_parse() returns and
 * what open() and read() say: -ENOENT, -EACCES, -EISDIR, -EIO, ...; `error` is filled then too.
 */
__attribute__((warn_unused_result)) int zcpd_config_load(struct zcpd_config **out, const char *path,
							 struct zcpd_config_error *error);

/*
 * What a file has now, in a sealed memfd (the caller's), for zcpd_config_load_fd();
 * of NULL: nothing. Returns the descriptor, or what open(), read() and memfd_create() say; `error`
 * is filled then.
 */
__attribute__((warn_unused_result)) int zcpd_config_copy(const char *path,
							 struct zcpd_config_error *error);

/* As zcpd_config_load(), from the beginning of what is open already; `path` is for the messages. */
__attribute__((warn_unused_result)) int zcpd_config_load_fd(struct zcpd_config **out, int fd,
							    const char *path,
							    struct zcpd_config_error *error);

/* Frees a configuration, or nothing when it is NULL. Returns NULL. */
struct zcpd_config *zcpd_config_free(struct zcpd_config *config);

static inline void zcpd_config_freep(struct zcpd_config **configp)
{
	*configp = zcpd_config_free(*configp);
}

/*
 * What holds for the topic of that name, layered as said above, whether or not the configuration
 * mentions it. The strings in `out` live as long as the configuration.
 */
void zcpd_config_topic(const struct zcpd_config *config, const char *name,
		       struct zcpd_topic_config *out);

/* The pool of that name, or NULL. */
const struct zcpd_pool_config *zcpd_config_pool(const struct zcpd_config *config, const char *name);

/*
 * Writes the effective configuration as TOML that parses to the same configuration again: every
 * key with its value, each topic with what its layers come to. 0 or -EIO.
 */
__attribute__((warn_unused_result)) int zcpd_config_print(const struct zcpd_config *config,
							  FILE *file);

#endif
