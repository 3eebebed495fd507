/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane under crashes: loan, publish, take, release, promised history, joining, leaving,
 * a connection that is lost, and what the runtime does after a death. Publishers own their chunks,
 * share a pool, and take a chunk back by what subscribers say. Every access to shared memory is one
 * step; a publisher or subscriber may be killed after each, and the runtime's worker too. Numbers
 * are the steps of a publish in pubsub/flow/writer.h; steps have the names that the crash points in
 * the code have.
 *
 * Follows zcp_writer_loan() and zcp_writer_publish() with enter(), refresh() and find() in
 * pubsub/flow/writer.c; zcp_lane_begin(), _settle() and _push_out() in pubsub/shm/lane.c; the rule
 * in pubsub/shm/stake.h; take_lane() in pubsub/flow/reader.c and reader_history.c; and
 * runtime/reclaim.c with registry.c.
 *
 * Checked: what a subscriber has taken, from a lane or of history, is what was announced and does
 * not change while it is held (assert in Sub); a loan finds a chunk in a pool of as many as
 * admission asks for (assert in loan()); history is promised without a gap (assert in settle_lane());
 * once every death is settled and every lane is drained, every chunk is free, and every subscriber
 * has come to the end of each lane (asserts in Runtime): nothing has leaked, and no message was left
 * lying in a lane.
 *
 * `version` is modelled by `changed`: whether it is another one than the publisher has seen; and
 * `op` by whether it is odd and by `waits`: whether a grace period waits for it to change.
 *
 *   spin -a [-DNP=1 -DNS=1 ...] plane.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -DNOFAIR -o pan pan.c && ./pan -m200000
 *
 * Each -DBUG_ breaks one rule, and the check must then fail; run.sh has the configuration of each:
 *
 *   BUG_ORDER        step 5 before step 4
 *   BUG_OUTSIDE      the membership is read before step 1
 *   BUG_VERSION      the runtime changes `version` before `active` and `present`
 *   BUG_NOGRACE      no grace period
 *   BUG_NORESET      lanes are not reset for the next subscriber
 *   BUG_START        where a lane begins is settled before publishers see the subscriber
 *   BUG_PUBBASE      a publisher that first sees a subscriber does not settle where its lane begins
 *   BUG_NOBEGIN      a publisher does not move `tail` up to `base` before its first push
 *   BUG_WORD         the slot's word is stored before its description
 *   BUG_REREAD       a subscriber reads the description after it has moved `tail`
 *   BUG_HELD         a subscriber says what it holds after it has moved `tail`
 *   BUG_LOOK         a publisher looks at what is held before it looks at `tail`
 *   BUG_FLOOR        a subscriber moves `floor` before it says that it holds the message
 *   BUG_COPY         what a publisher knows of a subscriber outlives the change of `version`
 *   BUG_RELEASED     a subscriber says that history is released which it has not taken
 *   BUG_NORESYNC     a subscriber that finds another number in a slot does not look at `tail`
 *   BUG_FREE         a chunk keeps its number when it becomes FREE
 *   BUG_ABSENT       a subscriber whose connection is lost is not `present` any more
 *   BUG_PASTEND      what is published after that end counts as queued too
 *   BUG_NOEND        pushes to one that is not active have no end: its queue is bounded by next_seq
 *   BUG_LATEEND      recovery moves next_seq before it settles where they ended
 *   BUG_ENDBEFORE    recovery says that they ended before a message that the lane has already
 *   BUG_INACTIVE     recovery pushes to those that are not active too
 *   BUG_PRESENT      `present` is stored before `active`
 *   BUG_TWICE        a subscriber that becomes inactive during a refresh is counted twice
 *   BUG_REJOIN       the next worker resets lanes that publishers have seen already
 *   BUG_NOFLOOR      a subscriber whose lane was not settled when it joined does not give up the
 *                    history that it was not promised
 *   BUG_HISTORY      what is promised follows what the slot's publisher keeps now
 *   BUG_ROTATES      more is promised than the publisher keeps
 *   BUG_GIVEN        recovery frees what was published
 */
