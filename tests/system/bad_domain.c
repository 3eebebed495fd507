/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node says that cannot get to its runtime: each reason with its errno and with a
 * sentence that names the remedy.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"
#include "tests/support/peer.h"
#include "tests/support/runtime.h"

#define SOMEBODY_ELSE 54321
/* For those who are to wait in vain. */
#define SHORTLY_NS 200000000

static struct zcp_node *node;

static int open_in(const char *directory)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.runtime_dir = directory;
	return zcp_node_open(&node, &options);
}

static int open_domain(const char *domain)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.domain = domain;
	return zcp_node_open(&node, &options);
}

static int open_named(const char *name)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.name = name;
	return zcp_node_open(&node, &options);
}

static int open_with(const char *zcpd, uint64_t timeout_ns)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.zcpd = zcpd;
	options.timeout_ns = timeout_ns;
	return zcp_node_open(&node, &options);
}

static int open_without_starting(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.auto_start = ZCP_AUTO_START_OFF;
	return zcp_node_open(&node, &options);
}

static const char *path_of(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", zcp_test_directory(), name);
	return path;
}

static void no_runtime_and_auto_start_off(void)
{
	static const char *const words = "no runtime answers in domain 'default'|start zcpd|"
					 "auto_start|ZCP_AUTO_START";
	struct zcp_test_runtime runtime;

	ZCP_REFUSED(open_without_starting(), NULL, -ECONNREFUSED, words);
	ZCP_CHECK(setenv("ZCP_AUTO_START", "0", 1) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -ECONNREFUSED, words);
	/* Nothing was made on the way. */
	ZCP_CHECK(access(path_of("default"), F_OK) < 0 && errno == ENOENT);

	/* The same where one has been, and has left its socket behind. */
	zcp_test_runtime_start(&runtime, NULL);
	zcp_test_runtime_kill_all(&runtime);
	ZCP_CHECK(access(path_of("default/zcpd.sock"), F_OK) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -ECONNREFUSED, words);
	ZCP_REFUSED(open_without_starting(), NULL, -ECONNREFUSED, "zcpd.sock");
	ZCP_CHECK(zcp_test_has(zcp_strerror(-ECONNREFUSED), "start zcpd"));
}

static void directory_is_not_a_directory(void)
{
	ZCP_CHECK(fclose(fopen(path_of("file"), "we")) == 0);
	ZCP_REFUSED(open_in(path_of("file")), NULL, -EPERM,
		    "file is not a directory|ZCP_RUNTIME_DIR");
	ZCP_REFUSED(open_in(path_of("file/below")), NULL, -ENOTDIR, "cannot make|file/below");
	ZCP_REFUSED(open_in(path_of("not/there")), NULL, -ENOENT,
		    "cannot make the runtime directory|not/there|ZCP_RUNTIME_DIR");
}

static void domains_directory_is_open_to_others(void)
{
	ZCP_CHECK(mkdir(path_of("default"), 0700) == 0);
	ZCP_CHECK(chmod(path_of("default"), 0750) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -EPERM,
		    "default is open to others|mode 0750|chmod 0700");
	ZCP_REFUSED(open_without_starting(), NULL, -EPERM, "default is open to others");
}

static void directory_is_not_ours(void)
{
	char path[256];

	if (geteuid() != 0) {
		ZCP_REFUSED(open_in("/usr"), NULL, -EACCES,
			    "cannot make|/usr/default|ZCP_RUNTIME_DIR");
		return;
	}
	(void)strcpy(path, path_of("theirs"));
	ZCP_CHECK(mkdir(path, 0700) == 0 && chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE) == 0);
	ZCP_REFUSED(open_in(path), NULL, -EPERM,
		    "theirs belongs to user 54321 and we are user 0|ZCP_RUNTIME_DIR|of our own");
}

