/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers out of /proc and /sys.
 */
#include "runtime/open/available.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/util.h"

#define CGROUPS "/sys/fs/cgroup"
#define HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static void close_file(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* The number after `key`, at the beginning of a line of the file at `root` and `path`. */
static bool read_number(const char *root, const char *path, const char *key, uint64_t *number)
{
	ZCP_CLEANUP(close_file) FILE *file = NULL;
	size_t n = strlen(key);
	char line[PATH_MAX];

	if (snprintf(line, sizeof(line), "%s%s", root, path) >= (int)sizeof(line))
		return false;
	file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, n) == 0)
			return sscanf(line + n, "%" SCNu64, number) == 1;
	return false;
}

/* The same of a file in a cgroup. */
static bool read_cgroup(const char *root, const char *cgroup, const char *name, const char *key,
			uint64_t *number)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), CGROUPS "%s/%s", cgroup, name) < (int)sizeof(path) &&
	       read_number(root, path, key, number);
}

/* What a cgroup's limit leaves; what it has of files the kernel gives back when asked. */
static uint64_t cgroup_leaves(const char *root, const char *cgroup)
{
	uint64_t max, current, active = 0, inactive = 0;

	/* No limit is "max", and no number. */
	if (!read_cgroup(root, cgroup, "memory.max", "", &max) ||
	    !read_cgroup(root, cgroup, "memory.current", "", &current))
		return UINT64_MAX;
	(void)read_cgroup(root, cgroup, "memory.stat", "active_file ", &active);
	(void)read_cgroup(root, cgroup, "memory.stat", "inactive_file ", &inactive);
	current -= active + inactive < current ? active + inactive : current;
	return max > current ? max - current : 0;
}

/* The cgroup of this process: "" or a path that begins with a '/'. */
static bool read_own_cgroup(const char *root, char *cgroup, size_t size)
{
	ZCP_CLEANUP(close_file) FILE *file = NULL;
	char line[PATH_MAX];

	if (snprintf(line, sizeof(line), "%s/proc/self/cgroup", root) >= (int)sizeof(line))
		return false;
	file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "0::", 3) != 0)
			continue;
		line[strcspn(line, "\n")] = 0;
		return snprintf(cgroup, size, "%s", line + 3) < (int)size;
	}
	return false;
}

uint64_t zcpd_available_memory(const char *root)
{
	uint64_t available = UINT64_MAX, kib;
	char cgroup[PATH_MAX];

	if (read_number(root, "/proc/meminfo", "MemAvailable:", &kib))
		available = kib * 1024;
	if (!read_own_cgroup(root, cgroup, sizeof(cgroup)))
		return available;
	/* Its own limit, and those of all that it is in. */
	for (char *end = cgroup + strlen(cgroup); end; end = strrchr(cgroup, '/')) {
		uint64_t left;

		*end = 0;
		left = cgroup_leaves(root, cgroup);
		if (left < available)
			available = left;
	}
	return available;
}

void zcpd_available_huge_pages(const char *root, struct zcpd_huge_pages *pages)
{
	uint64_t reserved = 0;

	*pages = (struct zcpd_huge_pages){ .n_total = 0 };
	(void)read_number(root, HUGE_PAGES "nr_hugepages", "", &pages->n_total);
	(void)read_number(root, HUGE_PAGES "free_hugepages", "", &pages->n_free);
	/* Promised to mappings that have not touched them yet. */
	(void)read_number(root, HUGE_PAGES "resv_hugepages", "", &reserved);
	pages->n_free -= reserved < pages->n_free ? reserved : pages->n_free;
}
