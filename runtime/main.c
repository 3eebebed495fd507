/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcpd: the discovery runtime. Options, configuration, going into the background, and which of
 * its two processes this one is: the keeper, or the worker that the keeper has started.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zcp/version.h>

#include "pubsub/util.h"
#include "pubsub/wire/paths.h"
#include "runtime/config/config.h"
#include "runtime/failover/keeper.h"
#include "runtime/failover/replace.h"
#include "runtime/failover/shelf.h"
#include "runtime/failover/store.h"
#include "runtime/serve/server.h"
#include "runtime/system/log.h"

#define CONFIG_SYSTEM "/etc/zcp/zcp.toml"
#define LOG_NAME "zcpd.log"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/* Our own, beside the keeper's: the number of the descriptor that has the configuration. */
#define COPY_OPTION "config-copy"

struct arguments {
	struct zcpd_server_options server;
	const char *config;
	/* a sealed copy of the configuration as it was when the runtime began */
	int config_copy;
	const char *check;
	const char *log_level;
	bool foreground;
	/* of a keeper: see struct zcpd_keeper_options */
	int predecessor;
	bool replace;
};

/* As many as the worker is given, and one behind them. */
#define WORKER_ARGUMENTS_MAX 14

static const char usage[] =
	"usage: zcpd [OPTION]...\n"
	"\n"
	"The discovery runtime of a domain: brings publishers and subscribers together and\n"
	"cleans up after processes that die. No message passes through it. It goes into the\n"
	"background once it serves, unless told otherwise.\n"
	"\n"
	"  --foreground         stay in the terminal, log to standard error\n"
	"  --config FILE        configuration; else $ZCP_CONFIG, else " CONFIG_SYSTEM "\n"
	"                       if there is one, else the defaults\n"
	"  --check FILE         say what is wrong with a configuration, or print what it\n"
	"                       comes to, and end\n"
	"  --domain NAME        which domain to serve; else $ZCP_DOMAIN, else 'default'\n"
	"  --runtime-dir DIR    where the domains' directories are; else $ZCP_RUNTIME_DIR,\n"
	"                       else $XDG_RUNTIME_DIR/zcp, else /run/zcp for root, else\n"
	"                       /tmp/zcp-<uid>\n"
	"  --log-level LEVEL    error, warning, info or debug; else what the configuration says\n"
	"  --replace            take the domain over from the runtime that it has, which then\n"
	"                       ends; nodes notice nothing. Starts one where there is none\n"
	"  --until-idle         end when no node is left for [runtime] idle_timeout; nodes\n"
	"                       start it so\n"
	"  --version            print the version and end\n"
	"  --help               print this and end\n"
	"\n"
	"example: zcpd --foreground --config config/zcp.toml --log-level debug\n";

static int usage_error(const char *text)
{
	(void)fprintf(stderr, "zcpd: %s: see zcpd --help\n", text);
	return EXIT_USAGE;
}

/* Returns -1 to go on, else the exit code. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "config", required_argument, NULL, 'c' },
		{ "check", required_argument, NULL, 'k' },
		{ "domain", required_argument, NULL, 'd' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "replace", no_argument, NULL, 'p' },
		{ "until-idle", no_argument, NULL, 'u' },
		{ ZCPD_KEEPER_OPTION, required_argument, NULL, 'w' },
		{ COPY_OPTION, required_argument, NULL, 'y' },
		{ ZCPD_HEIR_OPTION, required_argument, NULL, 'h' + 256 },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			arguments->foreground = true;
			break;
		case 'c':
			arguments->config = optarg;
			break;
		case 'k':
			arguments->check = optarg;
			break;
		case 'd':
			arguments->server.domain = optarg;
			break;
		case 'r':
			arguments->server.directory = optarg;
			break;
		case 'l':
			arguments->log_level = optarg;
			break;
		case 'p':
			arguments->replace = true;
			break;
		case 'u':
			arguments->server.until_idle = true;
			break;
		case 'w':
			arguments->server.journal.socket = (int)strtol(optarg, NULL, 10);
			break;
		case 'y':
			arguments->config_copy = (int)strtol(optarg, NULL, 10);
			break;
		case 'h' + 256:
			arguments->predecessor = (int)strtol(optarg, NULL, 10);
			break;
		case 'v':
			(void)puts("zcpd " ZCP_VERSION_STRING);
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage_error("there is an argument too many");
	return -1;
}

static int check_config(const char *path)
{
	ZCP_CLEANUP(zcpd_config_freep) struct zcpd_config *config = NULL;
	struct zcpd_config_error error;

	if (zcpd_config_load(&config, path, &error) < 0) {
		(void)fprintf(stderr, "%s\n", error.text);
		return EXIT_FAILED;
	}
	if (zcpd_config_print(config, stdout) < 0 || fflush(stdout) != 0) {
		(void)fprintf(stderr, "zcpd: cannot write to standard output\n");
		return EXIT_FAILED;
	}
	return 0;
}

/* Which configuration to read; NULL: the defaults. */
static const char *config_path(const char *path)
{
	const char *environment = getenv("ZCP_CONFIG");

	if (!path && environment && environment[0])
		path = environment;
	if (!path && access(CONFIG_SYSTEM, F_OK) == 0)
		path = CONFIG_SYSTEM;
	return path;
}