/* Others may write to the volume: they have put a directory in the place of ours, for a moment. */
static void runtime_is_not_ours(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (geteuid() != 0)
		zcp_test_skip("only root can become another user");
	ZCP_CHECK(mkdir(path_of("default"), 0700) == 0);
	(void)strcpy(name.sun_path, path_of("default/zcpd.sock"));
	ZCP_CHECK(bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0);
	ZCP_CHECK(seteuid(SOMEBODY_ELSE) == 0 && listen(fd, 1) == 0 && seteuid(0) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -EPERM,
		    "zcpd.sock belongs to user 54321 and we are user 0|ZCP_RUNTIME_DIR");
	ZCP_CHECK(close(fd) == 0);
}

static void directory_cannot_be_made(void)
{
	if (geteuid() == 0)
		ZCP_CHECK(setresuid(SOMEBODY_ELSE, SOMEBODY_ELSE, SOMEBODY_ELSE) == 0);
	ZCP_REFUSED(open_in("/usr/zcp"), NULL, -EACCES,
		    "cannot make the runtime directory /usr/zcp|ZCP_RUNTIME_DIR");
}

static void domain_name_is_malformed(void)
{
	static const char *const names[] = {
		"a/b", "..", ".hidden", "with space", "stern*", "gr\303\266\303\237e", "\n",
	};
	char name[66];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ZCP_REFUSED(open_domain(names[i]), NULL, -EINVAL,
			    "domain name|malformed|letters, digits");
	memset(name, 'd', sizeof(name));
	name[ZCP_DOMAIN_NAME_MAX + 1] = 0;
	ZCP_REFUSED(open_domain(name), NULL, -EINVAL, "malformed|1 to 63");
	ZCP_CHECK(setenv("ZCP_DOMAIN", "a/b", 1) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -EINVAL, "domain name 'a/b'");
}

/* What is added to the directory: "/default/zcpd.sock". */
#define SOCKET_NAME_SIZE 18

static void socket_path_is_too_long(void)
{
	char path[200];
	size_t n = strlen(path_of("x"));

	memset(path, 'p', sizeof(path));
	memcpy(path, path_of("x"), n);
	path[sizeof(path) - 1] = 0;
	ZCP_REFUSED(open_in(path), NULL, -ENAMETOOLONG,
		    "longer than the 107 bytes|ZCP_RUNTIME_DIR");
	path[107 - SOCKET_NAME_SIZE + 1] = 0;
	ZCP_REFUSED(open_in(path), NULL, -ENAMETOOLONG, "longer than the 107 bytes");
	/* The longest that is allowed, for the runtime as well. */
	path[107 - SOCKET_NAME_SIZE] = 0;
	ZCP_OK(open_in(path), NULL);
	node = zcp_node_close(node);
}

