/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets to and from the keeper.
 */
#include "runtime/failover/journal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "pubsub/shm/crashpoint.h"
#include "pubsub/util.h"
#include "runtime/failover/keep.h"
#include "runtime/failover/store.h"
#include "runtime/system/log.h"

#define EXIT_LOST 3
/* Between two tries where the kernel has no room for descriptors under way. */
#define RETRY_NS 1000000

static char buffer[ZCPD_KEEP_SIZE_MAX];

static __attribute__((noreturn)) void give_up(int r)
{
	zcpd_error("the keeper cannot be told: %s: the worker ends", strerror(-r));
	_exit(EXIT_LOST);
}

static void lose(struct zcpd_journal *journal, int r)
{
	bool has_ended = r == -EPIPE || r == -ECONNRESET;

	if (journal->loss == ZCPD_LOSS_ENDS_US ||
	    (journal->loss == ZCPD_LOSS_OF_KEEPER && !has_ended))
		give_up(r);
	journal->lost = true;
}

static void send_packet(struct zcpd_journal *journal, enum zcpd_keep_operation operation,
			uint32_t kind, uint64_t id, const int *fds, uint32_t n_fds)
{
	const struct zcpd_keep_header header = {
		.operation = operation,
		.kind = kind,
		.id = id,
	};
	int r;

	if (!journal || journal->socket < 0 || journal->lost)
		return;
	for (;;) {
		r = zcp_socket_send_packet(journal->socket, (const char *)&header, sizeof(header),
					   fds, n_fds);
		if (r != -EAGAIN && r != -ETOOMANYREFS)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
	}
	if (r < 0)
		lose(journal, r);
}

void zcpd_journal_keep(struct zcpd_journal *journal, enum zcp_entry_kind kind, uint64_t id,
		       const int *fds, uint32_t n_fds)
{
	if (!journal || (!journal->store && (journal->socket < 0 || journal->lost)))
		return;
	ZCP_CRASHPOINT("journal.before_keep");
	send_packet(journal, ZCPD_KEEP_RECORD, kind, id, fds, n_fds);
	/* After the keeper, and although it may be gone: see runtime/failover/store.h. */
	if (journal->store)
		zcpd_store_keep(journal->store, kind, id, fds, n_fds);
	ZCP_CRASHPOINT("journal.after_keep");
}

void zcpd_journal_drop(struct zcpd_journal *journal, enum zcp_entry_kind kind, uint64_t id)
{
	ZCP_CRASHPOINT("journal.before_drop");
	if (journal && journal->store)
		zcpd_store_drop(journal->store, kind, id);
	send_packet(journal, ZCPD_KEEP_DROP, kind, id, NULL, 0);
	ZCP_CRASHPOINT("journal.after_drop");
}

static void keep_ledger(void *user, int fd)
{
	send_packet(user, ZCPD_KEEP_RECORD, ZCPD_KEEP_LEDGER, 0, &fd, 1);
}

void zcpd_journal_keep_ledger(struct zcpd_journal *journal, const struct zcpd_store *store)
{
	if (store && store->ledger)
		keep_ledger(journal, store->ledger->fd);
}

void zcpd_journal_store(struct zcpd_journal *journal, struct zcpd_store *store)
{
	int ledger = journal->ledger > 0 ? journal->ledger : -1;

	journal->ledger = 0;
	if (zcpd_store_init(store, ledger, keep_ledger, journal) == 0)
		journal->store = store;
	else if (ledger >= 0)
		send_packet(journal, ZCPD_KEEP_DROP, ZCPD_KEEP_LEDGER, 0, NULL, 0);
}

void zcpd_journal_store_complete(struct zcpd_journal *journal)
{
	if (journal->store)
		zcpd_store_complete(journal->store);
}

void zcpd_journal_ready(struct zcpd_journal *journal, int log)
{
	send_packet(journal, ZCPD_KEEP_READY, 0, 0, &log, log >= 0);
	journal->loss = ZCPD_LOSS_OF_KEEPER;
}

void zcpd_journal_stopping(struct zcpd_journal *journal)
{
	send_packet(journal, ZCPD_KEEP_STOPPING, 0, 0, NULL, 0);
}

void zcpd_journal_set_successor(struct zcpd_journal *journal, int socket)
{
	if (journal->successor > 0)
		(void)close(journal->successor);
	journal->successor = socket;
}

void zcpd_journal_hand_on(struct zcpd_journal *journal)
{
	if (journal->successor <= 0)
		return;
	ZCP_CRASHPOINT("replace.before_hand_on");
	send_packet(journal, ZCPD_KEEP_REPLACE, 0, 0, &journal->successor, 1);
	zcpd_journal_set_successor(journal, 0);
}

void zcpd_journal_end(struct zcpd_journal *journal)
{
	send_packet(journal, ZCPD_KEEP_END, 0, (uint64_t)getpid(), NULL, 0);
}

int zcpd_journal_wait_got(struct zcpd_journal *journal)
{
	struct zcp_fds fds;
	size_t size;
	int r;

	if (journal->lost)
		return -EPIPE;
	r = zcp_socket_receive_packet(journal->socket, 0, buffer, sizeof(buffer), &size, &fds);
	if (r == 0)
		zcp_fds_deinit(&fds);
	return r;
}

/* It has everything, as we have; one of the two must be gone before the other goes on. */
static void wait_for_predecessor(int socket, pid_t keeper)
{
	struct zcpd_journal journal = { .socket = socket, .loss = ZCPD_LOSS_OF_HEIR };
	struct zcp_fds fds;
	size_t size;

	send_packet(&journal, ZCPD_KEEP_GOT, 0, (uint64_t)keeper, NULL, 0);
	ZCP_CRASHPOINT("succession.after_got");
	/* Left where it is, for whichever worker asks next. */
	if (zcp_socket_receive_packet(socket, MSG_PEEK, buffer, sizeof(buffer), &size, &fds) == 0) {
		zcpd_error("the runtime that was to be replaced goes on: start zcpd --replace "
			   "again");
		_exit(EXIT_LOST);
	}
}

int zcpd_journal_next(struct zcpd_journal *journal, struct zcpd_journal_record *record)
{
	struct zcpd_keep_header header;
	size_t size;
	int r;

	if (!journal || journal->socket < 0)
		return ZCPD_JOURNAL_E_END;
	r = zcp_socket_receive_packet(journal->socket, 0, buffer, sizeof(buffer), &size,
				      &record->fds);
	if (r < 0)
		return r;
	if (size < sizeof(header)) {
		zcp_fds_deinit(&record->fds);
		return -EPROTO;
	}
	memcpy(&header, buffer, sizeof(header));
	if (header.operation == ZCPD_KEEP_END) {
		journal->keeper = (pid_t)header.id;
		if (record->fds.n_fds > 0)
			wait_for_predecessor(record->fds.fds[0], journal->keeper);
		zcp_fds_deinit(&record->fds);
		return ZCPD_JOURNAL_E_END;
	}
	if (header.kind == ZCPD_KEEP_LEDGER) {
		if (record->fds.n_fds > 0 && journal->ledger <= 0)
			journal->ledger = zcp_steal_fd(&record->fds.fds[0]);
		zcp_fds_deinit(&record->fds);
		return zcpd_journal_next(journal, record);
	}
	record->kind = header.kind;
	record->id = header.id;
	return 0;
}
