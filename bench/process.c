/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc.
 */
#include "bench/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN_MAX 16

static void read_status(const char *path, struct bench_process *process)
{
	FILE *file = fopen(path, "re");
	char line[256];
	unsigned long long n;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmSize: %llu", &n) == 1)
			process->address_space = n * 1024;
		else if (sscanf(line, "RssAnon: %llu", &n) == 1 ||
			 sscanf(line, "RssFile: %llu", &n) == 1 ||
			 sscanf(line, "RssShmem: %llu", &n) == 1)
			process->resident += n * 1024;
	}
	if (file)
		(void)fclose(file);
}

static void read_switches(pid_t pid, struct bench_process *process)
{
	char path[64], line[256];
	unsigned long long n;
	struct dirent *entry;
	DIR *tasks;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)pid,
			       entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
				process->n_switches += n;
		if (file)
			(void)fclose(file);
	}
	if (tasks)
		(void)closedir(tasks);
}

/* Several processes have the same ones open: those of the one that has most. */
static void read_memfds(pid_t pid, struct bench_process *process)
{
	char path[64], name[64], link[64];
	uint64_t size = 0, n_fds = 0;
	struct dirent *entry;
	DIR *fds;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	while (fds && (entry = readdir(fds))) {
		struct stat status;
		ssize_t n;

		(void)snprintf(name, sizeof(name), "/proc/%d/fd/%.16s", (int)pid, entry->d_name);
		n = readlink(name, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		n_fds++;
		link[n] = '\0';
		if (strncmp(link, "/memfd:", 7) == 0 && stat(name, &status) == 0)
			size += (uint64_t)status.st_blocks * 512;
	}
	if (fds)
		(void)closedir(fds);
	process->n_fds = n_fds > process->n_fds ? n_fds : process->n_fds;
	process->memfds = size > process->memfds ? size : process->memfds;
}

static double cpu_of(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		return 0;
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static size_t children_of(pid_t pid, pid_t children[CHILDREN_MAX])
{
	char path[64];
	size_t n = 0;
	FILE *file;
	int child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "re");
	while (file && n < CHILDREN_MAX && fscanf(file, "%d", &child) == 1)
		children[n++] = child;
	if (file)
		(void)fclose(file);
	return n;
}

void bench_process_read(pid_t pid, struct bench_process *process)
{
	pid_t children[CHILDREN_MAX];
	size_t n = children_of(pid, children);
	char path[64];

	*process = (struct bench_process){ 0 };
	for (size_t i = 0; i <= n; i++) {
		pid_t one = i < n ? children[i] : pid;

		/* the process itself comes last: its address space stays */
		(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)one);
		read_status(path, process);
		read_switches(one, process);
		read_memfds(one, process);
		process->cpu_ns += cpu_of(one);
	}
}