/*
 * The runtime goes by what the file has when it begins: each of its workers gets that, so that a
 * file which is edited, or cannot be read any more, is no matter when one of them dies.
 */
static int load_config(struct zcpd_config **config, struct arguments *arguments)
{
	const char *path = arguments->config ? arguments->config : "the defaults";
	struct zcpd_config_error error;
	int r = 0;

	if (arguments->config_copy < 0) {
		arguments->config_copy = zcpd_config_copy(arguments->config, &error);
		r = arguments->config_copy;
	}
	if (r >= 0)
		r = zcpd_config_load_fd(config, arguments->config_copy, path, &error);
	if (r < 0)
		(void)fprintf(stderr, "zcpd: %s\n", error.text);
	else if (strlen(path) < sizeof((*config)->source))
		(void)strcpy((*config)->source, path);
	return r;
}

static int set_log_level(const struct zcpd_config *config, const char *name)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	if (!name) {
		zcpd_log_set_level((enum zcpd_config_log_level)config->runtime.log_level);
		return 0;
	}
	for (int i = 0; i < 4; i++) {
		if (strcmp(name, names[i]) == 0) {
			zcpd_log_set_level((enum zcpd_config_log_level)i);
			return 0;
		}
	}
	return -EINVAL;
}

/*
 * The parent stays until the child serves (it then closes its end of the pipe with a byte
 * in it) or has given up, and ends with what became of it. Returns in the child.
 */
static int go_into_background(int *ready)
{
	int pipes[2];
	char byte = 0;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0) {
		perror("zcpd: pipe");
		return EXIT_FAILED;
	}
	pid = fork();
	if (pid < 0) {
		perror("zcpd: fork");
		return EXIT_FAILED;
	}
	if (pid == 0) {
		(void)close(pipes[0]);
		(void)setsid();
		*ready = pipes[1];
		return 0;
	}
	(void)close(pipes[1]);
	while (read(pipes[0], &byte, 1) < 0 && errno == EINTR)
		;
	_exit(byte ? 0 : EXIT_FAILED);
}

/*
 * From here on the runtime does not write to the terminal: the log goes to a file in the domain's
 * directory. Returns that, for the keeper.
 */
static int detach(const struct zcpd_server *server)
{
	char path[PATH_MAX];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), log = -1;

	if (zcp_paths_file(&server->paths, LOG_NAME, path, sizeof(path)) == 0)
		log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
	}
	if (log >= 0 || null >= 0)
		(void)dup2(log >= 0 ? log : null, STDERR_FILENO);
	if (log >= 0)
		zcpd_log_to_file(path);
	zcp_close_fd(&null);
	zcp_close_fd(&log);
	ZCP_IGNORE(chdir("/") < 0);
	return STDERR_FILENO;
}

/* A node that is pinned to a processor starts us there; we serve others too. */
static void unpin(void)
{
	cpu_set_t all;

	(void)memset(&all, 0xff, sizeof(all));
	ZCP_IGNORE(sched_setaffinity(0, sizeof(all), &all) < 0);
}

/*
 * The program whose node starts us is not to be seen in us for months: its working directory, which
 * could not be unmounted, how willing the kernel is to kill it, and how nice it was. What needs
 * rights that we do not have stays.
 */
static void forget_starter(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		ZCP_IGNORE(write(fd, "0\n", 2) < 0);
	zcp_close_fd(&fd);
	ZCP_IGNORE(setpriority(PRIO_PROCESS, 0, 0) < 0);
	(void)umask(S_IRWXG | S_IRWXO);
	ZCP_IGNORE(chdir("/") < 0);
	unpin();
}

/* Where a keeper in the background logs to; "" where it finds none, as its worker then says. */
static void find_log(const struct arguments *arguments, char *path, size_t size)
{
	struct zcp_paths paths;
	char text[ZCP_TEXT_SIZE];

	path[0] = 0;
	if (zcp_paths_init(&paths, arguments->server.directory, arguments->server.domain, text,
			   sizeof(text)) == 0)
		ZCP_IGNORE(zcp_paths_file(&paths, LOG_NAME, path, size) < 0);
}