static void node_name_is_bad(void)
{
	char name[ZCP_NODE_NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	ZCP_REFUSED(open_named(name), NULL, -ENAMETOOLONG, "node's name|longer than 63 bytes");
	ZCP_REFUSED(open_named("a\nb"), NULL, -EINVAL, "node's name|control character");
	ZCP_REFUSED(open_named("a\xc2\x9b"
			       "2J"),
		    NULL, -EINVAL, "node's name|control character");
	/* The longest that is allowed. */
	name[ZCP_NODE_NAME_MAX] = 0;
	ZCP_OK(open_named(name), NULL);
	ZCP_CHECK(strcmp(zcp_node_name(node), name) == 0);
	node = zcp_node_close(node);
}

/* Nobody has chosen that for a node. */
static void program_name_is_no_name(void)
{
	char *before = program_invocation_short_name;
	char name[128];

	/* The 63rd byte is the first of two. */
	memset(name, 'p', sizeof(name));
	memcpy(name + 3, "\n", 1);
	memcpy(name + ZCP_NODE_NAME_MAX - 1, "\xc3\xa9", sizeof("\xc3\xa9"));
	program_invocation_short_name = name;
	ZCP_OK(zcp_node_open(&node, NULL), NULL);
	ZCP_CHECK(strlen(zcp_node_name(node)) == ZCP_NODE_NAME_MAX - 1);
	ZCP_CHECK(strncmp(zcp_node_name(node), "ppp?pp", 6) == 0);
	node = zcp_node_close(node);
	program_invocation_short_name = before;
}

static void runtime_is_not_found(void)
{
	ZCP_REFUSED(open_with("/not/there/zcpd", 0), NULL, -ENOENT,
		    "cannot start the runtime '/not/there/zcpd'|install zcpd|ZCP_ZCPD");
	ZCP_CHECK(setenv("ZCP_ZCPD", "/nor/there", 1) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -ENOENT, "'/nor/there'");
	ZCP_REFUSED(open_with("not-in-path-zcpd", 0), NULL, -ENOENT, "'not-in-path-zcpd'");
	ZCP_REFUSED(open_with("/etc/passwd", 0), NULL, -EACCES, "'/etc/passwd'");
}

static void runtime_does_not_start(void)
{
	char pid[16];

	/* What it said is passed on. */
	ZCP_CHECK(setenv("ZCP_CONFIG", zcp_test_config("[runtime]\nmax_node = 3\n"), 1) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -EIO,
		    "did not start|zcp.toml:2:1|max_node|did you mean 'max_nodes'");
	ZCP_CHECK(setenv("ZCP_CONFIG", "/not/there.toml", 1) == 0);
	ZCP_REFUSED(zcp_node_open(&node, NULL), NULL, -EIO, "did not start|/not/there.toml");
	ZCP_CHECK(unsetenv("ZCP_CONFIG") == 0);
	ZCP_REFUSED(open_with("/bin/false", 0), NULL, -EIO,
		    "'/bin/false' did not start|it said nothing");
	/* It says that all is well, and nobody answers, or the time is up in the midst of it. */
	ZCP_REFUSED(open_with("/bin/true", SHORTLY_NS), NULL, -ETIMEDOUT, "the runtime |not ");
	/* Ourselves: we do not become ready. */
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	ZCP_CHECK(setenv("ZCP_TEST_PARENT", pid, 1) == 0);
	ZCP_REFUSED(open_with("/proc/self/exe", 5 * SHORTLY_NS), NULL, -ETIMEDOUT,
		    "did not become ready in time|starting slowly");
}

/* Started as a runtime. */
static __attribute__((noreturn)) void main_slow(void)
{
	const char *parent = getenv("ZCP_TEST_PARENT");

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)fputs("starting slowly\n", stderr);
	while (parent && strtol(parent, NULL, 10) == getppid())
		(void)pause();
	exit(1);
}

static void domains_in_one_directory_are_strangers(void)
{
	struct zcp_node_options options = ZCP_NODE_OPTIONS_INIT;

	options.domain = "one.domain_with-all.the_signs";
	ZCP_OK(zcp_node_open(&node, &options), NULL);
	ZCP_CHECK(zcp_test_runtime_pid(options.domain) > 0);
	ZCP_CHECK(zcp_test_runtime_pid("default") == 0);
	node = zcp_node_close(node);
	ZCP_CHECK(zcp_node_error(NULL)[0] == 0);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(no_runtime_and_auto_start_off),
	ZCP_TEST_CASE(directory_is_not_a_directory),
	ZCP_TEST_CASE(domains_directory_is_open_to_others),
	ZCP_TEST_CASE(runtime_is_not_ours),
	ZCP_TEST_CASE(directory_is_not_ours),
	ZCP_TEST_CASE(directory_cannot_be_made),
	ZCP_TEST_CASE(domain_name_is_malformed),
	ZCP_TEST_CASE(socket_path_is_too_long),
	ZCP_TEST_CASE(node_name_is_bad),
	ZCP_TEST_CASE(program_name_is_no_name),
	ZCP_TEST_CASE(runtime_is_not_found),
	ZCP_TEST_CASE(runtime_does_not_start),
	ZCP_TEST_CASE(domains_in_one_directory_are_strangers),
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--until-idle") == 0)
		main_slow();
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