#ifndef NP
#define NP 1            /* publisher slots, 1..2 */
#endif
#ifndef NS
#define NS 1            /* subscriber slots, 1..2 */
#endif
#ifndef CAP
#define CAP 1           /* queue depth */
#endif
#ifndef MSGS
#define MSGS 2          /* messages of slot 0, all its publishers together */
#endif
#ifndef MSGS1
#define MSGS1 MSGS      /* messages of slot 1 */
#endif
#ifndef HIST
#define HIST 0          /* what the first publishers keep */
#endif
#ifndef HNEW
#define HNEW HIST       /* what the next publishers of their slots keep */
#endif
#ifndef ASK
#define ASK HIST        /* what subscribers ask for */
#endif
#ifndef KEEP
#define KEEP 0          /* whether history stays when its publisher is gone */
#endif
#ifndef KILLS
#define KILLS 1         /* killed at most */
#endif
#ifndef PKILLS
#define PKILLS KILLS    /* publishers among them, at most */
#endif
#ifndef SKILLS
#define SKILLS KILLS    /* subscribers among them, at most */
#endif
#ifndef WKILLS
#define WKILLS 0        /* times that the runtime's worker is killed; the next one goes on */
#endif
#ifndef PNEW
#define PNEW 1          /* publishers that come when one has left or died, at most */
#endif
#ifndef SNEW
#define SNEW 1          /* the same for subscribers */
#endif
#ifndef LATE
#define LATE 0          /* bits of the subscribers that join after publishers have begun */
#endif
#ifndef CUTS
#define CUTS 0          /* subscribers that lose their connection and live on, at most */
#endif
#ifndef LATEOPENS
#define LATEOPENS 0     /* opens that do not wait for a publisher inside op, at most */
#endif
#ifndef FREES
#define FREES 0         /* chunks that publishers give back to the pool, at most */
#endif
#ifndef HINTS
#define HINTS 0         /* whether subscribers say `released`, and publishers believe it */
#endif
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#if ASK < HIST
#define PROMISE ASK
#else
#define PROMISE HIST
#endif
#if HIST > CAP
#define QUEUE HIST
#else
#define QUEUE CAP
#endif
#if CUTS > 0
#define LEFT CAP
#else
#define LEFT 0
#endif
#ifndef NC
/* What admission asks for: a loan, and for each subscriber a held one, history, what it left. */
#define NC (NP * (1 + QUEUE + NS * (1 + PROMISE) + LEFT))
#endif

#define BIT(s) (1 << (s))
#define CONTENT(p, n) ((p) * 32 + (n))

typedef lane_t {
	byte seq[CAP]; byte chunk[CAP];         /* one word */
	byte desc[CAP];                         /* the description: of this message */
	byte base, end, history;
	byte tail, floor, released
};
lane_t lane[NP * NS];
#define LANE(p, s) lane[(p) * NS + (s)]
byte held[NS];          /* CONTENT() of the message that is held, one at a time; 0: none */

byte owner[NC];         /* 0: FREE; 1 + p */
bit loaned[NC];
byte dseq[NC];          /* 0: none */
byte content[NC];       /* the payload: publisher slot and number */

byte actives, presents;
bit changed[NP], op[NP];
byte next_seq[NP], history[NP];

/* What the runtime alone knows. */
mtype = { NONE, JOINING, OPEN, INACTIVE, LEAVING };
mtype subscriber[NS];   /* recorded, like the next two: the next worker knows it */
bit publisher[NP], comes[NP];
bit pending[NS];        /* a grace period has begun, or what was to be done is done */
bit waits[NP * NS];
byte told[NP * NS];     /* the answer: the first message of history; 0: there is none */

bit plives[NP], slives[NS];
bit worker_killed;
byte kills, pkills, skills, pnew, snew, cuts, lateopens, frees;

#define OR_PUB_DIES(mortal) \
	if \
	:: true \
	:: mortal && kills < KILLS && pkills < PKILLS -> \
		kills++; pkills++; plives[p] = 0; goto gone \
	fi
#define OR_SUB_DIES \
	if \
	:: true \
	:: kills < KILLS && skills < SKILLS -> kills++; skills++; slives[s] = 0; goto gone \
	fi
#define STEP(access) atomic { access; OR_PUB_DIES(1) }

#if NS > 1
#define NO_GRACE_WAITS(p) waits[(p) * NS] = 0; waits[(p) * NS + 1] = 0
#else
#define NO_GRACE_WAITS(p) waits[p] = 0
#endif

/* --- lanes --- */

/* CAS from 0. */
#define settle_word(word, to) if :: word == 0 -> word = to :: else fi

/* zcp_lane_begin(). */
inline lane_begin(p, s) {
	if
	:: LANE(p, s).tail < LANE(p, s).base -> LANE(p, s).tail = LANE(p, s).base
	:: else
	fi
}

/* zcp_lane_push_out(), when the lane is full by a fresh copy of `tail`. */
inline push_out(p, s, n) {
	if
	:: LANE(p, s).tail == n - CAP -> LANE(p, s).tail = n - CAP + 1
	:: else                                                 /* it was taken */
	fi
}

/* zcp_lane_put(). */
inline put(p, s, n, c, mortal) {
#ifndef BUG_WORD
	atomic { LANE(p, s).desc[(n) % CAP] = n; OR_PUB_DIES(mortal) };
#endif
	atomic { LANE(p, s).seq[(n) % CAP] = n; LANE(p, s).chunk[(n) % CAP] = c; OR_PUB_DIES(mortal) };
#ifdef BUG_WORD
	atomic { LANE(p, s).desc[(n) % CAP] = n; OR_PUB_DIES(mortal) };
#endif
}