/* The keeper, which users and nodes take for the runtime. */
static int keep(const struct arguments *arguments)
{
	static struct zcpd_shelf shelf;
	const char *list[WORKER_ARGUMENTS_MAX] = { "--domain", arguments->server.domain };
	struct zcpd_keeper_options options = {
		.arguments = list,
		.shelf = &shelf,
		.ready = -1,
		.predecessor = arguments->predecessor,
	};
	char config[PATH_MAX], log[PATH_MAX], copy[16], text[ZCP_TEXT_SIZE + 256];
	bool is_stored = false;
	int n = 2, r;

	zcpd_shelf_init(&shelf);
	(void)snprintf(copy, sizeof(copy), "%d", arguments->config_copy);
	list[n++] = "--" COPY_OPTION;
	list[n++] = copy;
	/* It goes on to whatever process of the runtime comes after us, under this number. */
	(void)fcntl(arguments->config_copy, F_SETFD, 0);
	if (arguments->foreground)
		list[n++] = "--foreground";
	if (arguments->server.until_idle)
		list[n++] = "--until-idle";
	if (arguments->config) {
		list[n++] = "--config";
		/* A worker that begins later begins elsewhere. */
		list[n++] = realpath(arguments->config, config) ? config : arguments->config;
	}
	if (arguments->server.directory) {
		list[n++] = "--runtime-dir";
		list[n++] = arguments->server.directory;
	}
	if (arguments->log_level) {
		list[n++] = "--log-level";
		list[n++] = arguments->log_level;
	}
	if (arguments->server.until_idle)
		forget_starter();
	if (!arguments->foreground) {
		find_log(arguments, log, sizeof(log));
		options.log = log;
	}
	/* An heir is where its predecessor was. */
	if (options.predecessor >= 0) {
		(void)fcntl(options.predecessor, F_SETFD, FD_CLOEXEC);
		return zcpd_keeper_run(&options);
	}
	/* One that a node has started is in the service of that. */
	if (!arguments->server.until_idle)
		is_stored = zcpd_store_take(&shelf);
	/* With stored records there is no runtime to be replaced that could answer. */
	if (arguments->replace && !is_stored) {
		r = zcpd_replace_ask(arguments->server.directory, arguments->server.domain,
				     &options.predecessor, text, sizeof(text));
		if (r < 0) {
			(void)fprintf(stderr, "zcpd: %s\n", text);
			return EXIT_FAILED;
		}
		options.replaces = r == 0;
	}
	if (!arguments->foreground) {
		r = go_into_background(&options.ready);
		if (r != 0)
			return r;
	}
	return zcpd_keeper_run(&options);
}

static int work(struct arguments *arguments, const struct zcpd_config *config)
{
	static struct zcpd_server server;
	char text[1024];
	int log = -1, r;

	(void)fcntl(arguments->server.journal.socket, F_SETFD, FD_CLOEXEC);
	r = zcpd_server_init(&server, config, &arguments->server, text, sizeof(text));
	/* Two nodes may start one at the same time: then the other serves them both. */
	if (r == ZCPD_SERVER_E_TAKEN && arguments->server.until_idle)
		return 0;
	if (r == ZCPD_SERVER_E_TAKEN)
		(void)snprintf(text, sizeof(text),
			       "domain '%s' has a runtime already: stop it first (its pid is in "
			       "%.800s/zcpd.pid), take it over with --replace, or choose "
			       "another --domain",
			       arguments->server.domain, server.paths.domain);
	if (r != 0) {
		(void)fprintf(stderr, "zcpd: %s\n", text);
		return EXIT_FAILED;
	}
	if (!arguments->foreground)
		log = detach(&server);
	r = zcpd_server_run(&server, log);
	if (r < 0)
		zcpd_error("the loop could not be started: %s", strerror(-r));
	zcpd_server_deinit(&server);
	return r < 0 ? EXIT_FAILED : 0;
}

/* Nothing of ours becomes descriptor 0, 1 or 2, which detach() puts elsewhere. */
static void open_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	zcp_close_fd(&fd);
}

/* Every topic, size class and node costs descriptors. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		ZCP_IGNORE(setrlimit(RLIMIT_NOFILE, &limit) < 0);
	}
}

int main(int argc, char **argv)
{
	ZCP_CLEANUP(zcpd_config_freep) struct zcpd_config *config = NULL;
	struct arguments arguments = { .server = { .domain = getenv("ZCP_DOMAIN"),
						   .journal = ZCPD_JOURNAL_NULL },
				       .config_copy = -1,
				       .predecessor = -1 };
	char directory[PATH_MAX];
	int r;

	if (!arguments.server.domain || !arguments.server.domain[0])
		arguments.server.domain = "default";
	r = parse_arguments(argc, argv, &arguments);
	if (r >= 0)
		return r;
	if (arguments.check)
		return check_config(arguments.check);
	(void)signal(SIGPIPE, SIG_IGN);
	/* A region larger than RLIMIT_FSIZE is refused, and not the end of us. */
	(void)signal(SIGXFSZ, SIG_IGN);
	open_standard_descriptors();
	arguments.config = config_path(arguments.config);
	/* Before we leave our working directory; the worker reports a path that is too long. */
	if (zcp_paths_find(arguments.server.directory, directory, sizeof(directory)) == 0)
		arguments.server.directory = directory;
	if (load_config(&config, &arguments) < 0)
		return EXIT_FAILED;
	if (set_log_level(config, arguments.log_level) < 0)
		return usage_error("--log-level takes error, warning, info or debug");
	raise_descriptor_limit();
	/* What comes behind its own option is its keeper's. */
	arguments.server.arguments = (const char *const *)argv + 2;
	/* Not "exe", as which we may have been started. */
	(void)prctl(PR_SET_NAME, arguments.server.journal.socket >= 0 ? "zcpd-worker" : "zcpd");
	if (arguments.server.journal.socket >= 0)
		return work(&arguments, config);
	return keep(&arguments);
}
