/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the keeper has died: its worker starts another one (an heir), gives it all records, made
 * anew from what is there, and ends when a worker of the heir's has them. If that fails the
 * worker goes on without a keeper, and tries again.
 */
#ifndef ZCPD_FAILOVER_SUCCESSION_H
#define ZCPD_FAILOVER_SUCCESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct zcpd_server;

struct zcpd_succession {
	/* the keeper's, without a program's name; NULL at the end */
	const char *const *arguments;
	uv_poll_t keeper_poll;
	bool is_watching;
	uv_timer_t timer;
	bool is_due;
	/* until the next try; 0: none has failed */
	uint64_t pause_ms;
};

/* Begins to watch the server's keeper. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int zcpd_succession_start(struct zcpd_server *server);

/* Once in each turn of the loop, where nothing is half done. Ends the process on success. */
void zcpd_succession_turn(struct zcpd_server *server);

/* Keeps the descriptors of everything there is. */
void zcpd_succession_record_all(struct zcpd_server *server);

#endif
