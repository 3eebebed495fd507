/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc, and our own limits.
 */
#include "runtime/system/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "pubsub/util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

/* Fields of /proc/<pid>/stat from the program's name, which may have anything in it, to this. */
#define FIELDS_BEFORE_START 20

/* A /proc of other pids than ours speaks of other processes. */
static bool proc_is_ours(void)
{
	char pid[16] = "";

	return readlink("/proc/self", pid, sizeof(pid) - 1) > 0 &&
	       strtol(pid, NULL, 10) == getpid();
}

uint64_t zcpd_process_start(uint32_t pid)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	char path[32], text[1024], *field;
	ssize_t n;

	if (pid == 0 || !proc_is_ours())
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = 0;
	field = strrchr(text, ')');
	for (int i = 0; field && i < FIELDS_BEFORE_START; i++)
		field = strchr(field + 1, ' ');
	return field ? strtoull(field, NULL, 10) : 0;
}

int zcpd_process_open(uint32_t pid, uint64_t start, uint32_t *uid)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	char path[32];
	struct stat st;

	if (pid == 0 || pid > INT32_MAX)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (fd < 0)
		return zcp_errno();
	/* The descriptor is there: from now on the pid is not given again unnoticed. */
	if (start != 0 && zcpd_process_start(pid) != start)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	*uid = stat(path, &st) < 0 ? (uint32_t)geteuid() : st.st_uid;
	return zcp_steal_fd(&fd);
}

int zcpd_process_of_peer(int socket, uint32_t pid)
{
	int pidfd;
	socklen_t size = sizeof(pidfd);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
		return pidfd;
	if (errno != ENOPROTOOPT)
		return errno == EINVAL ? -ESRCH : zcp_errno();
	if (pid == 0)
		return -ENOPROTOOPT;
	/* Before Linux 6.5 there is a moment in which the pid may have been reused. */
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	return pidfd < 0 ? zcp_errno() : pidfd;
}

int zcpd_process_unknown(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? zcp_errno() : fd;
}

uint32_t zcpd_process_pid(int pidfd)
{
	char path[40], line[128];
	FILE *file = NULL;
	int pid = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (proc_is_ours())
		file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	(void)fclose(file);
	return pid > 0 ? (uint32_t)pid : 0;
}

const char *zcpd_process_text(uint32_t pid, char text[ZCPD_PROCESS_TEXT_SIZE])
{
	(void)snprintf(text, ZCPD_PROCESS_TEXT_SIZE, pid ? "%u" : "-", pid);
	return text;
}

uint64_t zcpd_process_max_fds(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

bool zcpd_process_lacks_fds(uint32_t n)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* It is the lowest that is free. */
	return fd < 0 || (uint64_t)fd + n > zcpd_process_max_fds();
}

static bool is_of_file(const char *line, const struct stat *file)
{
	unsigned int major_number, minor_number;
	unsigned long long inode;

	return sscanf(line, "%*x-%*x %*s %*x %x:%x %llu", &major_number, &minor_number, &inode) ==
		       3 &&
	       major_number == major(file->st_dev) && minor_number == minor(file->st_dev) &&
	       inode == file->st_ino;
}

bool zcpd_process_may_map(uint32_t pid, int fd)
{
	char path[32], *line = NULL;
	unsigned int n_lines = 0;
	bool is_found = false;
	struct stat file;
	size_t size = 0;
	FILE *maps;

	if (pid == 0 || fstat(fd, &file) < 0 || !proc_is_ours())
		return true;
	(void)snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return true;
	for (; !is_found && getline(&line, &size, maps) > 0; n_lines++)
		is_found = is_of_file(line, &file);
	is_found = is_found || ferror(maps);
	free(line);
	(void)fclose(maps);
	/* Nothing at all: its first thread has ended, and the others may map what they will. */
	return is_found || n_lines == 0;
}
