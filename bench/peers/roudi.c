/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Its pools, and its start.
 */
#include "bench/peers/roudi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/pair.h"

/* What stands before a payload, at most. */
#define HEADERS 256
#define START_SECONDS 20
#define PAUSE_MS 50

/* Bytes of a payload, and chunks of that size: a queue of 256 to each of 64 small ones. */
static const struct {
	size_t size;
	unsigned int n;
} pools[] = {
	{ 64, 20000 },  { 1024, 512 },   { 4096, 512 },   { 16384, 128 },  { 65536, 128 },
	{ 262144, 64 }, { 1048576, 64 }, { 4194304, 64 }, { 6220800, 32 }, { 24883200, 32 },
};

static int write_config(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	(void)fprintf(file, "[general]\nversion = 1\n[[segment]]\n");
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		(void)fprintf(file, "[[segment.mempool]]\nsize = %zu\ncount = %u\n",
			      pools[i].size + HEADERS, pools[i].n);
	return fclose(file) == 0 ? 0 : -errno;
}

static void be_roudi(const char *config, const char *log, pid_t parent)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent || fd < 0)
		_exit(1);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	(void)execlp("iox-roudi", "iox-roudi", "-c", config, "-m", "off", "-k", "1", (char *)NULL);
	_exit(127);
}

static int says_ready(const char *log)
{
	char text[4096];
	FILE *file = fopen(log, "re");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		(void)fclose(file);
	text[n] = '\0';
	return strstr(text, "RouDi is ready") != NULL;
}

int bench_roudi_start(void)
{
	static pid_t roudi;
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };
	char config[PATH_MAX], log[PATH_MAX];
	pid_t parent = getpid();
	int r;

	if (roudi > 0)
		return 0;
	(void)snprintf(config, sizeof(config), "%s/roudi.toml", bench_directory());
	(void)snprintf(log, sizeof(log), "%s/roudi.log", bench_directory());
	r = write_config(config);
	if (r < 0)
		return bench_peer_fail(r, "cannot write %s", config);
	/* One of a run before this may still be ending, and is alone as long as it is there. */
	for (int i = 0; i < START_SECONDS * 1000 / PAUSE_MS; i++) {
		if (roudi <= 0)
			roudi = fork();
		if (roudi == 0)
			be_roudi(config, log, parent);
		(void)nanosleep(&pause, NULL);
		if (says_ready(log))
			return 0;
		if (roudi > 0 && waitpid(roudi, NULL, WNOHANG) == roudi)
			roudi = 0;
	}
	return bench_peer_fail(-EIO, "iox-roudi does not start: is another one running?");
}