/* `tail` as it counts: between the end and what the lane can hold before it. */
#define BOUND(tail, e) ((tail) > (e) -> (e) : ((tail) + CAP < (e) -> (e) - CAP : (tail)))
#ifdef BUG_HISTORY
#define PROMISED(p, s) MIN(ASK, history[p])
#else
#define PROMISED(p, s) LANE(p, s).history
#endif
#ifdef BUG_PASTEND
#define IS_BEFORE(q, e) true
#else
#define IS_BEFORE(q, e) ((q) < (e))
#endif
#define IS_QUEUED(p, s, q, e) \
	((q) >= BOUND(LANE(p, s).tail, e) && (q) >= LANE(p, s).base && IS_BEFORE(q, e))
#define IS_PROMISED(p, s, q) \
	((q) < LANE(p, s).base && (q) + PROMISED(p, s) >= LANE(p, s).base && \
	 (q) >= LANE(p, s).floor)
#define IS_HELD(p, s, q) (held[s] == CONTENT(p, q))

/* zcp_stake_use(), for messages below `e`. */
inline look(p, s, q) {
#ifdef BUG_LOOK
	atomic { if :: IS_HELD(p, s, q) -> busy = 1 :: else fi };
#endif
	atomic { if :: IS_QUEUED(p, s, q, e) -> busy = 1 :: else fi };
	atomic { if :: IS_PROMISED(p, s, q) -> busy = 1 :: else fi };
#ifndef BUG_LOOK
	atomic { if :: IS_HELD(p, s, q) -> busy = 1 :: else fi }
#endif
}

/* --- publisher --- */

#ifdef BUG_NOEND
#define END(s) next_seq[p]
#else
#define END(s) (m & BIT(s) -> next_seq[p] : LANE(p, s).end)
#endif

inline refresh() {
	m = actives;
	do
	:: s < NS ->
		if
		:: m & BIT(s) ->
#ifndef BUG_PUBBASE
			STEP(settle_word(LANE(p, s).base, n));          /* refresh.after_base */
#endif
#ifndef BUG_NOBEGIN
			STEP(lane_begin(p, s));
#endif
			atomic {
				tail[s] = BOUND(LANE(p, s).base, n);
				if
				:: BOUND(LANE(p, s).tail, n) > tail[s] ->
					tail[s] = BOUND(LANE(p, s).tail, n)
				:: else
				fi
			}
		:: else
		fi;
#ifndef BUG_COPY
		below[s] = 0;
#endif
		s++
	:: else -> s = 0; break
	od;
	left = presents;
	atomic {
		left = left & ~actives;
#ifdef BUG_TWICE
		/* As many entries as there are slots. */
		if
		:: left == 3 && m != 0 -> left = 1
		:: else
		fi
#else
		left = left & ~m
#endif
	};
	do
	:: s < NS ->
		if
		:: left & BIT(s) -> STEP(settle_word(LANE(p, s).end, n))
		:: else
		fi;
		s++
	:: else -> s = 0; break
	od
}

inline see() {
	if
	:: atomic { changed[p] -> changed[p] = 0 };
		refresh()
	:: atomic { !changed[p] -> skip }
	fi
}

inline enter() {
	STEP(op[p] = 1);                                        /* loan.after_op, publish.after_op */
	see()
}

inline leave_op() {
	STEP(op[p] = 0; NO_GRACE_WAITS(p))                      /* publish.after_leave */
}

#define KNOWN(s) ((m | left) & BIT(s))
#define OLD(c) (dseq[c] + history[p] < next_seq[p])
#define USED(s, q) (KNOWN(s) && (IS_QUEUED(p, s, q, END(s)) || IS_PROMISED(p, s, q) || IS_HELD(p, s, q)))
#define GIVEN(s, q) (!KNOWN(s) || (q) < below[s])
#if NS > 1
#define IS_BACK(c) (!USED(0, dseq[c]) && !USED(1, dseq[c]))
#define IS_GIVEN(c) (GIVEN(0, dseq[c]) && GIVEN(1, dseq[c]))
#else
#define IS_BACK(c) (!USED(0, dseq[c]))
#define IS_GIVEN(c) (GIVEN(0, dseq[c]))
#endif
#define IS_PUBLISHED(c) (owner[c] == 1 + p && !loaned[c] && dseq[c] != 0)
#define IS_SPARE(c) (owner[c] == 1 + p && !loaned[c] && dseq[c] == 0)

/* There is a chunk, at this moment. */
inline check_room() {
	atomic {
		c = 0;
		do
		:: c < NC && (owner[c] == 0 || IS_SPARE(c) || (IS_PUBLISHED(c) && OLD(c) && IS_BACK(c))) -> break
		:: c < NC && !(owner[c] == 0 || IS_SPARE(c) || (IS_PUBLISHED(c) && OLD(c) && IS_BACK(c))) -> c++
		:: c == NC -> break
		od;
		assert(c < NC);
		c = 0
	}
}

#ifdef BUG_FREE
#define FREE_SEQ(c) skip
#else
#define FREE_SEQ(c) dseq[c] = 0
#endif

