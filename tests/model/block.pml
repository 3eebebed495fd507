/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking policy: one publisher slot, subscribers whose lanes must not overflow (and, where
 * BLOCKERS says so, others whose lanes may). Step 2 of a publish in pubsub/flow/writer.h, with
 * block(), has_room(), announce_wait() and wait_room() of writer.c, pass(), make_room() and
 * wake_blocked() of reader.c, zcp_lane_begin() of pubsub/shm/lane.c, and wake_blocked() of
 * runtime/reclaim.c. Subscribers take, leave, die, lose their connection or stop taking while the
 * publisher waits; it is killed at any step, and its slot is used anew; its wait ends with a
 * timeout. On a blocking lane the subscriber stores `tail`; nobody else moves it but to `base`.
 *
 * Checked: nothing is overwritten in a blocking lane (assert in push()); a blocking subscriber
 * gets every number (assert in Sub); a message reaches all members or none, also when the publisher
 * gives up or dies (asserts in Pub and recover()); nobody waits while there is room, and no one who
 * joins or leaves waits for a publisher that waits (assert in Runtime when nothing moves any more).
 *
 * `version` is modelled by `changed`, and `op` by whether it is odd and by `waits`, as in plane.pml.
 *
 *   spin -a [-DCAP=1 -DMSGS=3 ...] block.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -DNOFAIR -o pan pan.c && ./pan -m200000
 *
 * Each -DBUG_ breaks one rule, and the check must then fail; run.sh has the configuration of each:
 *
 *   BUG_NOSECOND   sleeps without a second look at the lanes
 *   BUG_LATEFLAG   sets `waiting` after the second look
 *   BUG_LATEWAITED sets `has_waited` after the second look
 *   BUG_LATEROOM   reads the futex word `room` after the second look
 *   BUG_NOVERSION  does not look whether the membership has changed
 *   BUG_NOFENCE    a subscriber looks at `has_waited` before its store of `tail`: what the
 *                  publisher's heavy fence prevents
 *   BUG_LATEFENCE  a subscriber looks at `waiting` before its store of `tail`: what its own fence
 *                  prevents
 *   BUG_NOBUMP     a subscriber wakes without a change of `room`
 *   BUG_NOLEAVE    the runtime wakes nobody when a subscriber leaves, dies or is not active any more
 *   BUG_LATECLEAR  the runtime clears `waiting` when the next publisher has begun
 *   BUG_INSIDE     waits inside of op
 *   BUG_EACH       looks for room lane by lane, as it pushes
 *   BUG_OLDTAIL    room in the lane of one who joins counts from `tail` as it was reset
 *   BUG_BEGIN      `tail` is moved up to `base` by a load and a store
 */
#ifndef NS
#define NS 2            /* subscriber slots, 1..2 */
#endif
#ifndef BLOCKERS
#define BLOCKERS 3      /* bits of the subscribers that block */
#endif
#ifndef CAP
#define CAP 1           /* queue depth */
#endif
#ifndef MSGS
#define MSGS 2          /* messages of the slot, all its publishers together */
#endif
#ifndef KILLS
#define KILLS 1         /* processes killed at most */
#endif
#ifndef PNEW
#define PNEW 1          /* publishers that come when one has left or died, at most */
#endif
#ifndef SNEW
#define SNEW 1          /* the same for subscribers */
#endif
#ifndef LATE
#define LATE 0          /* bits of the subscribers that join after the publisher has begun */
#endif
#ifndef LATEOPENS
#define LATEOPENS 0     /* opens that do not wait for a publisher inside op, at most */
#endif
#ifndef WKILLS
#define WKILLS 0        /* times that the runtime's worker is killed; the next one goes on */
#endif
#ifndef STOPS
#define STOPS 0         /* subscribers that live and take nothing any more, at most */
#endif
#ifndef CUTS
#define CUTS 0          /* subscribers that lose their connection and live on, at most */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0      /* waits that end with a timeout, at most */
#endif

#define BIT(s) (1 << (s))
#define BLOCKS(s) (BLOCKERS & BIT(s))

typedef lane_t { byte seq[CAP]; byte base, tail };
lane_t lane[NS];

/* The chunk of the message that is being published. */
bit loaned; byte dseq;

