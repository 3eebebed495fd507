/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane under crashes: claim, publish, take, release, joining and leaving, and what
 * the runtime does after a death. Publishers share a pool. Every access to shared memory is one
 * step, and a publisher or subscriber may be killed after each. Numbers are the steps of a
 * publish in pubsub/flow/writer.h.
 *
 * Checked: what a subscriber has taken is the message that its lane announced and does not
 * change while it is held (assert in Sub); a dead publisher is nobody's owner (assert in
 * recover()); once every death is settled and every lane is drained, every chunk is free
 * (assert in Runtime), so that nothing has leaked and no message was left lying in a lane.
 *
 *   spin -a [-DNP=1 -DNS=1 ...] dataplane.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000
 *
 * Each -DBUG_ breaks one rule, and the check must then fail; those marked * need
 * -DNP=2 -DMSGS1=1 -DKILLS=0 -DPNEW=0 -DSNEW=0, and BUG_START needs -DCAP=2 -DNC=4:
 *
 *   BUG_ORDER      step 7 before step 6
 *   BUG_HOLDERS    step 4 before step 3
 *   BUG_NODROPPED  a push does not say that it pushed something out
 *   BUG_CLAIM *    a claim looks at the holders before it looks at the state
 *   BUG_OUTSIDE    the membership is read before step 1
 *   BUG_VERSION    the runtime changes `version` before `members`
 *   BUG_NOGRACE    no grace period
 *   BUG_START      where a subscriber begins is settled before publishers see it
 *   BUG_NORESET    lanes are not reset for the next subscriber
 *   BUG_NOFORMER   recovery looks at the dead publisher's chunks only, not at those that
 *                  former ones of its slot have left: with its last push it may have pushed
 *                  out one of these
 *   BUG_NOSECOND * recovery does not look at `state` again after `holders`: a free chunk may
 *                  have been claimed and published by somebody else
 */
#ifndef NP
#define NP 1            /* publisher slots, 1..2 */
#endif
#ifndef NS
#define NS 1            /* subscriber slots, 1..2 */
#endif
#ifndef NC
#define NC 3            /* chunks, 2..7; NP * (CAP * NS + 1) + NS is enough without SPARE */
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
#ifndef KILLS
#define KILLS 1         /* killed at most */
#endif
#ifndef PKILLS
#define PKILLS KILLS    /* publishers among them, at most */
#endif
#ifndef SKILLS
#define SKILLS KILLS    /* subscribers among them, at most */
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
#ifndef CUTS
#define CUTS 0          /* subscribers that become inactive because their socket closes */
#endif
/* -DSPARE: each publisher has a second chunk on loan that it never publishes */
/* -DWORDS: every subscriber's bit lies in a word of its own, and step 4 is a store for each */

/* A publisher slot's two owner numbers: of the one it has, and of those that it had. */
#define LIVING(p) (1 + 2 * (p))
#define FORMER(p) (2 + 2 * (p))
#define BIT(s) (1 << (s))

typedef slot_t { byte seq; bit live; bit dropped; byte chunk };
typedef lane_t { slot_t slot[CAP] };
lane_t lane[NP * NS];
#define LANE(p, s) lane[(p) * NS + (s)]
#define SLOT(p, s, n) LANE(p, s).slot[(n) % CAP]

/* The descriptors: three fields of one word `state`; seq; holders. */
bit loaned[NC]; byte owner[NC]; byte gen[NC];
byte dseq[NC];
byte holders[NC];
byte content[NC];       /* the payload: publisher slot and number */
#define FREE(i) (!loaned[i] && holders[i] == 0)
#define CONTENT(p, n) ((p) * 32 + (n))
#define STATE_IS(c, l, g, o) (loaned[c] == (l) && gen[c] == (g) && owner[c] == (o))

byte members, version;
byte op[NP], next_seq[NP];

/* What the runtime alone knows: who is there, and whom a grace period waits for. */
mtype = { NONE, JOINING, OPEN, INACTIVE, LEAVING };
bit publisher[NP];
mtype subscriber[NS];
bit rejoins[NS];
bit waits[NP * NS];
byte waits_op[NP * NS];
byte start[NP * NS];    /* told to the subscriber: the first number that is sent to it */

bit plives[NP], slives[NS];
bit worker_killed;
byte kills, pkills, skills, pnew, snew, cuts;

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

#ifdef BUG_NODROPPED
#define DROPPED 0
#else
#define DROPPED 1
#endif