/* A published chunk that is not history. */
#define CANDIDATE(i) atomic { i < NC && IS_PUBLISHED(i) && OLD(i) -> c = i }

inline loan() {
	enter();
	check_room();
choose:	if
	:: CANDIDATE(0)
	:: CANDIDATE(1)
	:: CANDIDATE(2)
#if NC > 3
	:: CANDIDATE(3)
#endif
#if NC > 4
	:: CANDIDATE(4)
#endif
#if NC > 5
	:: CANDIDATE(5)
#endif
#if NC > 6
	:: CANDIDATE(6)
#endif
#if NC > 7
	:: CANDIDATE(7)
#endif
	:: atomic {                                             /* the first FREE one, or a spare one */
		c = 0;
		do
		:: c < NC && owner[c] != 0 && !IS_SPARE(c) -> c++
		:: else -> break
		od;
		if
		:: c == NC -> c = 0; goto choose
		:: else
		fi
	}
	fi;
	if
	:: owner[c] == 1 + p && dseq[c] != 0 ->
		if
		:: HINTS && IS_GIVEN(c)
		:: !(HINTS && IS_GIVEN(c)) ->
			do
			:: s < NS -> if :: KNOWN(s) -> e = END(s); look(p, s, dseq[c]) :: else fi; s++
			:: else -> s = 0; break
			od
		fi;
		e = 0;
		if
		:: busy ->
			busy = 0;
#if HINTS
			do
			:: s < NS ->
				atomic {
					if
					:: KNOWN(s) && LANE(p, s).released > below[s] ->
						below[s] = MIN(LANE(p, s).released, n)
					:: else
					fi
				};
				s++
			:: else -> s = 0; break
			od;
#endif
			atomic { c = 0; goto choose }
		:: else
		fi;
#if FREES
		if
		:: frees < FREES ->                             /* more than rotate */
			atomic { frees++; FREE_SEQ(c); OR_PUB_DIES(1) };
			STEP(owner[c] = 0);                     /* loan.after_free */
			atomic { c = 0; goto choose }
		:: true
		fi;
#endif
		STEP(loaned[c] = 1)                             /* L2: loan.after_claim */
	:: owner[c] == 1 + p && dseq[c] == 0 -> STEP(loaned[c] = 1)
	:: owner[c] != 1 + p ->
		atomic {                                        /* CAS */
			if
			:: owner[c] == 0 -> owner[c] = 1 + p; loaned[c] = 1; OR_PUB_DIES(1)
			:: else -> c = 0; goto choose
			fi
		}
	fi;
	STEP(dseq[c] = 0);                                      /* L3: loan.after_seq */
	leave_op();
	STEP(content[c] = CONTENT(p, n))
}

/* Step 4, one lane. */
inline push(p, s, n, c) {
	if
	:: n >= tail[s] + CAP ->
		atomic {
			if
			:: BOUND(LANE(p, s).tail, n) > tail[s] -> tail[s] = BOUND(LANE(p, s).tail, n)
			:: else
			fi
		};
		if
		:: n >= tail[s] + CAP ->
			atomic {                                /* publish.after_drop */
				if
				:: LANE(p, s).tail == n - CAP && below[s] == tail[s] && HINTS ->
					below[s]++
				:: else
				fi;
				push_out(p, s, n);
				tail[s] = n - CAP + 1;
				OR_PUB_DIES(1)
			}
		:: else
		fi
	:: else
	fi;
	put(p, s, n, c, 1)                                      /* publish.after_push */
}

proctype Pub(byte p) {
	byte n, c, m, left, s, e; byte tail[NS], below[NS]; bit busy;
begin:
	atomic {
		n = next_seq[p]; m = 0; left = 0;
		tail[0] = 0; below[0] = 0;
#if NS > 1
		tail[1] = 0; below[1] = 0;
#endif
		changed[p] = 1
	};
	do
	:: n <= (p == 0 -> MSGS : MSGS1) -> goto publish;
published:	n++
	:: break
	od;
	plives[p] = 0;                                          /* closes */
gone:
end:	atomic { plives[p] -> s = 0; busy = 0; c = 0; e = 0; goto begin };

publish:
	loan();
#ifdef BUG_OUTSIDE
	see();
	STEP(op[p] = 1);                                        /* 1: publish.after_op */
#else
	enter();
#endif
	STEP(dseq[c] = n);                                      /* 3: publish.after_seq */
#ifdef BUG_ORDER
	STEP(next_seq[p] = n + 1);
#endif
	do                                                      /* 4 */
	:: s < NS -> if :: m & BIT(s) -> push(p, s, n, c) :: else fi; s++
	:: else -> s = 0; break
	od;
#ifndef BUG_ORDER
	STEP(next_seq[p] = n + 1);                              /* 5: publish.after_next_seq */
#endif
	STEP(loaned[c] = 0);                                    /* 6: publish.after_unloan */
	c = 0;
	leave_op();                                             /* 7 */
	goto published
}

