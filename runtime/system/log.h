/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's log: a line to standard error, with the time. It is bounded: of lines that have
 * one format string a few are written in each period and the others are counted; and a file that
 * is full is put aside, in the place of the one that was put aside before.
 */
#ifndef ZCPD_SYSTEM_LOG_H
#define ZCPD_SYSTEM_LOG_H

#include "runtime/config/config.h"

/* Lines of one format string that are written within one period. Those of "debug" all are. */
#define ZCPD_LOG_SAME_MAX 10
#define ZCPD_LOG_PERIOD_NS UINT64_C(60000000000)
/* Bytes after which a file is put aside, as "<file>.1". */
#define ZCPD_LOG_FILE_MAX (1 << 20)

/* What is less important than `level` is not written. */
void zcpd_log_set_level(enum zcpd_config_log_level level);

/*
 * Standard error is this file from the next line on, whatever becomes of the file: it is made anew
 * where it was removed, renamed, or is full. Several processes may have one.
 */
void zcpd_log_to_file(const char *path);

__attribute__((format(printf, 2, 3))) void zcpd_log(enum zcpd_config_log_level level,
						    const char *format, ...);

/* Writes how many lines were only counted, of periods that are over; `all`: of each period. */
void zcpd_log_tell(bool all);

/* Nanoseconds until there is something to tell; 0: nothing was counted. */
uint64_t zcpd_log_due_ns(void);

#define zcpd_error(...) zcpd_log(ZCPD_CONFIG_LOG_ERROR, __VA_ARGS__)
#define zcpd_warning(...) zcpd_log(ZCPD_CONFIG_LOG_WARNING, __VA_ARGS__)
#define zcpd_info(...) zcpd_log(ZCPD_CONFIG_LOG_INFO, __VA_ARGS__)
#define zcpd_debug(...) zcpd_log(ZCPD_CONFIG_LOG_DEBUG, __VA_ARGS__)

#endif