byte members;
bit changed, op;
byte next_seq = 1;
bit waiting, has_waited; byte room;
bit asleep;                             /* in the kernel, on the futex `room` */

mtype = { NONE, JOINING, OPEN, INACTIVE, LEAVING };
bit publisher = 1, enters, plives = 1, slives[NS], stopped[NS];
mtype subscriber[NS];
bit pending[NS], waits[NS];
bit worker_killed;
byte kills, pnew, snew, stops, timeouts, lateopens, cuts;

#define OR_PUB_DIES(mortal) \
	if \
	:: true \
	:: mortal && kills < KILLS -> kills++; plives = 0; goto gone \
	fi
#define OR_SUB_DIES \
	if \
	:: true \
	:: kills < KILLS -> kills++; slives[s] = 0; goto gone \
	fi
#define STEP(access) atomic { access; OR_PUB_DIES(1) }
#define FUTEX_WAKE asleep = 0
#if NS > 1
#define NO_GRACE_WAITS waits[0] = 0; waits[1] = 0
#else
#define NO_GRACE_WAITS waits[0] = 0
#endif

/* --- lanes --- */

#define SETTLE_BASE(s, to) if :: lane[s].base == 0 -> lane[s].base = to :: else fi

/* zcp_lane_begin(). */
#ifdef BUG_BEGIN
#define LANE_BEGIN(s, or_dies) \
	b = lane[s].tail; \
	if \
	:: b < lane[s].base -> atomic { lane[s].tail = lane[s].base; or_dies } \
	:: else \
	fi; \
	b = 0
#else
#define LANE_BEGIN(s, or_dies) \
	atomic { \
		if :: lane[s].tail < lane[s].base -> lane[s].tail = lane[s].base :: else fi; \
		or_dies \
	}
#endif

#define BOUND(tail, n) ((tail) > (n) -> (n) : ((tail) + CAP < (n) -> (n) - CAP : (tail)))

/* --- publisher --- */

inline refresh_tail(s) {
	atomic {
		if
		:: BOUND(lane[s].tail, n) > tail[s] -> tail[s] = BOUND(lane[s].tail, n)
		:: else
		fi
	}
}

inline refresh() {
	m = members;
	do
	:: s < NS ->
		tail[s] = 0;
		if
		:: m & BIT(s) ->
			STEP(SETTLE_BASE(s, n));                /* refresh.after_base */
#ifdef BUG_OLDTAIL
			tail[s] = (n > CAP -> n - CAP : 0);
#else
			LANE_BEGIN(s, OR_PUB_DIES(1));
			tail[s] = BOUND(lane[s].base, n);
#endif
			refresh_tail(s)
		:: else
		fi;
		s++
	:: else -> s = 0; break
	od
}

inline enter() {
	STEP(op = 1);                                           /* 1: publish.after_op */
	if
	:: atomic { changed -> changed = 0 };
		refresh()
	:: atomic { !changed -> skip }
	fi
}

inline leave_op() {
	STEP(op = 0; NO_GRACE_WAITS)
}

#define IS_FULL(s) (m & BIT(s) && BLOCKS(s) && n >= tail[s] + CAP)

/* One lane after the other. */
inline has_room() {
	atomic { s = 0; ok = 1 };
	do
	:: s < NS && ok ->
		if
		:: IS_FULL(s) -> refresh_tail(s); ok = !IS_FULL(s)
		:: else
		fi;
		s++
	:: else -> s = 0; break
	od
}

inline announce_wait() {
#ifndef BUG_LATEFLAG
	STEP(waiting = 1);
#endif
#ifndef BUG_LATEWAITED
	STEP(has_waited = 1)                                    /* block.after_has_waited */
#else
	skip
#endif
}