/* --- subscriber --- */

/* The chunk of a promised message, and its payload. */
inline check_history(p, q) {
	c = 0; got = 0;
	do
	:: c < NC ->
		if
		:: owner[c] == 1 + p && dseq[c] == q && content[c] == CONTENT(p, q) -> got = 1
		:: else
		fi;
		c++
	:: else -> break
	od;
	assert(got);
	got = 0; c = 0
}

#if HINTS
#define say_released(p, to) \
	if \
	:: LANE(p, s).released != to -> atomic { LANE(p, s).released = to; OR_SUB_DIES } \
	:: true \
	fi
#else
#define say_released(p, to) skip
#endif

#ifdef BUG_RELEASED
#define RELEASED r[p]
#else
#define RELEASED MIN(LANE(p, s).floor, r[p])
#endif

inline take_history(p) {
	do
	:: r[p] != 0 && LANE(p, s).floor < LANE(p, s).base ->
		say_released(p, RELEASED);
		q = LANE(p, s).floor;
#ifdef BUG_FLOOR
		atomic { LANE(p, s).floor = q + 1; OR_SUB_DIES };
		atomic { held[s] = CONTENT(p, q); OR_SUB_DIES };
#else
		atomic { held[s] = CONTENT(p, q); OR_SUB_DIES };        /* history.after_held */
		atomic { LANE(p, s).floor = q + 1; OR_SUB_DIES };       /* history.after_floor */
#endif
		atomic { check_history(p, q) };
		atomic { check_history(p, q); held[s] = 0; q = 0; OR_SUB_DIES }
	:: else -> break
	od
}

/* Something to do on a lane: it begins, has the next message, or has lost it. */
#ifdef BUG_NORESYNC
#define HAS_MOVED(p) false
#else
#define HAS_MOVED(p) (LANE(p, s).tail > r[p])
#endif
#define IS_READY(p) \
	((r[p] == 0 && LANE(p, s).base != 0) || \
	 (r[p] != 0 && (LANE(p, s).seq[r[p] % CAP] == r[p] || HAS_MOVED(p))))

#define ARM(p) \
	atomic { r[p] != 0 && LANE(p, s).released != r[p] -> LANE(p, s).released = r[p]; OR_SUB_DIES }

inline take_lane() {
	say_released(p, r[p]);
	atomic { q = LANE(p, s).seq[r[p] % CAP]; c = LANE(p, s).chunk[r[p] % CAP] };
	if
	:: q != r[p] -> atomic { if :: HAS_MOVED(p) -> r[p] = LANE(p, s).tail :: else fi }
	:: q == r[p] ->
#ifndef BUG_REREAD
		d = LANE(p, s).desc[r[p] % CAP];
#endif
#ifndef BUG_HELD
		atomic { held[s] = CONTENT(p, r[p]); OR_SUB_DIES };     /* take.after_held */
#endif
		atomic {                                                /* take.after_tail */
			if
			:: LANE(p, s).tail == r[p] -> LANE(p, s).tail = r[p] + 1; got = 1
			:: else
			fi;
			OR_SUB_DIES
		};
#ifdef BUG_HELD
		atomic { held[s] = CONTENT(p, r[p]); OR_SUB_DIES };
#endif
#ifdef BUG_REREAD
		d = LANE(p, s).desc[r[p] % CAP];
#endif
		if
		:: got ->
			atomic { assert(d == r[p] && content[c] == CONTENT(p, r[p])) };
			atomic {                                        /* release.after_clear */
				assert(content[c] == CONTENT(p, r[p]) && dseq[c] == r[p]);
				held[s] = 0; r[p]++;
				OR_SUB_DIES
			}
		:: else ->
			atomic { held[s] = 0; OR_SUB_DIES };            /* take.after_clear */
			atomic { r[p] = LANE(p, s).tail }
		fi
	fi
}

proctype Sub(byte s) {
	byte r[NP]; byte p, q, c, d; bit got;
gone:
end:	atomic {
		slives[s] ->
			p = 0; q = 0; c = 0; d = 0; got = 0;
			r[0] = 0;
#if NP > 1
			r[1] = 0;
#endif
			OR_SUB_DIES
	};
	do                                                      /* zcp_reader_begin_history() */
	:: p < NP ->
		r[p] = LANE(p, s).base;
		if
		:: r[p] != 0 ->
			atomic { lane_begin(p, s); OR_SUB_DIES };
			atomic {
				LANE(p, s).floor = (told[p * NS + s] -> told[p * NS + s] : r[p]);
				OR_SUB_DIES
			}
		:: else
		fi;
		told[p * NS + s] = 0;
		p++
	:: else -> p = 0; break
	od;
	take_history(0);
#if NP > 1
	take_history(1);
#endif
end_idle:
	do
	:: atomic {
		if
		:: IS_READY(0) -> p = 0
#if NP > 1
		:: IS_READY(1) -> p = 1
#endif
		fi
	};
		if
		:: r[p] == 0 ->                                 /* begin_lane() */
			atomic { lane_begin(p, s); OR_SUB_DIES };
			r[p] = LANE(p, s).base;
#ifndef BUG_NOFLOOR
			atomic { LANE(p, s).floor = LANE(p, s).base; OR_SUB_DIES }
#endif
		:: else -> take_lane()
		fi;
		atomic { q = 0; c = 0; d = 0; p = 0; got = 0 }
#if HINTS
	:: ARM(0)                                               /* zcp_reader_arm() */
#if NP > 1
	:: ARM(1)
#endif
#endif
	od
}

