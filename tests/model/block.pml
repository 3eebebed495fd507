/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking policy: one publisher slot, subscribers whose lanes must not overflow (and, where
 * BLOCKERS says so, others whose lanes may). Step 2 of a publish in pubsub/flow/writer.h, with
 * block() and wait_room() of writer.c, make_room() of reader.c and wake_blocked() of
 * runtime/reclaim.c. Subscribers take, leave, die or stop taking while the publisher waits; it
 * is killed at any step, and its slot is used anew; its wait ends with a timeout.
 *
 * Checked: nothing is overwritten in a blocking lane (assert in deliver()); a blocking
 * subscriber gets every number (assert in Sub); a message reaches all members or none, also
 * when the publisher gives up or dies (asserts in Pub and recover()); nobody waits while there
 * is room, and no one who joins or leaves waits for a publisher that waits (assert in Runtime
 * when nothing moves any more).
 *
 *   spin -a [-DCAP=1 -DMSGS=3 ...] block.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000
 *
 * Each -DBUG_ breaks one rule, and the check must then fail; BUG_EACH needs -DTIMEOUTS=1:
 *
 *   BUG_NOSECOND   sleeps without a second look at the lanes
 *   BUG_LATEFLAG   sets `waiting` after the second look
 *   BUG_LATEROOM   reads the futex word `room` after the second look
 *   BUG_NOVERSION  does not look whether the membership has changed
 *   BUG_NOFENCE    a subscriber looks at `waiting` before its take: what its fence prevents
 *   BUG_NOBUMP     a subscriber wakes without a change of `room`
 *   BUG_NOLEAVE    the runtime wakes nobody when a subscriber leaves or dies
 *   BUG_LATECLEAR  the runtime clears `waiting` when the next publisher has begun
 *   BUG_INSIDE     waits inside of op
 *   BUG_EACH       looks for room lane by lane, as it pushes
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
#ifndef WKILLS
#define WKILLS 0        /* times that the runtime's worker is killed; the next one goes on */
#endif
#ifndef STOPS
#define STOPS 0         /* subscribers that live and take nothing any more, at most */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0      /* waits that end with a timeout, at most */
#endif

#define BIT(s) (1 << (s))
#define BLOCKS(s) (BLOCKERS & BIT(s))

typedef slot_t { byte seq; bit live };
typedef lane_t { slot_t slot[CAP] };
lane_t lane[NS];
#define SLOT(s, n) lane[s].slot[(n) % CAP]

/* The chunk of the message that is being published. */
bit loaned; byte dseq, holders;

byte members, version;
byte op, next_seq = 1;
bit waiting; byte room;
bit asleep;                             /* in the kernel, on the futex `room` */

mtype = { NONE, JOINING, OPEN, LEAVING };
bit publisher = 1, enters, plives = 1, slives[NS], stopped[NS], rejoins[NS];
mtype subscriber[NS];
bit waits[NS]; byte waits_op[NS], start[NS];
bit worker_killed;
byte kills, pnew, snew, stops, timeouts;

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

inline enter() {
	STEP(op++);                                             /* 1 */
	if
	:: atomic { version != seen -> seen = version };
		m = members
	:: atomic { version == seen -> skip }
	fi
}

/* One lane after the other. */
inline has_room() {
	atomic { s = 0; ok = 1 };
	do
	:: s < NS && ok -> ok = !(m & BIT(s) && BLOCKS(s) && SLOT(s, n).live); s++
	:: else -> s = 0; break
	od
}

inline wait_room() {
#ifndef BUG_LATEROOM
	expected = room;
#endif
#ifndef BUG_LATEFLAG
	STEP(waiting = 1);
#endif
#ifdef BUG_NOSECOND
	ok = 0;
#else
	has_room();
#endif
#ifdef BUG_LATEFLAG
	STEP(waiting = 1);
#endif
#ifdef BUG_LATEROOM
	expected = room;
#endif
	if
#ifdef BUG_NOVERSION
	:: !ok ->
#else
	:: !ok && version == seen ->
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
	fi;
	STEP(waiting = 0)
}

inline deliver(s, n, mortal) {
	atomic {
		assert(!BLOCKS(s) || !SLOT(s, n).live);
		SLOT(s, n).seq = n; SLOT(s, n).live = 1;
		OR_PUB_DIES(mortal)
	}
}

inline unsent() {
	atomic {
		do :: s < NS -> assert(SLOT(s, n).seq != n); s++ :: else -> s = 0; break od
	}
}

proctype Pub() {
	byte n, m, seen, s, expected; bit ok, expired;
begin:
	atomic { n = next_seq; seen = 255; m = 0; expired = 0 };
	do
	:: n <= MSGS ->
		enter();
#ifndef BUG_EACH
		do                                              /* 2 */
		:: true ->
			has_room();
			if :: ok -> break :: else fi;
#ifndef BUG_INSIDE
			STEP(op++);
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
#endif
		STEP(loaned = 1; dseq = n);                     /* 3 */
		STEP(holders = m);                              /* 4 */
		do                                              /* 5 */
		:: s < NS ->
#ifdef BUG_EACH
			if
			:: !(m & BIT(s) && BLOCKS(s) && SLOT(s, n).live)
			:: timeouts < TIMEOUTS ->
				timeouts++; s = 0;
				unsent();
				atomic { loaned = 0; holders = 0 };
				STEP(op++);
				goto given_up
			fi;
#endif
			if :: m & BIT(s) -> deliver(s, n, 1) :: else fi;
			s++
		:: else -> s = 0; break
		od;
		STEP(next_seq = n + 1);                         /* 6 */
		STEP(loaned = 0);                               /* 7 */
		STEP(op++);                                     /* 8 */
		n++;
given_up:	skip
	:: break
	od;
	plives = 0;
gone:
end:	atomic { plives -> s = 0; expected = 0; ok = 0; goto begin }
}