inline wait_room() {
#ifndef BUG_LATEROOM
	expected = room;
#endif
	announce_wait();                                        /* block.after_waiting */
#ifdef BUG_NOSECOND
	ok = 0;
#else
	has_room();
#endif
#ifdef BUG_LATEFLAG
	STEP(waiting = 1);
#endif
#ifdef BUG_LATEWAITED
	STEP(has_waited = 1);
#endif
#ifdef BUG_LATEROOM
	expected = room;
#endif
	if
#ifdef BUG_NOVERSION
	:: !ok ->
#else
	:: !ok && !changed ->
#endif
		atomic {                                        /* futex_wait */
			if
			:: room == expected -> asleep = 1; OR_PUB_DIES(1)
			:: else
			fi;
			expected = 0
		};
end_asleep:	if
		:: !asleep
		:: timeouts < TIMEOUTS -> timeouts++; expired = 1; asleep = 0
		fi
	:: else -> expected = 0
	fi;                                                     /* block.after_wait */
	STEP(waiting = 0)
}

/* Step 4, one lane. */
inline push(s) {
	if
	:: n >= tail[s] + CAP ->
		refresh_tail(s);
		if
		:: n >= tail[s] + CAP ->
			atomic {                                /* publish.after_drop */
				assert(!BLOCKS(s));
				if
				:: lane[s].tail == n - CAP -> lane[s].tail = n - CAP + 1
				:: else
				fi;
				tail[s] = n - CAP + 1;
				OR_PUB_DIES(1)
			}
		:: else
		fi
	:: else
	fi;
	atomic {                                                /* publish.after_push */
		assert(n < lane[s].tail + CAP);
		lane[s].seq[n % CAP] = n;
		OR_PUB_DIES(1)
	}
}

inline unsent() {
	atomic {
		do :: s < NS -> assert(lane[s].seq[n % CAP] != n); s++ :: else -> s = 0; break od
	}
}

proctype Pub() {
	byte n, m, s, b, expected; byte tail[NS]; bit ok, expired;
begin:
	atomic { n = next_seq; changed = 1; m = 0; expired = 0 };
	do
	:: n <= MSGS ->
		enter();
#ifndef BUG_EACH
		do                                              /* 2 */
		:: true ->
			has_room();
			if :: ok -> break :: else fi;
#ifndef BUG_INSIDE
			leave_op();                             /* publish.after_full */
#endif
			if
			:: expired -> expired = 0; unsent(); goto given_up
			:: else
			fi;
			wait_room();
#ifndef BUG_INSIDE
			enter()
#endif
		od;
		expired = 0;
#endif
		STEP(loaned = 1; dseq = n);                     /* 3: publish.after_seq */
		do                                              /* 4 */
		:: s < NS ->
#ifdef BUG_EACH
			if
			:: !IS_FULL(s) || n < lane[s].tail + CAP
			:: timeouts < TIMEOUTS ->
				timeouts++; s = 0;
				unsent();
				atomic { loaned = 0; dseq = 0 };
				leave_op();
				goto given_up
			fi;
#endif
			if :: m & BIT(s) -> push(s) :: else fi;
			s++
		:: else -> s = 0; break
		od;
		STEP(next_seq = n + 1);                         /* 5: publish.after_next_seq */
		STEP(loaned = 0; dseq = 0);                     /* 6: publish.after_unloan */
		leave_op();                                     /* 7: publish.after_leave */
		n++;
given_up:	skip
	:: break
	od;
	plives = 0;
gone:
end:	atomic { plives -> s = 0; b = 0; expected = 0; ok = 0; goto begin }
}

/* --- subscriber --- */

#define IS_READY(s) \
	((r == 0 && lane[s].base != 0) || \
	 (r != 0 && (lane[s].seq[r % CAP] == r || lane[s].tail > r)))

/* After a take on a blocking lane. */
inline make_room(s) {
#ifndef BUG_NOFENCE
	look = has_waited;
#endif
	if
	:: look ->
#ifndef BUG_LATEFENCE
		look = waiting;
#else
		look = w;
#endif
		if
		:: look ->                                      /* room.after_look */
#ifndef BUG_NOBUMP
			atomic { room = (room + 1) % 8; OR_SUB_DIES };  /* room.after_bump */
#endif
			atomic { FUTEX_WAKE; OR_SUB_DIES }
		:: else
		fi
	:: else
	fi
}

