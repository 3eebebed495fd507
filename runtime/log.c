/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line, one write.
 */
#include "runtime/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "pubsub/util.h"

static enum zcpd_config_log_level threshold = ZCPD_CONFIG_LOG_INFO;

void zcpd_log_set_level(enum zcpd_config_log_level level)
{
	threshold = level;
}

void zcpd_log(enum zcpd_config_log_level level, const char *format, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	struct timespec now;
	struct tm tm;
	va_list arguments;
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
	va_start(arguments, format);
	r = vsnprintf(line + n, sizeof(line) - n, format, arguments);
	va_end(arguments);
	n += r > 0 ? (size_t)r : 0;
	if (n > sizeof(line) - 1)
		n = sizeof(line) - 1;
	line[n++] = '\n';
	/* A log that cannot be written has nobody to be told. */
	ZCP_IGNORE(write(STDERR_FILENO, line, n) < 0);
}