/* --- runtime --- */

#define IS_ACTIVE(s) (subscriber[s] == OPEN || subscriber[s] == JOINING)
#define IS_MEMBER(s) (actives & BIT(s))

inline free_chunk(c) {
	FREE_SEQ(c);
	atomic { owner[c] = 0; loaned[c] = 0 }
}

/* While no publisher can be in the slot. */
inline settle_slot(p) {
	do
	:: s < NS ->
		if
		:: subscriber[s] == NONE || subscriber[s] == LEAVING || (IS_ACTIVE(s) && !IS_MEMBER(s))
		:: else ->
			atomic { settle_word(LANE(p, s).base, next_seq[p]) };   /* settle.after_base */
			atomic { lane_begin(p, s) };
			if
			:: !IS_ACTIVE(s) -> atomic { settle_word(LANE(p, s).end, next_seq[p]) }
			:: else
			fi
		fi;
		s++
	:: else -> s = 0; break
	od
}

/* What the dead publisher was publishing, to a lane that lacks it. */
inline recover_push(p, s) {
	atomic { settle_word(LANE(p, s).base, q) };
	atomic { lane_begin(p, s) };
	if
	:: LANE(p, s).seq[q % CAP] == q || LANE(p, s).base > q
	:: else ->
		atomic {                                        /* recover.after_drop */
			if :: q >= BOUND(LANE(p, s).tail, q) + CAP -> push_out(p, s, q) :: else fi
		};
		put(p, s, q, c, 0)                              /* recover.after_push */
	fi
}

#ifdef BUG_ENDBEFORE
#define HAS(p, s, q) false
#else
#define HAS(p, s, q) (LANE(p, s).seq[q % CAP] == q)
#endif

inline finish_publish(p) {
#ifdef BUG_LATEEND
	next_seq[p] = q + 1;
#endif
	do
	:: s < NS ->
		if
#ifdef BUG_INACTIVE
		:: subscriber[s] == INACTIVE -> recover_push(p, s)
#elif defined(BUG_LATEEND)
		:: subscriber[s] == INACTIVE
#else
		:: subscriber[s] == INACTIVE ->
			i = (HAS(p, s, q) -> q + 1 : q);
			atomic { settle_word(LANE(p, s).end, i) };
			i = 0
#endif
		:: IS_ACTIVE(s) && IS_MEMBER(s) -> recover_push(p, s)
		:: else
		fi;
		s++
	:: else -> s = 0; break
	od;
#ifndef BUG_LATEEND
	next_seq[p] = q + 1                                     /* recover.after_next_seq */
#endif
}

/* count_kept(). */
inline set_kept(p) {
#if KEEP
	atomic {
		q = 0;
		do
		:: q < history[p] && next_seq[p] > q + 1 ->
			find(p, next_seq[p] - q - 1);
			if :: busy -> busy = 0; q++ :: else -> break fi
		:: else -> break
		od;
		history[p] = q;
		q = 0
	}
#else
	history[p] = 0
#endif
}

