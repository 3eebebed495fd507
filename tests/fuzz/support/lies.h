/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that somebody writes into shared memory who should not, or other words than he should.
 */
#ifndef ZCP_FUZZ_LIES_H
#define ZCP_FUZZ_LIES_H

#include "pubsub/flow/backlog.h"
#include "tests/fuzz/support/bed.h"
#include "tests/fuzz/support/input.h"

/*
 * S TOPIC PUBLISHER SUBSCRIBER AHEAD FLAGS CLASS INDEX   a lane's slot; AHEAD of next_seq
 * D CLASS INDEX WORD VALUE      of a descriptor
 * F CLASS INDEX OWNER FLAGS     a descriptor's state
 * A CLASS OWNER FLAGS           the states of all, now
 * H CLASS INDEX WORD VALUE      of a chunk's header
 * P TOPIC PUBLISHER WORD VALUE  of a publisher's slot
 * U TOPIC SUBSCRIBER WORD VALUE of a subscriber's slot
 * M TOPIC WORD VALUE            of the membership
 * G SIGNAL WORD VALUE           of a signal
 * R TOPIC PUBLISHER SUBSCRIBER FLAGS  a lane in which all numbers go on at each access, until
 *                               the end of the next command
 * B ENTRY SEQ CLASS INDEX PUBLISHER   an entry of the next backlog
 */
#define ZCP_FUZZ_LIES "SDFAHPUMGRB"

/* Tells one: now, or before the `after`-th access from now on where that is not negative. */
void zcp_fuzz_lie(const struct zcp_fuzz_bed *bed, char kind, struct zcp_fuzz_input *input,
		  int64_t after);

/* After each command: nobody runs away any more. */
void zcp_fuzz_stop_running(void);

/* Lies in a backlog that somebody is given. */
void zcp_fuzz_lie_in_backlog(struct zcp_backlog *backlog);

/* How many have been told since the last reset. */
uint64_t zcp_fuzz_n_lies(void);
void zcp_fuzz_lies_reset(void);

/* Before the first publisher of an input: number of each slot's next message, 1 to 2^62. */
void zcp_fuzz_begin_at(const struct zcp_fuzz_bed *bed, uint64_t next_seq);

#endif
