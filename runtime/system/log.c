/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line, one write.
 */
#include "runtime/system/log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/util.h"

/* More than there are; a line that finds no place is written. */
#define KINDS_MAX 64

/* Lines with one format string. */
struct kind {
	const char *format;
	enum zcpd_config_log_level level;
	/* since its period has begun: */
	uint64_t since_ns;
	uint32_t n;
	/* the last one, where it was not written */
	char last[256];
};

static enum zcpd_config_log_level threshold = ZCPD_CONFIG_LOG_INFO;
static struct kind kinds[KINDS_MAX];
static char file[PATH_MAX];

void zcpd_log_set_level(enum zcpd_config_log_level level)
{
	threshold = level;
}

void zcpd_log_to_file(const char *path)
{
	(void)snprintf(file, sizeof(file), "%s", path);
}

/* Whether standard error is the file that is there now. */
static bool has_file(uint64_t *size)
{
	struct stat ours, there;

	if (fstat(STDERR_FILENO, &ours) < 0 || lstat(file, &there) < 0)
		return false;
	*size = (uint64_t)ours.st_size;
	return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/*
 * The keeper and the worker write into one file, and one of them puts it aside. It is locked
 * meanwhile, until its descriptor is replaced, so that the other does not put the new one aside.
 */
static void put_aside(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char former[PATH_MAX + 2];
	uint64_t size;

	(void)snprintf(former, sizeof(former), "%s.1", file);
	if (fcntl(STDERR_FILENO, F_SETLK, &lock) == 0 && has_file(&size))
		(void)rename(file, former);
}

static void follow_file(void)
{
	ZCP_CLEANUP(zcp_close_fd) int fd = -1;
	uint64_t size = 0;

	if (has_file(&size) && size < ZCPD_LOG_FILE_MAX)
		return;
	if (size >= ZCPD_LOG_FILE_MAX)
		put_aside();
	/* Where it cannot be made, the lines go where they went before. */
	fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)dup2(fd, STDERR_FILENO);
}

static void write_line(enum zcpd_config_log_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	struct timespec now;
	struct tm tm;
	char line[1024];
	size_t n;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	r = snprintf(line + n, sizeof(line) - n, ".%03ldZ %s: %s", now.tv_nsec / 1000000,
		     names[level], text);
	n += r > 0 ? (size_t)r : 0;
	if (n > sizeof(line) - 1)
		n = sizeof(line) - 1;
	line[n++] = '\n';
	if (file[0])
		follow_file();
	/* Where the log cannot be written, there is nowhere to report it. */
	ZCP_IGNORE(write(STDERR_FILENO, line, n) < 0);
}

static bool is_over(const struct kind *kind, uint64_t now)
{
	return now - kind->since_ns >= ZCPD_LOG_PERIOD_NS;
}

/* Its period ends: how many were not written, and which was the last of these. */
static void tell(struct kind *kind)
{
	char text[sizeof(kind->last) + 64];
	uint32_t n = kind->n;

	kind->format = NULL;
	if (n <= ZCPD_LOG_SAME_MAX)
		return;
	(void)snprintf(text, sizeof(text), "%u more of these, the last one: %s",
		       n - ZCPD_LOG_SAME_MAX, kind->last);
	write_line(kind->level, text);
}

void zcpd_log_tell(bool all)
{
	uint64_t now = zcp_now_ns();

	for (int i = 0; i < KINDS_MAX; i++)
		if (kinds[i].format && (all || is_over(&kinds[i], now)))
			tell(&kinds[i]);
}

uint64_t zcpd_log_due_ns(void)
{
	uint64_t now = zcp_now_ns(), due_ns = 0;

	for (int i = 0; i < KINDS_MAX; i++) {
		uint64_t left = 1;

		if (!kinds[i].format || kinds[i].n <= ZCPD_LOG_SAME_MAX)
			continue;
		if (!is_over(&kinds[i], now))
			left = kinds[i].since_ns + ZCPD_LOG_PERIOD_NS - now;
		if (due_ns == 0 || left < due_ns)
			due_ns = left;
	}
	return due_ns;
}

/* The kind of a line; one whose period begins; or NULL. */
static struct kind *find_kind(enum zcpd_config_log_level level, const char *format)
{
	struct kind *unused = NULL;

	for (int i = 0; i < KINDS_MAX; i++) {
		if (kinds[i].format == format && kinds[i].level == level)
			return &kinds[i];
		if (!kinds[i].format)
			unused = &kinds[i];
	}
	if (unused)
		*unused = (struct kind){
			.format = format,
			.level = level,
			.since_ns = zcp_now_ns(),
		};
	return unused;
}

void zcpd_log(enum zcpd_config_log_level level, const char *format, ...)
{
	struct kind *kind = NULL;
	char text[1024];
	va_list arguments;

	if (level > threshold)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	zcpd_log_tell(false);
	if (level != ZCPD_CONFIG_LOG_DEBUG)
		kind = find_kind(level, format);
	if (!kind || ++kind->n <= ZCPD_LOG_SAME_MAX)
		write_line(level, text);
	else
		(void)snprintf(kind->last, sizeof(kind->last), "%.*s", (int)sizeof(kind->last) - 1,
			       text);
}
