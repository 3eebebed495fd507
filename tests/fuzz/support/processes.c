/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers for getsockopt(2), /proc and pidfd_open(2).
 */
#include "tests/fuzz/support/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pubsub/util.h"
#include "runtime/system/process.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

static const struct zcp_fuzz_runtime *runtime;
static const struct zcp_fuzz_client *connecting;

void zcp_fuzz_processes_set(const struct zcp_fuzz_runtime *r)
{
	runtime = r;
}

void zcp_fuzz_processes_connect(const struct zcp_fuzz_client *client)
{
	connecting = client;
}

static const struct zcp_fuzz_client *find_living(uint32_t pid)
{
	for (int i = 0; i < ZCP_FUZZ_CLIENTS; i++) {
		const struct zcp_fuzz_client *client = &runtime->clients[i];

		if (pid != 0 && client->pid == pid && !client->is_dead)
			return client;
	}
	return NULL;
}

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
int __real_getsockopt(int socket, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int socket, int level, int name, void *value, socklen_t *size);
uint64_t __real_zcpd_process_start(uint32_t pid);
uint64_t __wrap_zcpd_process_start(uint32_t pid);
int __real_zcpd_process_open(uint32_t pid, uint64_t start, uint32_t *uid);
int __wrap_zcpd_process_open(uint32_t pid, uint64_t start, uint32_t *uid);

int __wrap_getsockopt(int socket, int level, int name, void *value, socklen_t *size)
{
	int r = 0;

	if (name != SO_PEERPIDFD)
		r = __real_getsockopt(socket, level, name, value, size);
	if (!connecting || r < 0)
		return r;
	if (name == SO_PEERCRED)
		((struct ucred *)value)->pid = (pid_t)connecting->pid;
	if (name == SO_PEERPIDFD) {
		int fd = fcntl(connecting->death, F_DUPFD_CLOEXEC, 0);

		memcpy(value, &fd, sizeof(fd));
	}
	return 0;
}

/* Such as no pid is, and 0 where it has ended. */
uint64_t __wrap_zcpd_process_start(uint32_t pid)
{
	if (!runtime)
		return __real_zcpd_process_start(pid);
	return find_living(pid) ? UINT64_C(1000) + pid : 0;
}

int __wrap_zcpd_process_open(uint32_t pid, uint64_t start, uint32_t *uid)
{
	const struct zcp_fuzz_client *client;
	int fd;

	if (!runtime)
		return __real_zcpd_process_open(pid, start, uid);
	client = find_living(pid);
	if (!client || (start != 0 && __wrap_zcpd_process_start(pid) != start))
		return -ESRCH;
	fd = fcntl(client->death, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return zcp_errno();
	*uid = (uint32_t)geteuid();
	return fd;
}
/* NOLINTEND(bugprone-reserved-identifier) */