/* Step 5, of a publisher or in a dead one's name. */
inline push(p, s, n, c, mortal) {
	atomic { there = SLOT(p, s, n).live; old = SLOT(p, s, n).chunk };
	if
	:: there ->
		atomic {                                        /* CAS */
			if
			:: SLOT(p, s, n).live ->
				SLOT(p, s, n).seq = n; SLOT(p, s, n).chunk = c;
				SLOT(p, s, n).dropped = DROPPED
			:: else -> there = 0                     /* taken this moment */
			fi;
			OR_PUB_DIES(mortal)
		}
	:: else
	fi;
	if
	:: there -> atomic { holders[old] = holders[old] & ~BIT(s); old = 0; OR_PUB_DIES(mortal) }
	:: else ->
		atomic {
			SLOT(p, s, n).seq = n; SLOT(p, s, n).chunk = c;
			SLOT(p, s, n).live = 1; SLOT(p, s, n).dropped = 0;
			old = 0;
			OR_PUB_DIES(mortal)
		}
	fi;
	there = 0
}

/* Looking at a chunk that is not free leads nowhere: not modelled. */
#ifdef BUG_CLAIM
#define LOOK(i) atomic { holders[i] == 0 -> c = i }
#else
#define LOOK(i) atomic { FREE(i) -> c = i; g = gen[i]; o = owner[i] }
#endif

/* The payload is written with the claim: later would only be better for the readers. */
inline claim() {
	do
	:: true ->
		if
		:: LOOK(0)
		:: LOOK(1)
#if NC > 2
		:: LOOK(2)
#endif
#if NC > 3
		:: LOOK(3)
#endif
#if NC > 4
		:: LOOK(4)
#endif
#if NC > 5
		:: LOOK(5)
#endif
#if NC > 6
		:: LOOK(6)
#endif
		fi;
#ifdef BUG_CLAIM
		atomic { g = gen[c]; o = owner[c] };
#else
		has = holders[c] != 0;
#endif
		atomic {                                        /* CAS */
			if
			:: !has && STATE_IS(c, 0, g, o) ->
				loaned[c] = 1; gen[c] = g + 1; owner[c] = LIVING(p);
				content[c] = CONTENT(p, n);
				g = 0; o = 0;
				OR_PUB_DIES(1);
				break
			:: else -> g = 0; o = 0; has = 0
			fi
		}
	od;
	STEP(dseq[c] = 0)
}

proctype Pub(byte p) {
	byte n, c, g, o, m, seen, s, old; bit has, there;
begin:
	atomic { n = next_seq[p]; seen = 255; m = 0 };
#ifdef SPARE
	claim();
#endif
	do
	:: n <= (p == 0 -> MSGS : MSGS1) ->
		goto publish;
published:	n++
	:: break
	od;
	plives[p] = 0;                                          /* leaves, with its loans */
gone:
end:	atomic { plives[p] -> s = 0; old = 0; there = 0; c = 0; g = 0; o = 0; goto begin };

publish:
	claim();
#ifndef BUG_OUTSIDE
	STEP(op[p]++);                                          /* 1 */
#endif
	if
	:: atomic { version != seen -> seen = version };
		m = members
	:: atomic { version == seen -> skip }
	fi;
#ifdef BUG_OUTSIDE
	STEP(op[p]++);
#endif
#ifndef BUG_HOLDERS
	STEP(dseq[c] = n);                                      /* 3 */
#endif
#ifdef WORDS
	STEP(holders[c] = m & BIT(0));                          /* 4 */
	if :: m & ~BIT(0) -> STEP(holders[c] = holders[c] | (m & ~BIT(0))) :: else fi;
#else
	STEP(holders[c] = m);                                   /* 4 */
#endif
#ifdef BUG_HOLDERS
	STEP(dseq[c] = n);
#endif
	do                                                      /* 5 */
	:: s < NS -> if :: m & BIT(s) -> push(p, s, n, c, 1) :: else fi; s++
	:: else -> s = 0; break
	od;
#ifdef BUG_ORDER
	STEP(loaned[c] = 0);
#endif
	STEP(next_seq[p] = n + 1);                              /* 6 */
#ifndef BUG_ORDER
	STEP(loaned[c] = 0);                                    /* 7 */
#endif
	STEP(op[p]++);                                          /* 8 */
	goto published
}

