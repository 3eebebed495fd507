/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: what is put is there, whatever was being written when the process was killed.
 */
#include "runtime/domain/directory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct zcpd_directory directory;

static void begin(void)
{
	cr_assert_eq(zcpd_directory_make(&directory, memfd_create("directory", MFD_CLOEXEC)), 0);
}

static void end(void)
{
	zcpd_directory_deinit(&directory);
}

TestSuite(directory, .init = begin, .fini = end);

/* As the next worker does, which is given the descriptor. */
static void go_on(void)
{
	struct zcpd_directory next;
	const char *why = NULL;

	cr_assert_eq(zcpd_directory_open(&next, dup(directory.fd), &why), 0, "%s", why);
	zcpd_directory_deinit(&directory);
	directory = next;
}

static struct zcp_node_entry node(uint64_t id, uint32_t pid)
{
	return (struct zcp_node_entry){ .id = id, .pid = pid };
}

static uint32_t put(uint32_t place, uint64_t id, uint32_t pid)
{
	struct zcp_node_entry entry = node(id, pid);

	zcpd_directory_put(&directory, ZCP_ENTRY_NODE, &place, id, &entry);
	return place;
}

static uint32_t count(enum zcp_entry_kind kind)
{
	union {
		struct zcp_node_entry node;
		struct zcp_topic_entry topic;
	} entry;
	uint32_t place = 0, n = 0;
	uint64_t id;

	while (zcpd_directory_next(&directory, kind, &place, &id, &entry))
		n++;
	return n;
}

static uint32_t pid_of(uint64_t wanted)
{
	struct zcp_node_entry entry;
	uint32_t place = 0;
	uint64_t id;

	while (zcpd_directory_next(&directory, ZCP_ENTRY_NODE, &place, &id, &entry))
		if (id == wanted)
			return entry.pid;
	return 0;
}

Test(directory, what_is_put_is_there_for_the_next_worker)
{
	uint32_t place = put(0, 7, 70);

	cr_assert_neq(place, 0);
	(void)put(0, 8, 80);
	cr_assert_eq(put(place, 7, 71), place);
	go_on();
	cr_assert_eq(count(ZCP_ENTRY_NODE), 2);
	cr_assert_eq(pid_of(7), 71);
	cr_assert_eq(pid_of(8), 80);
}

Test(directory, dropped_place_is_given_again)
{
	uint32_t place = put(0, 7, 70), again = place;

	zcpd_directory_drop(&directory, ZCP_ENTRY_NODE, &again);
	cr_assert_eq(again, 0);
	cr_assert_eq(count(ZCP_ENTRY_NODE), 0);
	cr_assert_eq(put(0, 9, 90), place);
	go_on();
	cr_assert_eq(pid_of(9), 90);
	cr_assert_eq(pid_of(7), 0);
}

Test(directory, kinds_lie_apart_and_grow)
{
	struct zcp_topic_entry topic = { .id = 1 };
	uint32_t place = 0;

	for (uint64_t id = 1; id <= 2000; id++)
		(void)put(0, id, (uint32_t)id);
	zcpd_directory_put(&directory, ZCP_ENTRY_TOPIC, &place, 1, &topic);
	for (uint64_t id = 2001; id <= 3000; id++)
		(void)put(0, id, (uint32_t)id);
	go_on();
	cr_assert_eq(count(ZCP_ENTRY_NODE), 3000);
	cr_assert_eq(count(ZCP_ENTRY_TOPIC), 1);
	cr_assert_eq(pid_of(2999), 2999);
}

/* The first bytes of an entry, found by its id. */
static struct zcp_directory_entry_shm *find(uint64_t id)
{
	for (uint64_t at = ZCP_DIRECTORY_HEADER_SIZE; at < directory.size; at += 8) {
		struct zcp_directory_entry_shm *entry = (void *)(directory.base + at);

		if (atomic_load(&entry->id) == id && atomic_load(&entry->n_writes) > 0)
			return entry;
	}
	return NULL;
}

Test(directory, write_that_was_cut_off_changes_nothing)
{
	uint32_t place = put(0, 0x1122334455667788, 70);
	struct zcp_directory_entry_shm *entry = find(0x1122334455667788);
	char *copies = (char *)(entry + 1);

	cr_assert_not_null(entry);
	/* The next write's copy, half of it. */
	memset(copies + (atomic_load(&entry->n_writes) + 1) % 2 * sizeof(struct zcp_node_entry),
	       0xff, sizeof(struct zcp_node_entry) / 2);
	go_on();
	cr_assert_eq(pid_of(0x1122334455667788), 70);
	cr_assert_eq(put(place, 0x1122334455667788, 71), place);
	cr_assert_eq(pid_of(0x1122334455667788), 71);
}

Test(directory, new_entry_that_was_cut_off_is_free)
{
	struct zcp_directory_entry_shm *entry;

	(void)put(0, 0x1122334455667788, 70);
	entry = find(0x1122334455667788);
	atomic_store(&entry->id, 0);
	go_on();
	cr_assert_eq(count(ZCP_ENTRY_NODE), 0);
	(void)put(0, 5, 50);
	cr_assert_eq(pid_of(5), 50);
}

Test(directory, half_a_block_at_the_end_is_begun_anew)
{
	(void)put(0, 1, 10);
	cr_assert_eq(ftruncate(directory.fd, (off_t)directory.size + 1000), 0);
	go_on();
	for (uint64_t id = 2; id <= 1000; id++)
		(void)put(0, id, 1);
	go_on();
	cr_assert_eq(count(ZCP_ENTRY_NODE), 1000);
}

Test(directory, one_that_moves_keeps_its_places)
{
	uint32_t place = put(0, 7, 70);

	cr_assert_eq(zcpd_directory_move(&directory, memfd_create("directory", MFD_CLOEXEC)), 0);
	cr_assert_eq(put(place, 7, 71), place);
	(void)put(0, 8, 80);
	go_on();
	cr_assert_eq(count(ZCP_ENTRY_NODE), 2);
	cr_assert_eq(pid_of(7), 71);
}

static void refused(const char *words)
{
	struct zcpd_directory other;
	const char *why = NULL;

	cr_assert_eq(zcpd_directory_open(&other, dup(directory.fd), &why), -EPROTO);
	cr_assert_not_null(strstr(why, words), "%s", why);
	cr_assert_eq(other.fd, -1);
}

Test(directory, one_of_another_kind_version_or_boot_is_refused)
{
	struct zcp_directory_shm *header = (void *)directory.base;

	header->boot[0]++;
	refused("machine");
	header->boot[0]--;
	header->fingerprint++;
	refused("version");
	header->fingerprint--;
	header->version++;
	refused("version");
	header->version--;
	header->magic++;
	refused("no directory");
	header->magic--;
	atomic_store(&header->state, 0);
	refused("no directory");
}

Test(directory, block_of_no_kind_is_refused)
{
	struct zcp_directory_block_shm *block;

	(void)put(0, 1, 10);
	block = (void *)(directory.base + ZCP_DIRECTORY_HEADER_SIZE);
	atomic_store(&block->kind, ZCP_ENTRY_KINDS);
	refused("kind");
}

Test(directory, one_that_is_cut_off_is_refused)
{
	cr_assert_eq(ftruncate(directory.fd, 100), 0);
	refused("short");
}
