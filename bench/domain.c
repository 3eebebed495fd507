/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain's directory and configuration.
 */
#include "bench/domain.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_NAME "bench.toml"

/* A message is handed over, the time is not read, unless it is asked for. */
static int configure(const struct bench_domain *domain, bool timestamps)
{
	char path[PATH_MAX];
	FILE *file;
	bool written;

	(void)snprintf(path, sizeof(path), "%s/" CONFIG_NAME, domain->directory);
	file = fopen(path, "we");
	written = file &&
		  fprintf(file, "[defaults]\ntimestamps = %s\n", timestamps ? "true" : "false") > 0;
	if (file && fclose(file) != 0)
		written = false;
	if (!written) {
		perror("zcp-bench: cannot write its configuration");
		return -1;
	}
	return setenv("ZCP_CONFIG", path, 1);
}

int bench_domain_make(struct bench_domain *domain, bool timestamps)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(domain->directory, sizeof(domain->directory), "%s/zcp-bench-XXXXXX",
			 tmp && tmp[0] ? tmp : "/tmp");

	if (n < 0 || (size_t)n >= sizeof(domain->directory) || !mkdtemp(domain->directory)) {
		perror("zcp-bench: cannot make a runtime directory");
		return -1;
	}
	if (setenv("ZCP_RUNTIME_DIR", domain->directory, 1) == 0 &&
	    configure(domain, timestamps) == 0)
		return 0;
	bench_domain_remove(domain);
	return -1;
}

static void end_runtime(const struct bench_domain *domain)
{
	char path[PATH_MAX];
	FILE *file;
	int pid;

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.pid", domain->directory);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "%d", &pid) == 1 && pid > 1)
		(void)kill(pid, SIGTERM);
	(void)fclose(file);
}

void bench_domain_remove(const struct bench_domain *domain)
{
	static const char *const names[] = {
		"default/zcpd.pid",   "default/zcpd.sock", "default/zcpd.log", "default/zcpd.lock",
		"default/start.lock", "default",           CONFIG_NAME,
	};
	char path[PATH_MAX];

	end_runtime(domain);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", domain->directory, names[i]);
		(void)remove(path);
	}
	(void)rmdir(domain->directory);
}