proctype Sub(byte s) {
	byte r[NP]; byte p, i, q, c; bit live;
gone:
end:	atomic { slives[s] -> p = 0; i = 0; q = 0; c = 0; live = 0; OR_SUB_DIES };
	do                                                      /* the first look at each lane */
	:: p < NP ->
		r[p] = start[p * NS + s];
		do
		:: i < CAP ->
			atomic {
				if
				:: LANE(p, s).slot[i].live && LANE(p, s).slot[i].seq < r[p] ->
					r[p] = LANE(p, s).slot[i].seq
				:: else
				fi;
				i++
			}
		:: else -> i = 0; break
		od;
		p++
	:: else -> p = 0; break
	od;
end_idle:
	do
	:: atomic {
		if
		:: SLOT(0, s, r[0]).seq >= r[0] -> p = 0
#if NP > 1
		:: SLOT(1, s, r[1]).seq >= r[1] -> p = 1
#endif
		fi;
		q = SLOT(p, s, r[p]).seq; live = SLOT(p, s, r[p]).live; c = SLOT(p, s, r[p]).chunk
	};
		atomic {
			if
			:: q > r[p] ->                          /* lost some */
				r[p] = (q >= r[p] + CAP -> q - CAP + 1 : r[p] + 1); live = 0
			:: q == r[p] && live ->                 /* CAS */
				if
				:: SLOT(p, s, q).seq == q -> SLOT(p, s, q).live = 0; r[p]++
				:: else -> live = 0
				fi
			fi;
			OR_SUB_DIES
		};
		if
		:: live ->                                      /* holds it; releases it */
			atomic {
				assert(content[c] == CONTENT(p, q) && dseq[c] == q);
				assert(holders[c] & BIT(s));
				holders[c] = holders[c] & ~BIT(s);
				q = 0; c = 0; live = 0; p = 0;
				OR_SUB_DIES
			}
		:: else -> atomic { q = 0; c = 0; p = 0 }
		fi
	od
}

#ifdef BUG_NOSECOND
#define SAME true
#else
#define SAME STATE_IS(c, l, g, o)
#endif

/* What the dead publisher may have left undone between chunk c and subscriber s. */
inline recover_lane(p) {
	q = dseq[c];
	atomic { w = SLOT(p, s, q).seq; dropped = SLOT(p, s, q).dropped };
	has = (holders[c] >> s) & 1;
	if
	:: !(SAME)
	:: SAME && l && inside && w == q -> pushed = 1
	:: SAME && l && inside && w < q && has ->
		if
		:: subscriber[s] == OPEN || subscriber[s] == JOINING ->
			push(p, s, q, c, 0);
			pushed = 1
		:: else -> holders[c] = holders[c] & ~BIT(s)
		fi
	:: SAME && has && w == q + CAP && dropped -> holders[c] = holders[c] & ~BIT(s)
	:: else
	fi
}

#ifdef BUG_NOFORMER
#define HEIR(p) 0
#else
#define HEIR(p) FORMER(p)
#endif

inline recover(p) {
	inside = op[p] % 2;
	do
	:: c < NC ->
		atomic { l = loaned[c]; g = gen[c]; o = owner[c] };
		if
		:: o == LIVING(p) || o == FORMER(p) ->
			do
			:: s < NS -> if :: subscriber[s] != NONE -> recover_lane(p) :: else fi; s++
			:: else -> break
			od;
			q = dseq[c];
			if :: pushed && next_seq[p] <= q -> next_seq[p] = q + 1 :: else fi;
			atomic {                                /* CAS */
				if
				:: STATE_IS(c, l, g, o) -> loaned[c] = 0; owner[c] = HEIR(p)
				:: else
				fi;
				q = 0; w = 0; s = 0; has = 0; dropped = 0; pushed = 0
			}
		:: else
		fi;
		c++
	:: else -> break
	od;
	op[p] = op[p] + op[p] % 2;
	atomic {
		c = 0;
		do :: c < NC -> assert(owner[c] != LIVING(p)); c++ :: else -> break od;
		publisher[p] = 0;
		c = 0; l = 0; g = 0; o = 0; inside = 0
	};
	if
	:: atomic { pnew < PNEW -> pnew++; publisher[p] = 1; plives[p] = 1 }
	:: true
	fi
}

#ifdef BUG_VERSION
#define CHANGE(m) version++; members = m
#else
#define CHANGE(m) members = m; version++
#endif

inline settle_start(p, s) { start[p * NS + s] = next_seq[p] }

inline settle_starts(s) {
	do
	:: p < NP -> settle_start(p, s); p++
	:: else -> p = 0; break
	od
}

inline begin_grace(s) {
	do
	:: p < NP ->
		waits_op[p * NS + s] = op[p];
#ifndef BUG_NOGRACE
		waits[p * NS + s] = publisher[p] && waits_op[p * NS + s] % 2;
#endif
#ifndef BUG_START
		settle_start(p, s);
#endif
		p++
	:: else -> p = 0; break
	od
}

/* One of those that a grace period waits for has left the publish it was in. */
#define LEFT(p, s) \
	atomic { \
		waits[(p) * NS + (s)] && (!publisher[p] || op[p] != waits_op[(p) * NS + (s)]) -> \
			waits[(p) * NS + (s)] = 0; waits_op[(p) * NS + (s)] = 0 \
	}
