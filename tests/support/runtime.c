/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcpd as a child, and short ways through the API and through the control socket.
 */
#include "tests/support/runtime.h"
#include "tests/support/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/process.h"

#define ARGUMENTS_MAX 16

static const char *zcpd_path(void)
{
	const char *path = getenv("ZCP_ZCPD");

	return path ? path : ZCP_BIN_DIR "/zcpd";
}

const char *zcp_test_config(const char *text)
{
	static char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/zcp.toml", zcp_test_directory());
	file = fopen(path, "we");
	ZCP_CHECK(file != NULL);
	ZCP_CHECK(fputs(text, file) >= 0 && fclose(file) == 0);
	return path;
}

int zcp_test_notify_socket(char *name, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ZCP_CHECK(fd >= 0);
	ZCP_CHECK(bind(fd, (const struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	ZCP_CHECK(getsockname(fd, (struct sockaddr *)&address, &n) == 0);
	(void)snprintf(name, size, "@%.*s", (int)(n - offsetof(struct sockaddr_un, sun_path) - 1),
		       address.sun_path + 1);
	return fd;
}

void zcp_test_runtime_notifies(const struct zcp_test_runtime *runtime, const char *state)
{
	struct pollfd pollfds[2] = {
		{ .fd = runtime->notify, .events = POLLIN },
		{ .fd = runtime->pidfd, .events = POLLIN },
	};
	char said[64];
	ssize_t n;

	ZCP_CHECK(poll(pollfds, 2, -1) > 0);
	ZCP_CHECK(pollfds[0].revents & POLLIN);
	n = recv(runtime->notify, said, sizeof(said) - 1, 0);
	ZCP_CHECK(n > 0);
	said[n] = 0;
	ZCP_CHECK(strcmp(said, state) == 0);
}

void zcp_test_runtime_follow(struct zcp_test_runtime *runtime)
{
	static const char prefix[] = "MAINPID=";
	char said[64];
	ssize_t n = recv(runtime->notify, said, sizeof(said) - 1, 0);

	ZCP_CHECK(n > 0);
	said[n] = 0;
	ZCP_CHECK(strncmp(said, prefix, sizeof(prefix) - 1) == 0);
	runtime->pid = (pid_t)strtol(said + sizeof(prefix) - 1, NULL, 10);
	(void)close(runtime->pidfd);
	runtime->pidfd = zcp_test_pidfd(runtime->pid);
	ZCP_CHECK(runtime->pidfd >= 0);
	/*
	 * A worker that has made another keeper closes its descriptors, which the keeper waits for,
	 * before it hands its child on to us.
	 */
	while (zcp_test_parent(runtime->pid) != getpid())
		(void)sched_yield();
	runtime->worker = zcp_test_worker(runtime->pid);
}

void zcp_test_runtime_spawn(struct zcp_test_runtime *runtime, const char *const *arguments,
			    void (*prepare)(void *user), void *user)
{
	const char *all[ARGUMENTS_MAX] = { "zcpd", "--foreground", "--log-level", "debug" };

	for (int i = 0; i + 5 < ARGUMENTS_MAX && arguments[i]; i++)
		all[i + 4] = arguments[i];
	(void)snprintf(runtime->log, sizeof(runtime->log), "%s/foreground.log",
		       zcp_test_directory());
	(void)fflush(NULL);
	runtime->pid = fork();
	ZCP_CHECK(runtime->pid >= 0);
	if (runtime->pid == 0) {
		int log = open(runtime->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		ZCP_CHECK(log >= 0 && dup2(log, STDERR_FILENO) >= 0);
		/* It goes with the case, whatever becomes of that. */
		ZCP_CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
		if (prepare)
			prepare(user);
		(void)execv(zcpd_path(), (char *const *)all);
		_exit(127);
	}
	runtime->pidfd = zcp_test_pidfd(runtime->pid);
	ZCP_CHECK(runtime->pidfd >= 0);
}

static void name_notify_socket(void *user)
{
	ZCP_CHECK(setenv("NOTIFY_SOCKET", user, 1) == 0);
}

static void start(struct zcp_test_runtime *runtime, const char *config, bool replace)
{
	const char *arguments[4] = { NULL };
	char name[128];
	int n = 0;

	runtime->notify = zcp_test_notify_socket(name, sizeof(name));
	if (replace)
		arguments[n++] = "--replace";
	if (config) {
		arguments[n++] = "--config";
		arguments[n] = zcp_test_config(config);
	}
	zcp_test_runtime_spawn(runtime, arguments, name_notify_socket, name);
}

void zcp_test_runtime_start(struct zcp_test_runtime *runtime, const char *config)
{
	start(runtime, config, false);
	zcp_test_runtime_notifies(runtime, "READY=1");
	runtime->worker = zcp_test_worker(runtime->pid);
}

void zcp_test_runtime_replace(struct zcp_test_runtime *runtime, const char *config)
{
	struct zcp_test_runtime old = *runtime;
	char state[32];
	int status;

	start(runtime, config, true);
	zcp_test_runtime_follow(runtime);
	/* It is said to whoever watches the old one as well. */
	(void)snprintf(state, sizeof(state), "MAINPID=%d", (int)runtime->pid);
	ZCP_CHECK(waitpid(old.pid, &status, 0) == old.pid);
	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	zcp_test_runtime_notifies(&old, state);
	(void)close(old.pidfd);
	(void)close(old.notify);
}

void zcp_test_runtime_next_keeper(struct zcp_test_runtime *runtime)
{
	pid_t keeper = runtime->pid;
	int status;

	zcp_test_runtime_follow(runtime);
	ZCP_CHECK(waitpid(keeper, &status, 0) == keeper);
	/* The worker before has fallen to us, or has died as the keeper's. */
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
}

void zcp_test_runtime_kill_keeper(struct zcp_test_runtime *runtime)
{
	ZCP_CHECK(zcp_test_pidfd_kill(runtime->pidfd, SIGKILL) == 0);
	zcp_test_runtime_next_keeper(runtime);
}

static int end_runtime(struct zcp_test_runtime *runtime, int number)
{
	int status;

	ZCP_CHECK(zcp_test_pidfd_kill(runtime->pidfd, number) == 0);
	ZCP_CHECK(waitpid(runtime->pid, &status, 0) == runtime->pid);
	(void)close(runtime->pidfd);
	(void)close(runtime->notify);
	return status;
}

void zcp_test_runtime_stop(struct zcp_test_runtime *runtime)
{
	int status = end_runtime(runtime, SIGTERM);

	ZCP_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void zcp_test_kill_both(pid_t runtime)
{
	int keeper = zcp_test_pidfd(runtime), worker = zcp_test_pidfd(zcp_test_worker(runtime));

	ZCP_CHECK(keeper >= 0 && worker >= 0);
	/* One alone would be replaced. */
	ZCP_CHECK(zcp_test_pidfd_kill(worker, SIGSTOP) == 0);
	ZCP_CHECK(zcp_test_pidfd_kill(keeper, SIGKILL) == 0);
	ZCP_CHECK(zcp_test_ends(keeper, -1));
	ZCP_CHECK(zcp_test_pidfd_kill(worker, SIGKILL) == 0);
	ZCP_CHECK(zcp_test_ends(worker, -1));
	(void)close(keeper);
	(void)close(worker);
}

void zcp_test_runtime_kill_all(struct zcp_test_runtime *runtime)
{
	int status;

	zcp_test_kill_both(runtime->pid);
	status = end_runtime(runtime, SIGKILL);
	ZCP_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

pid_t zcp_test_worker(pid_t runtime)
{
	pid_t pid = 0;

	while (pid <= 0) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)runtime,
			       (int)runtime);
		pid = zcp_test_read_pid(path);
	}
	return pid;
}

pid_t zcp_test_kill_worker(pid_t runtime)
{
	pid_t pid = zcp_test_worker(runtime);
	int pidfd = zcp_test_pidfd(pid);

	/* It may have died by itself. */
	if (pidfd >= 0) {
		(void)zcp_test_pidfd_kill(pidfd, SIGKILL);
		ZCP_CHECK(zcp_test_ends(pidfd, -1));
		(void)close(pidfd);
	}
	return pid;
}

void zcp_test_started_runtime_stop(const char *domain)
{
	pid_t pid = zcp_test_runtime_pid(domain);
	int pidfd = pid > 0 ? zcp_test_pidfd(pid) : -1;

	if (pidfd < 0)
		return;
	(void)zcp_test_pidfd_kill(pidfd, SIGTERM);
	ZCP_CHECK(zcp_test_ends(pidfd, -1));
	(void)close(pidfd);
}

static void read_all(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t r;

	ZCP_CHECK(fd >= 0);
	while (n + 1 < size && (r = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)r;
	text[n] = 0;
	(void)close(fd);
}

uint64_t zcp_test_runtime_count(const struct zcp_test_runtime *runtime, const char *text)
{
	static char log[1 << 20];
	uint64_t n = 0;

	read_all(runtime->log, log, sizeof(log));
	for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

bool zcp_test_runtime_said(const struct zcp_test_runtime *runtime, const char *text)
{
	return zcp_test_runtime_count(runtime, text) > 0;
}

pid_t zcp_test_runtime_pid(const char *domain)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s/zcpd.pid", zcp_test_directory(), domain);
	return zcp_test_read_pid(path);
}

int zcp_test_runtime_pidfd(const char *domain)
{
	int pidfd = zcp_test_pidfd(zcp_test_runtime_pid(domain));

	ZCP_CHECK(pidfd >= 0);
	return pidfd;
}

bool zcp_test_exists(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", zcp_test_directory(), name);
	return access(path, F_OK) == 0;
}

int zcp_test_zcpd(const char *const *arguments, char *out, char *err, size_t size)
{
	const char *all[ARGUMENTS_MAX] = { "zcpd" };
	char paths[2][128];
	int status;
	pid_t pid;

	for (int i = 0; i + 2 < ARGUMENTS_MAX && arguments[i]; i++)
		all[i + 1] = arguments[i];
	for (int i = 0; i < 2; i++)
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/zcpd-%d.output",
			       zcp_test_directory(), i);
	(void)fflush(NULL);
	pid = fork();
	ZCP_CHECK(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < 2; i++) {
			int fd = open(paths[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

			ZCP_CHECK(fd >= 0 && dup2(fd, STDOUT_FILENO + i) >= 0);
		}
		(void)execv(zcpd_path(), (char *const *)all);
		_exit(127);
	}
	ZCP_CHECK(waitpid(pid, &status, 0) == pid);
	read_all(paths[0], out, size);
	read_all(paths[1], err, size);
	ZCP_CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

struct zcp_node *zcp_test_node(void)
{
	struct zcp_node *node = NULL;

	ZCP_OK(zcp_node_open(&node, NULL), NULL);
	return node;
}

struct zcp_publisher *zcp_test_publisher(struct zcp_node *node, const char *topic,
					 size_t max_payload, uint32_t loans)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;
	struct zcp_publisher *publisher = NULL;

	options.max_payload = max_payload;
	options.loans = loans;
	ZCP_OK(zcp_publisher_open(&publisher, node, topic, &options), node);
	return publisher;
}

struct zcp_subscriber *zcp_test_subscriber(struct zcp_node *node, const char *topic, uint32_t depth,
					   uint32_t held, uint32_t on_full)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;
	struct zcp_subscriber *subscriber = NULL;

	options.depth = depth;
	options.held = held;
	options.on_full = on_full;
	ZCP_OK(zcp_subscriber_open(&subscriber, node, topic, &options), node);
	return subscriber;
}

void zcp_test_send(struct zcp_publisher *publisher, uint64_t number)
{
	int r = zcp_publisher_send(publisher, &number, sizeof(number));

	if (r < 0)
		(void)fprintf(stderr, "message %llu: %s\n", (unsigned long long)number,
			      zcp_strerror(r));
	ZCP_CHECK(r == 0);
}

bool zcp_test_take(struct zcp_subscriber *subscriber, uint64_t *number, uint64_t *lost)
{
	struct zcp_sample sample;
	int r = zcp_subscriber_take(subscriber, &sample);

	if (r == -EAGAIN)
		return false;
	ZCP_CHECK(r == 0);
	ZCP_CHECK(sample.size == sizeof(*number));
	memcpy(number, sample.data, sizeof(*number));
	*lost = sample.lost;
	ZCP_CHECK(zcp_sample_release(&sample) == 0);
	return true;
}

void zcp_test_expect(struct zcp_subscriber *subscriber, uint64_t number)
{
	uint64_t got = UINT64_MAX, lost = UINT64_MAX;

	if (zcp_test_take(subscriber, &got, &lost) && got == number && lost == 0)
		return;
	(void)fprintf(stderr, "wanted message %llu, got %llu (%llu lost; all ones: nothing)\n",
		      (unsigned long long)number, (unsigned long long)got,
		      (unsigned long long)lost);
	ZCP_CHECK(got == number && lost == 0);
}

static int ask(struct zcp_node *node, const char *topic, struct zcp_message *reply)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_INFO };

	(void)snprintf(request.u.info.topic, sizeof(request.u.info.topic), "%s", topic);
	return zcp_test_node_request(node, &request, ZCP_MESSAGE_TOPIC_INFO, reply);
}

int zcp_test_ask(struct zcp_node *node, const char *topic)
{
	struct zcp_message reply;
	int r = ask(node, topic, &reply);

	if (r == 0)
		zcp_message_deinit(&reply);
	return r;
}

void zcp_test_info(struct zcp_node *node, const char *topic, struct zcp_message *reply)
{
	ZCP_OK(ask(node, topic, reply), node);
}

void zcp_test_endpoints(struct zcp_node *node, const char *topic, struct zcp_message *reply)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_ENDPOINTS };

	(void)snprintf(request.u.endpoints.topic, sizeof(request.u.endpoints.topic), "%s", topic);
	ZCP_OK(zcp_test_node_request(node, &request, ZCP_MESSAGE_ENDPOINT_PAGE, reply), node);
}