proctype Sub(byte s) {
	byte r, q, i; bit look;
gone:
end:	atomic { slives[s] -> r = start[s]; q = 0; i = 0; look = 0; OR_SUB_DIES };
	do                                                      /* the first look at the lane */
	:: i < CAP ->
		atomic {
			if
			:: lane[s].slot[i].live && lane[s].slot[i].seq < r ->
				r = lane[s].slot[i].seq
			:: else
			fi;
			i++
		}
	:: else -> i = 0; break
	od;
end_idle:
	do
	:: atomic { SLOT(s, r).seq >= r -> q = SLOT(s, r).seq };
		assert(!BLOCKS(s) || (q == r && SLOT(s, r).live));
		if
		:: q == r ->
#ifdef BUG_NOFENCE
			look = waiting;
#endif
			atomic { SLOT(s, r).live = 0; r++; OR_SUB_DIES };
#ifndef BUG_NOFENCE
			look = waiting;
#endif
			if
			:: look && BLOCKS(s) ->
#ifndef BUG_NOBUMP
				atomic { room++; OR_SUB_DIES };
#endif
				atomic { FUTEX_WAKE; OR_SUB_DIES }
			:: else
			fi
		:: else -> r = q - CAP + 1
		fi;
		atomic { q = 0; look = 0 }
	:: stops < STOPS -> stops++; stopped[s] = 1;
end_stopped:
		atomic { kills < KILLS -> kills++; stopped[s] = 0; slives[s] = 0; goto gone }
	od
}

inline recover() {
	q = dseq;
	do
	:: s < NS ->
		if
		:: loaned && op % 2 && (holders & BIT(s)) && SLOT(s, q).seq < q ->
			if
			:: subscriber[s] == OPEN || subscriber[s] == JOINING ->
				deliver(s, q, 0);
				pushed = 1
			:: else
			fi
		:: loaned && op % 2 && SLOT(s, q).seq == q -> pushed = 1
		:: else
		fi;
		s++
	:: else -> s = 0; break
	od;
	if :: pushed && next_seq <= q -> next_seq = q + 1 :: else fi;
	atomic {
		/* All members have it, or none. */
		do
		:: s < NS ->
			assert(!(loaned && op % 2 && pushed && (holders & BIT(s)) &&
				 subscriber[s] == OPEN) || SLOT(s, q).seq == q);
			s++
		:: else -> s = 0; break
		od;
		loaned = 0; holders = 0; dseq = 0; pushed = 0; q = 0
	};
	op = op + op % 2;
	publisher = 0
}

/* The next publisher gets the slot. */
inline give_slot() {
#ifdef BUG_LATECLEAR
	plives = 1;
	waiting = 0;
	enters = 0
#else
	waiting = 0;
	atomic { plives = 1; enters = 0 }
#endif
}

inline begin_grace(s) {
	waits_op[s] = op;
	waits[s] = publisher && waits_op[s] % 2;
	start[s] = next_seq
}

inline leave(s) {
	subscriber[s] = LEAVING;
	members = members & ~BIT(s);
	version++;
#ifndef BUG_NOLEAVE
	if
	:: publisher ->
		room++;
		FUTEX_WAKE
	:: else
	fi;
#endif
	begin_grace(s)
}

inline join(s) {
	subscriber[s] = JOINING;
	members = members | BIT(s);
	version++;
	begin_grace(s)
}

inline sweep(s) {
	atomic {
		do
		:: i < CAP -> lane[s].slot[i].seq = 0; lane[s].slot[i].live = 0; i++
		:: else -> i = 0; break
		od
	};
	if
	:: rejoins[s] -> rejoins[s] = 0; join(s)
	:: !rejoins[s] && snew < SNEW -> snew++; join(s)
	:: !rejoins[s] -> subscriber[s] = NONE
	fi
}

#define SUBSCRIBER(s) \
	subscriber[s] == OPEN && !slives[s] -> leave(s) \
	:: atomic { waits[s] && (!publisher || op != waits_op[s]) -> waits[s] = 0 }; \
		start[s] = next_seq \
	:: subscriber[s] == LEAVING && !waits[s] -> sweep(s) \
	:: atomic { subscriber[s] == JOINING && !waits[s] -> subscriber[s] = OPEN; slives[s] = 1 }

/* What was under way when the worker before died is done again, from its beginning. */
#define RESUME(s) \
	if \
	:: subscriber[s] == JOINING -> rejoins[s] = 1; leave(s) \
	:: subscriber[s] == LEAVING -> leave(s) \
	:: else \
	fi

/* A member's lane has no room, and the member lives and takes nothing. */
#define FULL(s) \
	(members & BIT(s) && BLOCKS(s) && SLOT(s, next_seq).live && stopped[s])

proctype Runtime() {
	byte s, q, i; bit pushed, again;
resume:
	{
		if
		:: again ->
			RESUME(0);
#if NS > 1
			RESUME(1);
#endif
			again = 0
		:: else
		fi;
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
				worker_killed = 0; again = 1;
				s = 0; q = 0; i = 0; pushed = 0;
				do
				:: i < NS -> waits[i] = 0; waits_op[i] = 0; i++
				:: else -> i = 0; break
				od;
				goto resume
		}
	};
#if NS > 1
	assert(!publisher || FULL(0) || FULL(1));
	assert(subscriber[1] == OPEN || subscriber[1] == NONE);
#else
	assert(!publisher || FULL(0));
#endif
	assert(subscriber[0] == OPEN || subscriber[0] == NONE);
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
			subscriber[i] = OPEN; slives[i] = 1; start[i] = 1;
			members = members | BIT(i);
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
