/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a runtime has in its domain's directory: a lock, so that there is one runtime to
 * a domain; the keeper's pid; and the socket that nodes connect to.
 *
 * Where one cannot be had, the functions return a negative errno with a sentence in `text`.
 */
#ifndef ZCPD_NAMES_H
#define ZCPD_NAMES_H

#include <stddef.h>

struct zcpd_server;

/* Or ZCPD_SERVER_E_TAKEN: another runtime has the domain. */
__attribute__((warn_unused_result)) int zcpd_names_lock(struct zcpd_server *server, char *text,
							size_t text_size);

__attribute__((warn_unused_result)) int zcpd_names_write_pid(struct zcpd_server *server, char *text,
							     size_t text_size);

__attribute__((warn_unused_result)) int zcpd_names_listen(struct zcpd_server *server, char *text,
							  size_t text_size);

/* All but the lock, which goes with us. */
void zcpd_names_remove(const struct zcpd_server *server);

#endif