static bool has_members(struct zcp_node *node, const char *topic, uint32_t n_publishers,
			uint32_t n_subscribers)
{
	struct zcp_message reply;
	bool has;

	zcp_test_info(node, topic, &reply);
	has = reply.u.topic_info.n_publishers == n_publishers &&
	      reply.u.topic_info.n_subscribers == n_subscribers;
	zcp_message_deinit(&reply);
	return has;
}

void zcp_test_check_members(struct zcp_node *node, const char *topic, uint32_t n_publishers,
			    uint32_t n_subscribers)
{
	ZCP_CHECK(has_members(node, topic, n_publishers, n_subscribers));
}

void zcp_test_wait_for_members(struct zcp_node *node, const char *topic, uint32_t n_publishers,
			       uint32_t n_subscribers)
{
	while (!has_members(node, topic, n_publishers, n_subscribers))
		;
}

void zcp_test_wait_until_gone(struct zcp_node *node, const char *topic)
{
	int r;

	while ((r = zcp_test_ask(node, topic)) != -ENOENT)
		ZCP_OK(r, node);
}

static void audit(struct zcp_node *node, struct zcp_message *reply)
{
	struct zcp_message request = { .type = ZCP_MESSAGE_AUDIT };
	const struct zcp_audit_report *report = &reply->u.audit_report;

	ZCP_OK(zcp_test_node_request(node, &request, ZCP_MESSAGE_AUDIT_REPORT, reply), node);
	for (uint32_t i = 0; i < report->n_findings; i++)
		(void)fprintf(stderr, "audit: %s\n", report->findings[i].text);
	ZCP_CHECK(report->n_wrong == 0);
}

uint64_t zcp_test_audit(struct zcp_node *node)
{
	struct zcp_message reply;
	uint64_t n;

	audit(node, &reply);
	n = reply.u.audit_report.n_queued + reply.u.audit_report.n_held;
	zcp_message_deinit(&reply);
	return n;
}

uint64_t zcp_test_n_busy(struct zcp_node *node)
{
	const struct zcp_audit_report *report;
	struct zcp_message reply;
	uint64_t n;

	audit(node, &reply);
	report = &reply.u.audit_report;
	n = report->n_loaned + report->n_queued + report->n_held + report->n_history;
	zcp_message_deinit(&reply);
	return n;
}
