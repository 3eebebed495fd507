/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line, one write.
 */
#include "runtime/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/util.h"

/* Complaints that are written within one period. */
#define COMPLAINTS_MAX 10
#define COMPLAINTS_NS UINT64_C(1000000000)

static enum zcpd_config_log_level threshold = ZCPD_CONFIG_LOG_INFO;

void zcpd_log_set_level(enum zcpd_config_log_level level)
{
	threshold = level;
}

static void write_line(enum zcpd_config_log_level level, const char *format, va_list arguments)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	struct timespec now;
	struct tm tm;
	char line[1024];
	size_t n;
	int r;

	if (level > threshold)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	r = snprintf(line + n, sizeof(line) - n, ".%03ldZ %s: ", now.tv_nsec / 1000000,
		     names[level]);
	n += r > 0 ? (size_t)r : 0;
	r = vsnprintf(line + n, sizeof(line) - n, format, arguments);
	n += r > 0 ? (size_t)r : 0;
	if (n > sizeof(line) - 1)
		n = sizeof(line) - 1;
	line[n++] = '\n';
	/* A log that cannot be written has nobody to be told. */
	ZCP_IGNORE(write(STDERR_FILENO, line, n) < 0);
}

void zcpd_log(enum zcpd_config_log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(level, format, arguments);
	va_end(arguments);
}

void zcpd_complaint(const char *format, ...)
{
	static uint64_t since_ns;
	static uint32_t n;
	uint64_t now = zcp_now_ns();
	va_list arguments;

	if (now - since_ns >= COMPLAINTS_NS) {
		if (n > COMPLAINTS_MAX)
			zcpd_warning("clients have given cause for %u more warnings",
				     n - COMPLAINTS_MAX);
		since_ns = now;
		n = 0;
	}
	if (++n > COMPLAINTS_MAX)
		return;
	va_start(arguments, format);
	write_line(ZCPD_CONFIG_LOG_WARNING, format, arguments);
	va_end(arguments);
}