#ifdef BUG_START
#define GRACE(p, s) LEFT(p, s)
#else
#define GRACE(p, s) LEFT(p, s); settle_start(p, s)
#endif
#if NP > 1
#define OVER(s) (!waits[s] && !waits[NS + (s)])
#else
#define OVER(s) (!waits[s])
#endif

inline join(s) {
	subscriber[s] = JOINING;
#ifdef BUG_START
	settle_starts(s);
#endif
	CHANGE(members | BIT(s));
	begin_grace(s)
}

inline leave(s) {
	subscriber[s] = LEAVING;
	CHANGE(members & ~BIT(s));
	begin_grace(s)
}

/* Nobody looks at the lanes: in one step. */
inline reset_lanes(s) {
#ifdef BUG_NORESET
	skip
#else
	atomic {
		do
		:: p < NP ->
			do
			:: i < CAP ->
				LANE(p, s).slot[i].live = 0; LANE(p, s).slot[i].seq = 0;
				LANE(p, s).slot[i].dropped = 0; LANE(p, s).slot[i].chunk = 0;
				i++
			:: else -> i = 0; break
			od;
			p++
		:: else -> p = 0; break
		od
	}
#endif
}

/* After the grace period. */
inline sweep(s) {
	do
	:: c < NC -> holders[c] = holders[c] & ~BIT(s); c++
	:: else -> c = 0; break
	od;
	reset_lanes(s);
	if
	:: rejoins[s] -> rejoins[s] = 0; join(s)
	:: !rejoins[s] && snew < SNEW -> snew++; join(s)
	:: !rejoins[s] -> subscriber[s] = NONE
	fi
}

#define PUBLISHER(p) \
	publisher[p] && !plives[p] -> recover(p)
#define SUBSCRIBER(s) \
	(subscriber[s] == OPEN || subscriber[s] == INACTIVE) && !slives[s] -> leave(s) \
	:: subscriber[s] == OPEN && cuts < CUTS -> \
		cuts++; subscriber[s] = INACTIVE; CHANGE(members & ~BIT(s)) \
	:: subscriber[s] == LEAVING && OVER(s) -> sweep(s) \
	:: atomic { subscriber[s] == JOINING && OVER(s) -> subscriber[s] = OPEN; slives[s] = 1 } \
	:: (subscriber[s] == JOINING || rejoins[s]) && kills < KILLS && skills < SKILLS -> \
		kills++; skills++; rejoins[s] = 0; leave(s)

/* What was under way when the worker before died is done again, from its beginning. */
#ifdef BUG_REJOIN
#define BEGIN_AGAIN(s) subscriber[s] == JOINING -> reset_lanes(s); join(s)
#else
#define BEGIN_AGAIN(s) subscriber[s] == JOINING -> rejoins[s] = 1; leave(s)
#endif
#define RESUME(s) \
	if \
	:: BEGIN_AGAIN(s) \
	:: subscriber[s] == LEAVING -> leave(s) \
	:: subscriber[s] == INACTIVE -> CHANGE(members & ~BIT(s)) \
	:: else \
	fi

proctype Runtime() {
	byte p, s, c, i, q, w, g, o, old; bit l, inside, has, dropped, pushed, there, again;
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
		:: PUBLISHER(0)
		:: SUBSCRIBER(0)
		:: GRACE(0, 0)
#if NP > 1
		:: PUBLISHER(1)
		:: GRACE(1, 0)
#endif
#if NS > 1
		:: SUBSCRIBER(1)
		:: GRACE(0, 1)
#if NP > 1
		:: GRACE(1, 1)
#endif
#endif
		:: timeout -> break                             /* all is quiet */
		od
	} unless {
		atomic {
			worker_killed ->
				worker_killed = 0; again = 1;
				p = 0; s = 0; c = 0; i = 0; q = 0; w = 0; g = 0; o = 0; old = 0;
				l = 0; inside = 0; has = 0; dropped = 0; pushed = 0; there = 0;
				do
				:: i < NP * NS -> waits[i] = 0; waits_op[i] = 0; i++
				:: else -> i = 0; break
				od;
				goto resume
		}
	};
gone:
	atomic {
		do
		:: c < NC -> assert(FREE(c)); c++
		:: else -> break
		od;
		do
		:: s < NS -> assert(subscriber[s] != JOINING && subscriber[s] != LEAVING); s++
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
		:: i < NP -> next_seq[i] = 1; publisher[i] = 1; plives[i] = 1; run Pub(i); i++
		:: else -> i = 0; break
		od;
		do
		:: i < NS ->
			subscriber[i] = OPEN; slives[i] = 1; members = members | BIT(i);
			run Sub(i);
			i++
		:: else -> i = 0; break
		od;
		do :: i < NP * NS -> start[i] = 1; i++ :: else -> break od;
		run Runtime();
#if WKILLS > 0
		run Killer()
#endif
	}
}
