/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which shared memory file an address lies in, by /proc/self/maps. Two processes that read and
 * write the same file have the same pages before them: this is how the examples check, and do
 * not merely claim, that nothing was copied.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_RANGES = 16 };

/* The mappings found so far. */
struct memory {
	unsigned int n;
	struct {
		uintptr_t begin, end;
		uint64_t inode;
	} ranges[MEMORY_RANGES];
};

/* Reads a line of the maps; whether it is the shared mapping of a memfd that holds `at`. */
static inline bool memory_parse(const char *line, uintptr_t at, uintptr_t *begin, uintptr_t *end,
				uint64_t *inode)
{
	char *rest;
	int n = 0;

	*begin = (uintptr_t)strtoull(line, &rest, 16);
	if (*rest != '-')
		return false;
	*end = (uintptr_t)strtoull(rest + 1, &rest, 16);
	/* " r--s 00000000 00:01 1034 /memfd:..." */
	if (at < *begin || at >= *end || strlen(rest) < 5 || rest[4] != 's')
		return false;
	(void)sscanf(rest, "%*s %*s %*s %n", &n);
	*inode = strtoull(rest + n, &rest, 10);
	return strncmp(rest + strspn(rest, " "), "/memfd:", 7) == 0;
}

/* The inode of the memfd whose shared mapping holds the address; 0: none, it is a copy. */
static inline uint64_t memory_inode(struct memory *memory, const void *address)
{
	uintptr_t at = (uintptr_t)address, begin, end;
	uint64_t inode, found = 0;
	char line[512];
	unsigned int i;
	FILE *maps;

	for (i = 0; i < memory->n; i++)
		if (at >= memory->ranges[i].begin && at < memory->ranges[i].end)
			return memory->ranges[i].inode;

	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return 0;
	while (!found && fgets(line, sizeof(line), maps))
		if (memory_parse(line, at, &begin, &end, &inode))
			found = inode;
	(void)fclose(maps);
	if (found && memory->n < MEMORY_RANGES) {
		memory->ranges[memory->n].begin = begin;
		memory->ranges[memory->n].end = end;
		memory->ranges[memory->n++].inode = found;
	}
	return found;
}

/* The files as a list, "1034,1036"; "-" if there is none. */
static inline void memory_print(const struct memory *memory, FILE *out)
{
	unsigned int i;

	for (i = 0; i < memory->n; i++)
		fprintf(out, "%s%" PRIu64, i ? "," : "", memory->ranges[i].inode);
	if (memory->n == 0)
		fputc('-', out);
}

#endif