/* zcpd_history_find(), into `busy`. */
inline find(p, number) {
	i = 0;
	do
	:: i < NC ->
		if
		:: owner[i] == 1 + p && !loaned[i] && dseq[i] == number -> busy = 1; break
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline recover(p) {
	do
	:: c < NC ->
		if
		:: owner[c] == 1 + p ->
			q = dseq[c];
			if
			:: loaned[c] && q != 0 && q == next_seq[p] && op[p] -> finish_publish(p)
			:: else
			fi;
			if
#ifdef BUG_GIVEN
			:: q == 0 || q >= next_seq[p] || loaned[c] -> free_chunk(c)
#else
			:: q == 0 || q >= next_seq[p] -> free_chunk(c)
			:: q != 0 && q < next_seq[p] && loaned[c] -> loaned[c] = 0
#endif
			:: else
			fi;                                     /* recover.after_chunk */
			q = 0
		:: else
		fi;
		c++
	:: else -> c = 0; break
	od;
	set_kept(p);
	settle_slot(p);
	atomic { op[p] = 0; NO_GRACE_WAITS(p) };                /* recover.after_op */
	atomic {
		publisher[p] = 0;
		if
		:: pnew < PNEW -> pnew++; comes[p] = 1
		:: true
		fi
	}
}

/* The next publisher of the slot. */
inline give_slot(p) {
	settle_slot(p);
	history[p] = HNEW;
	atomic { comes[p] = 0; publisher[p] = 1; plives[p] = 1 }
}

/* What publishers that are gone have left and no subscriber uses. */
inline sweep() {
	do
	:: c < NC ->
		if
		:: owner[c] != 0 && !publisher[owner[c] - 1] ->
			p = owner[c] - 1;
			q = dseq[c];
			do
			:: s < NS && subscriber[s] != NONE && subscriber[s] != LEAVING ->
				e = (IS_ACTIVE(s) || LANE(p, s).end == 0 -> next_seq[p] : LANE(p, s).end);
				look(p, s, q);
				s++
			:: s < NS && (subscriber[s] == NONE || subscriber[s] == LEAVING) -> s++
			:: s == NS -> s = 0; break
			od;
			if
			:: q == 0 || (!busy && q + history[p] < next_seq[p]) -> free_chunk(c)
			:: else
			fi;
			busy = 0; p = 0; q = 0; e = 0
		:: else
		fi;
		c++
	:: else -> c = 0; break
	od
}

#if NP > 1
#define BUMP atomic { changed[0] = 1; changed[1] = 1 }
#else
#define BUMP changed[0] = 1
#endif

inline begin_grace(s) {
	do
	:: p < NP ->
#ifndef BUG_NOGRACE
		waits[p * NS + s] = publisher[p] && op[p];
#endif
		p++
	:: else -> p = 0; break
	od;
	pending[s] = 1
}

/* Nobody looks at the lane: in one step. */
inline reset_lane(p, s) {
	atomic {
		do
		:: i < CAP ->
			LANE(p, s).seq[i] = 0; LANE(p, s).chunk[i] = 0; LANE(p, s).desc[i] = 0;
			i++
		:: else -> i = 0; break
		od;
		LANE(p, s).base = 0; LANE(p, s).end = 0;
#ifdef BUG_START
		LANE(p, s).base = next_seq[p];
#endif
#ifdef BUG_ROTATES
		LANE(p, s).history = ASK;
#else
		LANE(p, s).history = MIN(ASK, history[p]);
#endif
		LANE(p, s).tail = next_seq[p]; LANE(p, s).floor = 1; LANE(p, s).released = 1;
		told[p * NS + s] = 0
	}
}

#ifdef BUG_NORESET
#define RESET(p, s) skip
#else
#define RESET(p, s) reset_lane(p, s)
#endif

inline join(s) {
	if
#ifdef BUG_REJOIN
	:: true ->
#else
	:: !IS_MEMBER(s) ->
#endif
		held[s] = 0;
		do
		:: p < NP -> RESET(p, s); p++
		:: else -> p = 0; break
		od                                              /* join.after_lanes */
#ifndef BUG_REJOIN
	:: else
#endif
	fi;
#ifdef BUG_VERSION
	BUMP;
#endif
#ifdef BUG_PRESENT
	presents = presents | BIT(s);
	actives = actives | BIT(s);
#else
	actives = actives | BIT(s);
	presents = presents | BIT(s);
#endif
#ifndef BUG_VERSION
	BUMP;
#endif
	begin_grace(s)                                          /* join.after_active */
}

inline settle_lane(p, s) {
	q = next_seq[p];
	atomic { settle_word(LANE(p, s).base, q); q = LANE(p, s).base };        /* join.after_base */
	atomic { lane_begin(p, s) };                            /* join.after_tail */
	atomic {
		do
		:: q > 1 && LANE(p, s).base - q < LANE(p, s).history ->
			find(p, q - 1);
			if :: busy -> busy = 0; q-- :: else -> break fi
		:: else -> break
		od;
		/* What its only publisher keeps is there. */
		assert(!plives[p] || pnew > 0 || q == 1 || LANE(p, s).base - q == LANE(p, s).history)
	};
	LANE(p, s).floor = q;                                   /* join.after_floor */
	q = 0
}

/* After the grace period, or when it takes too long. */
inline settle(s) {
	do
	:: p < NP -> if :: !waits[p * NS + s] -> settle_lane(p, s) :: else fi; p++
	:: else -> p = 0; break
	od;
	subscriber[s] = OPEN;                                   /* join.after_open */
	atomic {
		do
		:: p < NP ->
			waits[p * NS + s] = 0;
			/* zcpd_history_backlog(): the first one that is promised and there. */
			q = LANE(p, s).floor;
			do
			:: q < LANE(p, s).base ->
				if
				:: q + LANE(p, s).history >= LANE(p, s).base -> find(p, q)
				:: else
				fi;
				if :: busy -> told[p * NS + s] = q; busy = 0; break :: else -> q++ fi
			:: else -> break
			od;
			q = 0;
			p++
		:: else -> p = 0; break
		od;
		slives[s] = 1
	}
}

inline leave(s) {
#ifdef BUG_VERSION
	BUMP;
#endif
	actives = actives & ~BIT(s);
	presents = presents & ~BIT(s);                            /* leave.after_inactive */
#ifndef BUG_VERSION
	BUMP;
#endif
	begin_grace(s)
}

/* Its connection is lost. */
inline deactivate(s) {
	actives = actives & ~BIT(s);
#ifdef BUG_ABSENT
	presents = presents & ~BIT(s);
#endif
	BUMP;
	do
	:: p < NP -> if :: !publisher[p] -> settle_slot(p) :: else fi; p++
	:: else -> p = 0; break
	od;
	pending[s] = 1
}

/* The runtime does at once what it has recorded; the next worker begins with that. */
#define IS_UNDONE(s) ((subscriber[s] == INACTIVE || subscriber[s] == LEAVING) && !pending[s])
#if NS > 1
#define DONE (!IS_UNDONE(0) && !IS_UNDONE(1))
#else
#define DONE (!IS_UNDONE(0))
#endif
#define PUBLISHER(p) \
	publisher[p] && !plives[p] && DONE -> recover(p) \
	:: comes[p] && DONE -> give_slot(p)
#if NP > 1
#define OVER(s) (!waits[s] && !waits[NS + (s)])
#else
#define OVER(s) (!waits[s])
#endif
#define SUBSCRIBER(x) \
	atomic { (subscriber[x] == OPEN || subscriber[x] == INACTIVE) && !slives[x] -> \
		subscriber[x] = LEAVING; pending[x] = 0 } \
	:: atomic { subscriber[x] == OPEN && cuts < CUTS -> \
		cuts++; subscriber[x] = INACTIVE; pending[x] = 0 } \
	:: subscriber[x] == INACTIVE && !pending[x] -> deactivate(x) \
	:: subscriber[x] == JOINING && !pending[x] -> join(x) \
	:: subscriber[x] == JOINING && pending[x] && OVER(x) -> settle(x) \
	:: atomic { subscriber[x] == JOINING && pending[x] && !OVER(x) && lateopens < LATEOPENS -> \
		lateopens++ }; settle(x) \
	:: atomic { subscriber[x] == JOINING && kills < KILLS && skills < SKILLS -> \
		kills++; skills++; subscriber[x] = LEAVING; pending[x] = 0 } \
	:: subscriber[x] == LEAVING && !pending[x] -> leave(x) \
	:: subscriber[x] == LEAVING && pending[x] && OVER(x) -> \
		atomic { \
			pending[x] = 0; \
			if \
			:: snew < SNEW -> snew++; subscriber[x] = JOINING \
			:: true -> subscriber[x] = NONE \
			fi \
		}; \
		sweep()

proctype Runtime() {
	byte p, s, c, i, q, e; bit busy;
resume:
	{
		do
		:: PUBLISHER(0)
		:: SUBSCRIBER(0)
#if NP > 1
		:: PUBLISHER(1)
#endif
#if NS > 1
		:: SUBSCRIBER(1)
#endif
		:: timeout -> break                             /* all is quiet */
		od
	} unless {
		atomic {
			worker_killed ->
				worker_killed = 0;
				p = 0; s = 0; c = 0; i = 0; q = 0; e = 0; busy = 0;
				do
				:: i < NS -> pending[i] = 0; i++
				:: else -> i = 0; break
				od;
				do
				:: i < NP * NS -> waits[i] = 0; i++
				:: else -> i = 0; break
				od;
				goto resume
		}
	};
gone:
	sweep();
	atomic {
		do
		:: c < NC ->
			assert(owner[c] == 0 ||
			       dseq[c] + history[owner[c] - 1] >= next_seq[owner[c] - 1]);
			c++
		:: else -> break
		od;
		do
		:: s < NS ->
			assert(subscriber[s] != JOINING && subscriber[s] != LEAVING);
			p = 0;
			do
			:: p < NP ->
				assert(subscriber[s] != OPEN || LANE(p, s).tail == next_seq[p]);
				assert(subscriber[s] != INACTIVE || LANE(p, s).tail == LANE(p, s).end);
				p++
			:: else -> break
			od;
			s++
		:: else -> break
		od
	}
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
		:: i < NP ->
			next_seq[i] = 1; history[i] = HIST; publisher[i] = 1; plives[i] = 1;
			run Pub(i);
			i++
		:: else -> i = 0; break
		od;
		do
		:: i < NP * NS ->
			lane[i].tail = 1; lane[i].floor = 1; lane[i].base = 1; lane[i].released = 1;
			i++
		:: else -> i = 0; break
		od;
		do
		:: i < NS ->
			if
			:: LATE & BIT(i) -> subscriber[i] = JOINING
			:: else ->
				subscriber[i] = OPEN; slives[i] = 1;
				actives = actives | BIT(i); presents = presents | BIT(i)
			fi;
			run Sub(i);
			i++
		:: else -> break
		od;
		run Runtime();
#if WKILLS > 0
		run Killer()
#endif
	}
}
