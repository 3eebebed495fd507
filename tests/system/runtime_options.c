/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcpd's command line and environment.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/cases.h"
#include "tests/support/inside.h"
#include "tests/support/process.h"
#include "tests/support/runtime.h"

static char out[65536], err[65536];

#define RUN(...) zcp_test_zcpd((const char *[]){ __VA_ARGS__, NULL }, out, err, sizeof(out))

static void version_and_help(void)
{
	ZCP_CHECK(RUN("--version") == 0);
	ZCP_CHECK(strcmp(out, "zcpd " ZCP_VERSION_STRING "\n") == 0 && err[0] == 0);
	ZCP_CHECK(RUN("--help") == 0);
	ZCP_CHECK(zcp_test_has(out, "usage: zcpd|--foreground|--config FILE|--check FILE|--domain|"
				    "--runtime-dir|--log-level|--until-idle|example:"));
	ZCP_CHECK(err[0] == 0);
}

static void usage_errors(void)
{
	ZCP_CHECK(RUN("--nonsense") == 2);
	ZCP_CHECK(zcp_test_has(err, "nonsense"));
	ZCP_CHECK(RUN("--config") == 2);
	ZCP_CHECK(zcp_test_has(err, "argument"));
	ZCP_CHECK(RUN("start") == 2);
	ZCP_CHECK(zcp_test_has(err, "an argument too many|zcpd --help"));
	ZCP_CHECK(RUN("--log-level", "loud") == 2);
	ZCP_CHECK(zcp_test_has(err, "--log-level takes error, warning, info or debug"));
	ZCP_CHECK(out[0] == 0);
}

static void check_prints_what_holds_or_what_is_wrong(void)
{
	char path[128], first[sizeof(out)];

	(void)snprintf(path, sizeof(path), "%s",
		       zcp_test_config("[runtime]\nidle_timeout = \"50ms\"\n"
				       "[topic.\"camera/*\"]\nmax_payload = \"8MiB\"\n"));
	ZCP_CHECK(RUN("--check", path) == 0);
	ZCP_CHECK(zcp_test_has(out, "[runtime]|idle_timeout = \"50ms\"|max_nodes = 1024|[defaults]|"
				    "[topic.\"camera/*\"]|max_payload = \"8MiB\""));
	ZCP_CHECK(err[0] == 0);
	/* What it prints is a configuration, and the same. */
	(void)strcpy(first, out);
	(void)zcp_test_config(first);
	ZCP_CHECK(RUN("--check", path) == 0);
	ZCP_CHECK(strcmp(first, out) == 0);

	(void)zcp_test_config("[defaults]\ndepht = 4\n");
	ZCP_CHECK(RUN("--check", path) == 1);
	ZCP_CHECK(zcp_test_has(err, "zcp.toml:2:1: |depht|did you mean 'depth'"));
	ZCP_CHECK(out[0] == 0);
	ZCP_CHECK(RUN("--check", "/not/there.toml") == 1);
	ZCP_CHECK(zcp_test_has(err, "/not/there.toml"));
	/* The reference says what the defaults are. */
	ZCP_CHECK(RUN("--check", ZCP_SOURCE_DIR "/config/zcp.toml") == 0);
	ZCP_CHECK(err[0] == 0);
}

static void configuration_comes_from_the_option_before_the_environment(void)
{
	char good[160];

	ZCP_CHECK(setenv("ZCP_CONFIG", "/not/there.toml", 1) == 0);
	ZCP_CHECK(RUN("--foreground") == 1);
	ZCP_CHECK(zcp_test_has(err, "zcpd: /not/there.toml"));
	(void)snprintf(good, sizeof(good), "%s", zcp_test_config("[runtime]\n"));
	ZCP_CHECK(RUN("--config", good) == 0);
	ZCP_CHECK(zcp_test_runtime_pid("default") > 0);
}

static void domain_and_directory(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;
	struct zcp_node *node;
	char path[256], domain[300];

	ZCP_CHECK(RUN("--domain", "a/b") == 1);
	ZCP_CHECK(zcp_test_has(err, "zcpd: domain name 'a/b'|malformed"));
	ZCP_CHECK(RUN("--runtime-dir", "/not/there") == 1);
	ZCP_CHECK(zcp_test_has(err, "cannot make the runtime directory /not/there"));
	(void)snprintf(path, sizeof(path), "%s/below", zcp_test_directory());
	ZCP_CHECK(mkdir(path, 0755) == 0);
	(void)snprintf(domain, sizeof(domain), "%s/one", path);
	ZCP_CHECK(mkdir(domain, 0755) == 0);
	ZCP_CHECK(RUN("--runtime-dir", path, "--domain", "one") == 1);
	ZCP_CHECK(zcp_test_has(err, "below/one is open to others|chmod 0700"));
	ZCP_CHECK(chmod(domain, 0700) == 0);
	ZCP_CHECK(RUN("--runtime-dir", path, "--domain", "one") == 0);
	options.auto_start = ZCP_AUTO_START_OFF;
	options.domain = "one";
	ZCP_REFUSED(zcp_node_open(&node, &options), NULL, -ECONNREFUSED, "domain 'one'");
	options.runtime_dir = path;
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	zcp_node_close(node);
	/* What it has made is closed to others. */
	(void)strcat(path, "/one");
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "", "/zcpd.sock", "/zcpd.pid" };
		char name[300];
		struct stat st;

		(void)snprintf(name, sizeof(name), "%s%s", path, names[i]);
		ZCP_CHECK(lstat(name, &st) == 0 && (st.st_mode & 077) == 0);
	}
}