proctype Sub(byte s) {
	byte r, b; bit look, w, got;
gone:
end:	atomic { slives[s] -> b = 0; look = 0; w = 0; got = 0; OR_SUB_DIES };
	r = lane[s].base;
	if
	:: r != 0 -> LANE_BEGIN(s, OR_SUB_DIES)
	:: else
	fi;
end_idle:
	do
	:: IS_READY(s) ->
		if
		:: r == 0 ->
			LANE_BEGIN(s, OR_SUB_DIES);
			r = lane[s].base
		:: r != 0 && lane[s].seq[r % CAP] != r ->
			assert(!BLOCKS(s));
			r = lane[s].tail
		:: r != 0 && lane[s].seq[r % CAP] == r && BLOCKS(s) ->
#ifdef BUG_NOFENCE
			look = has_waited;
#endif
#ifdef BUG_LATEFENCE
			w = waiting;
#endif
			atomic { lane[s].tail = r + 1; OR_SUB_DIES };   /* take.after_tail */
			make_room(s);
			atomic { r++; look = 0; w = 0 }
		:: r != 0 && lane[s].seq[r % CAP] == r && !BLOCKS(s) ->
			atomic {
				if
				:: lane[s].tail == r -> lane[s].tail = r + 1; r++
				:: else -> r = lane[s].tail
				fi;
				OR_SUB_DIES
			}
		fi
	:: stops < STOPS -> stops++; stopped[s] = 1;
end_stopped:
		atomic { kills < KILLS -> kills++; stopped[s] = 0; slives[s] = 0; goto gone }
	od
}

/* --- runtime --- */

#define IS_ACTIVE(s) (subscriber[s] == OPEN || subscriber[s] == JOINING)
#define IS_MEMBER(s) (members & BIT(s))

inline recover_push(s) {
	atomic { SETTLE_BASE(s, q) };
	LANE_BEGIN(s, skip);
	if
	:: lane[s].seq[q % CAP] == q || lane[s].base > q
	:: else ->
		atomic {                                        /* recover.after_drop */
			if
			:: q >= BOUND(lane[s].tail, q) + CAP ->
				assert(!BLOCKS(s));
				if
				:: lane[s].tail == q - CAP -> lane[s].tail = q - CAP + 1
				:: else
				fi
			:: else
			fi
		};
		lane[s].seq[q % CAP] = q                        /* recover.after_push */
	fi
}

inline recover() {
	if
	:: loaned && dseq == next_seq && op ->
		q = dseq;
		do
		:: s < NS ->
			if :: IS_ACTIVE(s) && IS_MEMBER(s) -> recover_push(s) :: else fi;
			s++
		:: else -> s = 0; break
		od;
		atomic {
			/* All members have it. */
			do
			:: s < NS ->
				assert(subscriber[s] != OPEN || lane[s].seq[q % CAP] == q);
				s++
			:: else -> s = 0; break
			od;
			next_seq = q + 1; q = 0                 /* recover.after_next_seq */
		}
	:: else
	fi;
	atomic { loaned = 0; dseq = 0 };                        /* recover.after_chunk */
	do
	:: s < NS ->
		if
		:: subscriber[s] != NONE && subscriber[s] != LEAVING && (!IS_ACTIVE(s) || IS_MEMBER(s)) ->
			atomic { SETTLE_BASE(s, next_seq) };    /* settle.after_base */
			LANE_BEGIN(s, skip)
		:: else
		fi;
		s++
	:: else -> s = 0; break
	od;
	atomic { op = 0; NO_GRACE_WAITS };                      /* recover.after_op */
	publisher = 0                                           /* recover.after_member */
}

/* The next publisher gets the slot. */
inline give_slot() {
#ifdef BUG_LATECLEAR
	plives = 1;
	waiting = 0;
	has_waited = 0;
	enters = 0
#else
	waiting = 0;
	has_waited = 0;
	atomic { plives = 1; enters = 0 }
#endif
}

inline begin_grace(s) {
	atomic { waits[s] = publisher && op; pending[s] = 1 }
}

/* Out of the members, because it leaves or because its connection is lost. */
inline lose_member(s) {
	members = members & ~BIT(s);
	changed = 1;                                            /* leave.after_inactive */
#ifndef BUG_NOLEAVE
	if
	:: publisher ->
		room = (room + 1) % 8;
		FUTEX_WAKE                                      /* leave.after_wake */
	:: else
	fi
#endif
}

inline leave(s) {
	lose_member(s);
	begin_grace(s)
}

