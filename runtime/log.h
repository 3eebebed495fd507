/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime's log: a line to standard error, with the time.
 */
#ifndef ZCPD_LOG_H
#define ZCPD_LOG_H

#include "runtime/config.h"

/* What is less important than `level` is not written. */
void zcpd_log_set_level(enum zcpd_config_log_level level);

__attribute__((format(printf, 2, 3))) void zcpd_log(enum zcpd_config_log_level level,
						    const char *format, ...);

/*
 * A warning about what a client has done, which it may do as often as it likes: a few a second are
 * written, and how many were not.
 */
__attribute__((format(printf, 1, 2))) void zcpd_complaint(const char *format, ...);

#define zcpd_error(...) zcpd_log(ZCPD_CONFIG_LOG_ERROR, __VA_ARGS__)
#define zcpd_warning(...) zcpd_log(ZCPD_CONFIG_LOG_WARNING, __VA_ARGS__)
#define zcpd_info(...) zcpd_log(ZCPD_CONFIG_LOG_INFO, __VA_ARGS__)
#define zcpd_debug(...) zcpd_log(ZCPD_CONFIG_LOG_DEBUG, __VA_ARGS__)

#endif
