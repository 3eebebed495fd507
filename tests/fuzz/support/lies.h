/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that somebody writes into shared memory who should not, or other words than he should.
 *
 * What a subscriber can write are acks and signals. Those lies harm the one in whose block of the
 * acks they stand and nobody else: publishers, other subscribers and the runtime go on as if all
 * were true. The others are a publisher's, or nobody's.
 */
#ifndef ZCP_FUZZ_LIES_H
#define ZCP_FUZZ_LIES_H

#include "pubsub/flow/backlog.h"
#include "tests/fuzz/support/bed.h"
#include "tests/fuzz/support/input.h"

/*
 * S TOPIC PUBLISHER SUBSCRIBER AHEAD CLASS INDEX   the word of a lane's slot; AHEAD of next_seq
 * W TOPIC PUBLISHER SUBSCRIBER AHEAD WORD VALUE    any word of a lane's slot
 * L TOPIC PUBLISHER SUBSCRIBER WORD VALUE          where a lane begins and ends
 * D CLASS INDEX WORD VALUE      of a descriptor
 * F CLASS INDEX OWNER FLAGS     a descriptor's state
 * A CLASS OWNER FLAGS           the states of all, now
 * N CLASS WORD VALUE            of what a class says about its use
 * P TOPIC PUBLISHER WORD VALUE  of a publisher's slot
 * U TOPIC SUBSCRIBER WORD VALUE of a subscriber's slot
 * M TOPIC WORD VALUE            of the membership
 * R TOPIC PUBLISHER SUBSCRIBER PUSHES  a lane in which all numbers go on at each access, and, where
 *                               PUSHES, `tail` with them, until the end of the next command
 * B ENTRY SEQ CLASS INDEX PUBLISHER    an entry of the next backlog
 *
 * K TOPIC SUBSCRIBER WORD VALUE of a subscriber's block of the acks
 * T TOPIC PUBLISHER SUBSCRIBER WORD AHEAD      of an ack line, AHEAD of next_seq
 * H TOPIC SUBSCRIBER PLACE PUBLISHER AHEAD     holds the message AHEAD of next_seq in a place, and
 *                               says that it has used all of them
 * Y TOPIC SUBSCRIBER PUBLISHER AHEAD N STEP    the same in the first N places at once, with numbers
 *                               that go up by STEP
 * E TOPIC WORD VALUE            of what all subscribers write: sleepers, room
 * G SIGNAL WORD VALUE           of a signal
 */
#define ZCP_FUZZ_LIES "SWLDFANPUMRBKTHYEG"

/* Tells one: now, or before the `after`-th access from now on where that is not negative. */
void zcp_fuzz_lie(const struct zcp_fuzz_bed *bed, char kind, struct zcp_fuzz_input *input,
		  int64_t after);

/* After each command: nobody runs away any more. */
void zcp_fuzz_stop_running(void);

/* Lies in a backlog that somebody is given. */
void zcp_fuzz_lie_in_backlog(struct zcp_backlog *backlog);

/* How many have been told since the last reset; and of these the ones that are no subscriber's. */
uint64_t zcp_fuzz_n_lies(void);
uint64_t zcp_fuzz_n_others_lies(void);
void zcp_fuzz_lies_reset(void);

/* Whether some are about what this subscriber slot has said, or are no subscriber's. */
bool zcp_fuzz_is_lied_to(uint32_t topic, uint32_t subscriber);

/* Another subscriber has the slot: of what was said of the one before nothing counts any more. */
void zcp_fuzz_forget_lies(uint32_t topic, uint32_t subscriber);

/* Before the first publisher of an input: number of each slot's next message, 1 to 2^62. */
void zcp_fuzz_begin_at(const struct zcp_fuzz_bed *bed, uint64_t next_seq);

#endif