/* The runtime and its node mean the same directory wherever they have gone. */
static void relative_directory_outlives_a_chdir(void)
{
	struct zcp_publisher *publisher;
	struct zcp_node *node;
	char path[256];
	pid_t first;

	ZCP_CHECK(chdir(zcp_test_directory()) == 0);
	ZCP_CHECK(setenv("ZCP_RUNTIME_DIR", "here", 1) == 0);
	ZCP_OK(zcp_node_open(&node, NULL), NULL);
	first = zcp_test_read_pid("here/default/zcpd.pid");
	zcp_test_kill_both(first);
	(void)snprintf(path, sizeof(path), "%s/elsewhere", zcp_test_directory());
	ZCP_CHECK(mkdir(path, 0700) == 0 && chdir(path) == 0);
	publisher = zcp_test_publisher(node, "t", 8, 1);
	zcp_test_send(publisher, 1);
	ZCP_CHECK(access("here", F_OK) < 0 && errno == ENOENT);
	(void)snprintf(path, sizeof(path), "%s/here/default/zcpd.pid", zcp_test_directory());
	ZCP_CHECK(zcp_test_read_pid(path) != first);
	zcp_node_close(node);
	zcp_test_kill_both(zcp_test_read_pid(path));
}

/* In the background it finds its files all the same. */
static void directory_may_be_relative(void)
{
	struct zcp_node *node;
	char path[256];
	int pidfd;

	ZCP_CHECK(chdir(zcp_test_directory()) == 0);
	ZCP_CHECK(setenv("ZCP_RUNTIME_DIR", "here", 1) == 0);
	ZCP_OK(zcp_node_open(&node, NULL), NULL);
	pidfd = zcp_test_pidfd(zcp_test_read_pid("here/default/zcpd.pid"));
	ZCP_CHECK(pidfd >= 0);
	zcp_node_close(node);
	ZCP_CHECK(zcp_test_pidfd_kill(pidfd, SIGTERM) == 0 && zcp_test_ends(pidfd, -1));
	(void)snprintf(path, sizeof(path), "%s/here/default/zcpd.sock", zcp_test_directory());
	ZCP_CHECK(access(path, F_OK) < 0 && errno == ENOENT);
	ZCP_CHECK(access("here/default/zcpd.pid", F_OK) < 0 && errno == ENOENT);
}

static void service_manager_that_is_not_there(void)
{
	static const char *const names[] = { "/not/there.sock", "no/path", "@nobody-listens-here" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int pidfd;

		ZCP_CHECK(setenv("NOTIFY_SOCKET", names[i], 1) == 0);
		ZCP_CHECK(RUN("--log-level", "debug") == 0);
		pidfd = zcp_test_pidfd(zcp_test_runtime_pid("default"));
		ZCP_CHECK(zcp_test_pidfd_kill(pidfd, SIGTERM) == 0 && zcp_test_ends(pidfd, -1));
		(void)close(pidfd);
	}
}

/* A path in the file system, as systemd has it. */
static void service_manager_is_told(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), pidfd;
	char state[64];
	ssize_t n;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify",
		       zcp_test_directory());
	ZCP_CHECK(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	ZCP_CHECK(setenv("NOTIFY_SOCKET", address.sun_path, 1) == 0);
	ZCP_CHECK(RUN("--domain", "default") == 0);
	n = recv(fd, state, sizeof(state), 0);
	ZCP_CHECK(n == 7 && memcmp(state, "READY=1", 7) == 0);
	pidfd = zcp_test_pidfd(zcp_test_runtime_pid("default"));
	ZCP_CHECK(zcp_test_pidfd_kill(pidfd, SIGTERM) == 0);
	n = recv(fd, state, sizeof(state), 0);
	ZCP_CHECK(n == 10 && memcmp(state, "STOPPING=1", 10) == 0);
	ZCP_CHECK(zcp_test_ends(pidfd, -1));
}

static void fences_are_symmetric_where_it_is_told(void)
{
	struct zcp_test_runtime runtime;
	struct zcp_node *node;
	struct zcp_publisher *publisher;
	struct zcp_subscriber *subscriber;

	zcp_test_runtime_start(&runtime, "[runtime]\nfences = \"symmetric\"\n");
	ZCP_CHECK(zcp_test_runtime_said(&runtime, "fences symmetric"));
	node = zcp_test_node();
	publisher = zcp_test_publisher(node, "t", 64, 1);
	subscriber = zcp_test_subscriber(node, "t", 4, 1, 0);
	ZCP_CHECK(zcp_test_inside(publisher).writer->options.symmetric &&
		  zcp_test_inside(subscriber).reader->options.symmetric);
	zcp_test_send(publisher, 1);
	ZCP_OK(zcp_node_wait(node, ZCP_FOREVER), node);
	zcp_test_expect(subscriber, 1);
	zcp_node_close(node);
	zcp_test_runtime_stop(&runtime);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(version_and_help),
	ZCP_TEST_CASE(usage_errors),
	ZCP_TEST_CASE(check_prints_what_holds_or_what_is_wrong),
	ZCP_TEST_CASE(configuration_comes_from_the_option_before_the_environment),
	ZCP_TEST_CASE(domain_and_directory),
	ZCP_TEST_CASE(directory_may_be_relative),
	ZCP_TEST_CASE(relative_directory_outlives_a_chdir),
	ZCP_TEST_CASE(service_manager_that_is_not_there),
	ZCP_TEST_CASE(service_manager_is_told),
	ZCP_TEST_CASE(fences_are_symmetric_where_it_is_told),
};

ZCP_TEST_MAIN(cases)