inline deactivate(s) {
	lose_member(s);
	pending[s] = 1
}

inline join(s) {
	if
	:: !IS_MEMBER(s) ->
		atomic {                                        /* join.after_lanes */
			do
			:: i < CAP -> lane[s].seq[i] = 0; i++
			:: else -> i = 0; break
			od;
			lane[s].base = 0; lane[s].tail = next_seq
		}
	:: else
	fi;
	members = members | BIT(s);
	changed = 1;
	begin_grace(s)                                          /* join.after_active */
}

inline settle(s) {
	if
	:: !waits[s] ->
		q = next_seq;
		atomic { SETTLE_BASE(s, q); q = 0 };            /* join.after_base */
		LANE_BEGIN(s, skip)                             /* join.after_tail */
	:: else -> waits[s] = 0
	fi;
	atomic { subscriber[s] = OPEN; slives[s] = 1 }          /* join.after_open */
}

#define SUBSCRIBER(x) \
	atomic { (subscriber[x] == OPEN || subscriber[x] == INACTIVE) && !slives[x] -> \
		subscriber[x] = LEAVING; pending[x] = 0 } \
	:: atomic { subscriber[x] == OPEN && cuts < CUTS -> \
		cuts++; subscriber[x] = INACTIVE; pending[x] = 0 } \
	:: subscriber[x] == INACTIVE && !pending[x] -> deactivate(x) \
	:: subscriber[x] == LEAVING && !pending[x] -> leave(x) \
	:: atomic { subscriber[x] == LEAVING && pending[x] && !waits[x] -> \
		pending[x] = 0; \
		if \
		:: snew < SNEW -> snew++; subscriber[x] = JOINING \
		:: true -> subscriber[x] = NONE \
		fi \
	} \
	:: subscriber[x] == JOINING && !pending[x] -> join(x) \
	:: subscriber[x] == JOINING && pending[x] && !waits[x] -> settle(x) \
	:: atomic { subscriber[x] == JOINING && waits[x] && lateopens < LATEOPENS -> lateopens++ }; \
		settle(x)

/* A member's lane has no room, and the member lives and takes nothing. */
#define FULL(s) \
	(members & BIT(s) && BLOCKS(s) && next_seq >= lane[s].tail + CAP && stopped[s])

proctype Runtime() {
	byte s, q, i, b;
resume:
	{
		do
		:: publisher && !plives && !enters -> recover()
		:: atomic { !publisher && pnew < PNEW -> pnew++; publisher = 1; enters = 1 }
		:: enters -> give_slot()
		:: SUBSCRIBER(0)
#if NS > 1
		:: SUBSCRIBER(1)
#endif
		:: timeout -> break                             /* all is quiet */
		od
	} unless {
		atomic {
			worker_killed ->
				worker_killed = 0;
				s = 0; q = 0; i = 0; b = 0;
				do
				:: i < NS -> waits[i] = 0; pending[i] = 0; i++
				:: else -> i = 0; break
				od;
				goto resume
		}
	};
#if NS > 1
	assert(!publisher || FULL(0) || FULL(1));
	assert(subscriber[1] != JOINING && subscriber[1] != LEAVING);
#else
	assert(!publisher || FULL(0));
#endif
	assert(subscriber[0] != JOINING && subscriber[0] != LEAVING);
	do
	:: s < NS ->
		assert(subscriber[s] != OPEN || stopped[s] || lane[s].tail == next_seq);
		s++
	:: else -> break
	od;
gone:	skip
}

/* Kills the runtime's worker, or lets it be. */
proctype Killer() {
	byte n;
	do
	:: n < WKILLS -> atomic { !worker_killed -> worker_killed = 1; n++ }
	:: break
	od
}

init {
	byte i;
	atomic {
		do
		:: i < NS ->
			lane[i].base = 1; lane[i].tail = 1;
			if
			:: LATE & BIT(i) -> subscriber[i] = JOINING
			:: else ->
				subscriber[i] = OPEN; slives[i] = 1;
				members = members | BIT(i)
			fi;
			run Sub(i);
			i++
		:: else -> break
		od;
		run Pub();
		run Runtime();
#if WKILLS > 0
		run Killer()
#endif
	}
}
