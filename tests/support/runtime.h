/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime of the test's own in the case's directory, and what it says about a topic.
 */
#ifndef ZCP_TESTS_SUPPORT_RUNTIME_H
#define ZCP_TESTS_SUPPORT_RUNTIME_H

#include <sys/types.h>
#include <zcp/zcp.h>

#include "pubsub/shm/pool.h"
#include "pubsub/wire/message.h"

struct zcp_test_runtime {
	pid_t pid;
	int pidfd;
	/* the process that worked for it when it was ready */
	pid_t worker;
	/* where it says READY=1 and STOPPING=1 */
	int notify;
	/* its standard error */
	char log[128];
};

/* Writes a configuration into the case's directory; returns its path, static. */
const char *zcp_test_config(const char *text);

/* A datagram socket with a name of the kernel's choosing, which is for NOTIFY_SOCKET. */
int zcp_test_notify_socket(char *name, size_t size);

/*
 * Starts zcpd in the foreground with these arguments more (NULL at the end), after `prepare` (or
 * NULL) in its process. Sets pid, pidfd and log alone, and waits for nothing.
 */
void zcp_test_runtime_spawn(struct zcp_test_runtime *runtime, const char *const *arguments,
			    void (*prepare)(void *user), void *user);

/*
 * Starts zcpd in the foreground for domain "default", with a configuration (its text; NULL:
 * all defaults); waits until it says that it is ready.
 */
void zcp_test_runtime_start(struct zcp_test_runtime *runtime, const char *config);

/* Starts another one in its place (--replace), and waits until the one before has ended with 0. */
void zcp_test_runtime_replace(struct zcp_test_runtime *runtime, const char *config);

/* SIGTERM, and waits for an end with 0; or SIGKILL, to both of its processes. */
void zcp_test_runtime_stop(struct zcp_test_runtime *runtime);
void zcp_test_runtime_kill_all(struct zcp_test_runtime *runtime);

/* SIGTERM to the runtime that some node has started, if there is one, and waits for its end. */
void zcp_test_started_runtime_stop(const char *domain);

/*
 * The keeper is killed, or has died: waits until another one has taken over, and goes on with
 * that. Only where orphans come to us (PR_SET_CHILD_SUBREAPER), and we have no other children
 * that end meanwhile.
 */
void zcp_test_runtime_kill_keeper(struct zcp_test_runtime *runtime);
void zcp_test_runtime_next_keeper(struct zcp_test_runtime *runtime);

/* The same, whatever becomes of those before. */
void zcp_test_runtime_follow(struct zcp_test_runtime *runtime);

/* The process that works for the runtime with this pid, at the moment; waits until there is one. */
pid_t zcp_test_worker(pid_t runtime);

/* Kills that, and waits until it is gone. Returns its pid. */
pid_t zcp_test_kill_worker(pid_t runtime);

/* Kills both processes of the runtime with this pid, and waits until they are gone. */
void zcp_test_kill_both(pid_t runtime);

/* Waits for the next thing that it tells the service manager, which must be that. */
void zcp_test_runtime_notifies(const struct zcp_test_runtime *runtime, const char *state);

/* Whether its log has `text`. */
bool zcp_test_runtime_said(const struct zcp_test_runtime *runtime, const char *text);
uint64_t zcp_test_runtime_count(const struct zcp_test_runtime *runtime, const char *text);

/* The pid of the domain's runtime, whoever has started it; 0 if there is none. */
pid_t zcp_test_runtime_pid(const char *domain);

/* Its pidfd; there must be one. */
int zcp_test_runtime_pidfd(const char *domain);

/* Whether there is such a file in the case's directory. */
bool zcp_test_exists(const char *name);

/*
 * Runs zcpd with `arguments` (NULL at the end, the program's name not among them), waits for
 * its end, and returns its exit code; what it wrote goes to out and err (each of `size`).
 */
int zcp_test_zcpd(const char *const *arguments, char *out, char *err, size_t size);

/* A node of a case; what does not work ends the process. */
struct zcp_node *zcp_test_node(void);
struct zcp_publisher *zcp_test_publisher(struct zcp_node *node, const char *topic,
					 size_t max_payload, uint32_t loans);
struct zcp_subscriber *zcp_test_subscriber(struct zcp_node *node, const char *topic, uint32_t depth,
					   uint32_t held, uint32_t on_full);

/* Publishes the number, in a message of its own. */
void zcp_test_send(struct zcp_publisher *publisher, uint64_t number);

/* Takes the next message and gives it back: the number in it, and what was lost before. */
bool zcp_test_take(struct zcp_subscriber *subscriber, uint64_t *number, uint64_t *lost);

/* Takes one message, which must be there, have that number and follow without a loss. */
void zcp_test_expect(struct zcp_subscriber *subscriber, uint64_t number);

/* Asks the runtime about a topic: 0 or -ENOENT; or zcp_message_deinit() the answer. */
int zcp_test_ask(struct zcp_node *node, const char *topic);
void zcp_test_info(struct zcp_node *node, const char *topic, struct zcp_message *reply);

/* The first page of its endpoints; zcp_message_deinit() it. */
void zcp_test_endpoints(struct zcp_node *node, const char *topic, struct zcp_message *reply);

/* The topic has so many, at once. */
void zcp_test_check_members(struct zcp_node *node, const char *topic, uint32_t n_publishers,
			    uint32_t n_subscribers);

/* Asks again until the topic has so many; each question is one round trip. */
void zcp_test_wait_for_members(struct zcp_node *node, const char *topic, uint32_t n_publishers,
			       uint32_t n_subscribers);

/* Asks again until there is no such topic. */
void zcp_test_wait_until_gone(struct zcp_node *node, const char *topic);

/* The audit of the domain must find nothing. Returns how many chunks are queued or held. */
uint64_t zcp_test_audit(struct zcp_node *node);

/* The same; returns how many chunks are in use: on loan, queued, held, or history. */
uint64_t zcp_test_n_busy(struct zcp_node *node);

#endif
