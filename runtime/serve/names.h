/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a runtime has in its domain's directory: a lock, so that there is one runtime to
 * a domain; the keeper's pid; the socket that nodes connect to; and the
 * directory of what there is.
 *
 * People and programs that clean up remove them, or all of the directory. Then the runtime puts them
 * back; or it ends in order, where they cannot be put back, or another runtime was faster.
 *
 * Where one cannot be had, the functions return a negative errno with a sentence in `text`.
 */
#ifndef ZCPD_SERVE_NAMES_H
#define ZCPD_SERVE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct zcpd_server;

/* What the runtime has to know (runtime/domain/directory.h); one that finds nodes in it has come after them. */
#define ZCPD_NAMES_DIRECTORY "zcpd.directory"

struct zcpd_names {
	/* -1: the kernel has none left, and we look now and then */
	int inotify;
	uv_poll_t poll;
	uv_timer_t timer;
	/* since then they cannot be put back; 0: they are there */
	uint64_t missing_since_ns;
	/* they are another runtime's now */
	bool are_lost;
};

/* Or ZCPD_SERVER_E_TAKEN: another runtime has the domain. */
__attribute__((warn_unused_result)) int zcpd_names_lock(struct zcpd_server *server, char *text,
							size_t text_size);

__attribute__((warn_unused_result)) int zcpd_names_write_pid(struct zcpd_server *server, char *text,
							     size_t text_size);

__attribute__((warn_unused_result)) int zcpd_names_listen(struct zcpd_server *server, char *text,
							  size_t text_size);

/* What a runtime before us has left (the caller's descriptor), or a negative errno. */
__attribute__((warn_unused_result)) int zcpd_names_open_directory(const struct zcpd_server *server);

/* A file for a directory, which gets its name afterwards. Returns the caller's descriptor. */
__attribute__((warn_unused_result)) int zcpd_names_new_directory(const struct zcpd_server *server,
								 char *text, size_t text_size);
__attribute__((warn_unused_result)) int zcpd_names_put_directory(const struct zcpd_server *server,
								 char *text, size_t text_size);

/* Puts back what is missing, now and whenever a name is removed. The loop runs, or will. */
void zcpd_names_watch(struct zcpd_server *server);

/* All but the lock, which goes with us. */
void zcpd_names_remove(struct zcpd_server *server);

/* Once the loop has ended. */
void zcpd_names_deinit(struct zcpd_names *names);

#endif
