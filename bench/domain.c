/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain's directory and configuration.
 */
#include "bench/domain.h"

#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/peer.h"

static char directory[PATH_MAX - 64];

/*
 * A message is handed over, the time is not read; and 10,000 topics and 64 subscribers of one
 * have room.
 */
static const char config[] = "[runtime]\n"
			     "max_nodes = 4096\n"
			     "max_topics = 16384\n"
			     "[defaults]\n"
			     "timestamps = false\n"
			     "max_subscribers = 64\n";

const char *bench_directory(void)
{
	return directory;
}

static int configure(void)
{
	char path[PATH_MAX];
	FILE *file;
	bool written;

	(void)snprintf(path, sizeof(path), "%s/bench.toml", directory);
	file = fopen(path, "we");
	written = file && fputs(config, file) >= 0;
	if (file && fclose(file) != 0)
		written = false;
	if (!written) {
		perror("zcp-bench: cannot write its configuration");
		return -1;
	}
	return setenv("ZCP_CONFIG", path, 1);
}

int bench_domain_make(void)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(directory, sizeof(directory), "%s/zcp-bench-XXXXXX",
			 tmp && tmp[0] ? tmp : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(directory) || !mkdtemp(directory)) {
		perror("zcp-bench: cannot make a directory: set TMPDIR to one that can be written");
		return -1;
	}
	if (setenv("ZCP_RUNTIME_DIR", directory, 1) == 0 &&
	    setenv("ZCP_DOMAIN", "default", 1) == 0 && configure() == 0)
		return 0;
	bench_domain_remove();
	return -1;
}

int bench_domain_runtime(void)
{
	char path[PATH_MAX];
	FILE *file;
	int pid = 0;

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.pid", directory);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1 || pid <= 1)
		pid = 0;
	(void)fclose(file);
	return pid;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

void bench_domain_remove(void)
{
	int pid = bench_domain_runtime();

	if (pid > 0)
		(void)kill(pid, SIGTERM);
	(void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
