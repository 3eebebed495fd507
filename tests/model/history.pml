/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The late join with history, as in runtime/history.c, runtime/reclaim.c and the reader's first
 * look at its lanes (pubsub/shm/reader.c, reader_backlog.c). A publisher slot keeps its last H
 * messages; a subscriber joins at any moment, while its lane may overflow; a publisher of another
 * topic takes any free chunk of the pool. Publishers leave, are killed at any step, and others
 * take the slot and go on with what was kept. Numbers are the steps in pubsub/flow/writer.h.
 *
 * Checked: what the joiner has taken is what was announced and does not change while it is held;
 * it gets each number once and in order, a gap only where it is counted as lost; it gets the
 * last H, and all that there are of an idle slot, unless its lane has overflowed, or, without
 * KEEP, their publisher's recovery had begun to forget them (asserts in Sub and Runtime); with WAIT, all that a publisher sends after it has heard of the joiner is taken
 * or counted (assert in Sub); in the end only history keeps chunks, of the last H messages
 * (assert in Runtime).
 *
 *   spin -a [-DH=1 -DCAP=1 -DMSGS=3 ...] history.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000
 *
 * Each -DBUG_ breaks one rule, and the check must then fail; with the options behind it:
 *
 *   BUG_NOPIN      no PINNED                                          -DOTHERS=1 -DMSGS=2
 *   BUG_NOGRACE    no grace period
 *   BUG_NOBIT      what has the joiner's bit is given all the same
 *   BUG_PUSHEDOUT  what was just pushed out of the joiner's lane is given: recovery takes the
 *                  bit for one that the publisher did not come to clear
 *   BUG_BEGIN      the lane does not go on where the backlog ends
 *   BUG_EARLY      the joiner is announced before all publishers have left their publish
 *                                                                     -DWAIT=2
 *   BUG_SETTLE     the joiner is announced before it is settled where it begins
 *                                                                     -DWAIT=2
 *   BUG_UNKEPT     recovery does not retain what it has published     -DKEEP -DKILLS=1
 *   BUG_UNTRIMMED  recovery keeps more than H messages                -DKEEP -DKILLS=1
 *   BUG_UNFORGOTTEN  without KEEP recovery lets be what is RETAINED   -DMSGS=1
 *   BUG_ANYORDER   they are forgotten in another order than from the oldest on
 *                                                                     -DH=2 -DMSGS=2 -DWKILLS=1
 *   BUG_GONEFIRST  the publisher is gone before its messages are forgotten
 *                                                                     -DMSGS=1 -DWKILLS=1
 *   BUG_PINNED     what a worker had PINNED stays so                  -DMSGS=1 -DWKILLS=1
 *   BUG_STALE      a claimed chunk keeps its old number
 *                                           -DKEEP -DKILLS=1 -DSPARE -DOTHERS=1 -DMSGS=1
 */
#ifndef H
#define H 1             /* messages that a publisher keeps and a subscriber is given, 1..3 */
#endif
#ifndef MSGS
#define MSGS 3          /* messages of the slot, all its publishers together */
#endif
#ifndef CAP
#define CAP 1           /* queue depth */
#endif
#ifndef NC
#define NC 4            /* chunks, 4..8 */
#endif
#ifndef OTHERS
#define OTHERS 0        /* messages of a publisher of another topic that has the same pool */
#endif
#ifndef KILLS
#define KILLS 0         /* publishers killed at most */
#endif
#ifndef PNEW
#define PNEW 0          /* publishers that come when one has left or died, at most */
#endif
#ifndef WKILLS
#define WKILLS 0        /* times that the runtime's worker is killed; the next one goes on */
#endif
/* -DKEEP: the topic has keep_history; without, the history of a slot ends with its publisher */
/* -DSPARE: each publisher has a second chunk on loan that it never publishes */
/* -DWAIT=n: a publisher waits for a subscriber before it sends message n */

#define LIVING 1
#define FORMER 2
#define OTHER 3
#define IS_OURS(o) ((o) == LIVING || (o) == FORMER)
#define UNPUBLISHED 100
#define FOREIGN 101

typedef slot_t { byte seq; bit live; bit dropped; byte chunk };
slot_t slot[CAP];
#define SLOT(n) slot[(n) % CAP]

/* The descriptors: five fields of one word `state`; seq; the joiner's bit. */
bit loaned[NC], retained[NC], pinned[NC]; byte owner[NC], gen[NC];
byte dseq[NC];
bit holder[NC];
byte content[NC];
#define FREE(i) (!loaned[i] && !retained[i] && !pinned[i] && !holder[i])
#define STATE_IS(i, l, r, g, o) \
	(loaned[i] == (l) && retained[i] == (r) && !pinned[i] && gen[i] == (g) && owner[i] == (o))

mtype = { NONE, JOINING, OPEN, LEAVING };
mtype subscriber = NONE;                /* the joiner; the runtime alone knows */
bit member, announced;
byte op, next_seq = 1;
bit publisher = 1, enters, lives = 1;
bit worker_killed;
byte kills, pnew;
byte handed[H], n_handed;               /* to a publisher: what the one before has left */

/* To the joiner, in the answer. */
bit joined;
byte start;
byte backlog[H], backlog_seq[H], n_backlog;

/* For the asserts only. */
bit overflow;                           /* the lane has */
byte base = 1;                          /* what is older is not history any more */

#define OR_DIES(mortal) \
	if \
	:: true \
	:: mortal && kills < KILLS -> kills++; lives = 0; goto gone \
	fi
#define STEP(access) atomic { access; OR_DIES(1) }

#define LOOK(i) atomic { FREE(i) -> c = i; g = gen[i]; o = owner[i] }

inline claim(me, mortal) {
	do
	:: true ->
		if
		:: LOOK(0)
		:: LOOK(1)
		:: LOOK(2)
		:: LOOK(3)
#if NC > 4
		:: LOOK(4)
#endif
#if NC > 5
		:: LOOK(5)
#endif
#if NC > 6
		:: LOOK(6)
#endif
#if NC > 7
		:: LOOK(7)
#endif
		fi;
		atomic {                                        /* CAS */
			if
			:: STATE_IS(c, 0, 0, g, o) ->
				loaned[c] = 1; gen[c] = g + 1; owner[c] = me;
				content[c] = UNPUBLISHED;
				g = 0; o = 0;
				OR_DIES(mortal);
				break
			:: else -> g = 0; o = 0
			fi
		}
	od;
#ifndef BUG_STALE
	atomic { dseq[c] = 0; OR_DIES(mortal) }
#else
	skip
#endif
}

inline push(n, c, mortal) {
	atomic { there = SLOT(n).live; old = SLOT(n).chunk };
	if
	:: there ->
		atomic {                                        /* CAS */
			if
			:: SLOT(n).live ->
				SLOT(n).seq = n; SLOT(n).chunk = c; SLOT(n).dropped = 1;
				overflow = 1
			:: else -> there = 0
			fi;
			OR_DIES(mortal)
		}
	:: else
	fi;
	if
	:: there -> atomic { holder[old] = 0; old = 0; OR_DIES(mortal) }
	:: else ->
		atomic {
			SLOT(n).seq = n; SLOT(n).chunk = c; SLOT(n).live = 1; SLOT(n).dropped = 0;
			old = 0;
			OR_DIES(mortal)
		}
	fi;
	there = 0
}

proctype Pub() {
	byte n, c, g, o, old, i, n_kept; bit m, there; byte kept[H];
begin:
	atomic {
		n = next_seq;
		do
		:: i < n_handed -> kept[i] = handed[i]; i++
		:: else -> n_kept = i; i = 0; break
		od
	};
#ifdef SPARE
	claim(LIVING, 1);
#endif
	do
	:: n <= MSGS ->
#ifdef WAIT
		if :: n == WAIT -> announced :: else fi;
#endif
		claim(LIVING, 1);
		atomic { STEP(op++); content[c] = n };          /* 1 */
		m = member;
		STEP(dseq[c] = n);                              /* 3 */
		STEP(holder[c] = m);                            /* 4 */
		if :: m -> push(n, c, 1) :: else fi;            /* 5 */
		STEP(next_seq = n + 1);                         /* 6 */
		STEP(loaned[c] = 0; retained[c] = 1);           /* 7 */
		if
		:: n_kept == H ->
			STEP(retained[kept[0]] = 0);            /* 7' */
			atomic {
				do
				:: i + 1 < H -> kept[i] = kept[i + 1]; i++
				:: else -> i = 0; break
				od;
				kept[H - 1] = c
			}
		:: else -> atomic { kept[n_kept] = c; n_kept++ }
		fi;
		STEP(op++);                                     /* 8 */
		n++
#if PNEW > 0
	:: true -> break
#else
	:: n > MSGS -> break
#endif
	od;
	lives = 0;
gone:
end:	atomic { lives -> c = 0; g = 0; o = 0; old = 0; there = 0; goto begin }
}

proctype Other() {
	byte c, g, o, k = 1;
	do
	:: k <= OTHERS ->
		claim(OTHER, 0);
		atomic { content[c] = FOREIGN; dseq[c] = k; loaned[c] = 0; k++ }
	:: else -> break
	od;
gone:	skip
}

proctype Sub() {
	byte r, q, c, i, next, lost; bit live;
	joined;
	r = start;                                              /* the first look at the lane */
	do
	:: i < CAP ->
		atomic {
			if
			:: slot[i].live && slot[i].seq < r -> r = slot[i].seq
			:: else
			fi;
			i++
		}
	:: else -> i = 0; break
	od;
	next = r;
	if
	:: n_backlog > 0 ->
		atomic {
			if
			:: backlog_seq[0] > r -> lost = backlog_seq[0] - r
			:: else -> next = backlog_seq[0]
			fi;
#ifndef BUG_BEGIN
			r = backlog_seq[n_backlog - 1] + 1
#endif
		}
	:: else
	fi;
#ifdef WAIT
	assert(next <= WAIT);
#endif
	assert(overflow || next <= base || next + H <= next_seq + op % 2);
	do
	:: i < n_backlog ->
		atomic {
			c = backlog[i];
			q = backlog_seq[i];
#ifndef BUG_HOLE
			if
			:: i > 0 -> lost = lost + q - backlog_seq[i - 1] - 1
			:: else
			fi;
#endif
			assert(holder[c] && content[c] == q && dseq[c] == q);
			assert(q == next + lost);
			next = q + 1; lost = 0; q = 0;
			holder[c] = 0;
			i++
		}
	:: else -> i = 0; c = 0; break
	od;
end:
	do
	:: atomic { SLOT(r).seq >= r -> q = SLOT(r).seq; live = SLOT(r).live; c = SLOT(r).chunk };
		atomic {
			if
			:: q > r -> live = 0;                   /* lost some */
				if
				:: q >= r + CAP -> lost = lost + q - CAP + 1 - r; r = q - CAP + 1
				:: else -> lost++; r++
				fi
			:: q == r && live ->                    /* CAS */
				if
				:: SLOT(q).seq == q -> SLOT(q).live = 0; r++
				:: else -> live = 0
				fi
			fi
		};
		if
		:: live ->                                      /* holds it; releases it */
			atomic {
				assert(holder[c] && content[c] == q && dseq[c] == q);
				assert(q == next + lost);
				next = q + 1; lost = 0;
				holder[c] = 0;
				live = 0; q = 0; c = 0
			}
		:: else -> atomic { q = 0; c = 0 }
		fi
	:: atomic { timeout -> assert(r == next_seq); break }
	od
}

#ifdef KEEP
#define KEEPS true
#else
#define KEEPS false
#endif
#define N_KEPT (!(KEEPS) -> 0 : (next_seq - 1 < H -> next_seq - 1 : H))

/* From the oldest on, should this end halfway. */
inline forget() {
	do
	:: atomic {
		best = NC;
		do
		:: c < NC ->
			if
			:: retained[c] && IS_OURS(owner[c]) &&
			   (best == NC || dseq[c] < dseq[best]) -> best = c
			:: else
			fi;
			c++
		:: else -> c = 0; break
		od;
		if
		:: best < NC -> retained[best] = 0; base = dseq[best] + 1; best = 0
		:: else -> best = 0; break
		fi
	   }
	od
}

inline recover() {
	inside = op % 2;
#ifdef BUG_GONEFIRST
	publisher = 0;
#endif
#if !defined(KEEP) && !defined(BUG_UNFORGOTTEN) && !defined(BUG_ANYORDER)
	forget();
#endif
	do
	:: c < NC ->
		atomic { l = loaned[c]; t = retained[c]; g = gen[c]; o = owner[c] };
		if
		:: IS_OURS(o) ->
			q = dseq[c];
			atomic { w = SLOT(q).seq; dropped = SLOT(q).dropped };
			there = holder[c];
			if
			:: subscriber == NONE || !STATE_IS(c, l, t, g, o)
			:: subscriber != NONE && STATE_IS(c, l, t, g, o) ->
				if
				:: l && inside && w == q -> pushed = 1
				:: l && inside && w < q && there ->
					if
					:: subscriber != LEAVING -> push(q, c, 0); pushed = 1
					:: else -> holder[c] = 0
					fi
				:: there && w == q + CAP && dropped -> holder[c] = 0
				:: else
				fi
			fi;
			q = dseq[c];
			if :: pushed && next_seq <= q -> next_seq = q + 1 :: else fi;
#ifdef BUG_UNFORGOTTEN
			t = t || KEEPS && (l && inside && q != 0 && q + 1 == next_seq);
#elif !defined(BUG_UNKEPT)
			t = KEEPS && (t || (l && inside && q != 0 && q + 1 == next_seq));
#else
			t = KEEPS && t;
#endif
			atomic {
				if
				:: loaned[c] == l && gen[c] == g && owner[c] == o ->
					loaned[c] = 0; retained[c] = t; owner[c] = FORMER
				:: else
				fi;
				if :: KEEPS :: else -> base = next_seq fi;
				q = 0; w = 0; there = 0; dropped = 0; pushed = 0; t = 0
			}
		:: else -> t = 0
		fi;
		c++
	:: else -> c = 0; l = 0; g = 0; o = 0; break
	od;
#ifndef BUG_UNTRIMMED
	do
	:: c < NC ->
		if
		:: IS_OURS(owner[c]) && retained[c] && dseq[c] + H < next_seq -> retained[c] = 0
		:: else
		fi;
		c++
	:: else -> c = 0; break
	od;
#endif
	op = op + op % 2;
	atomic { publisher = 0; inside = 0 }
}

/* The next publisher gets the slot, and what the one before has left. */
inline give_slot() {
	n_handed = 0;
	collect();
	do
	:: n_seen > 0 ->
		newest();
		if
		:: n_handed < H ->
			atomic {
				i = n_handed;
				do
				:: i > 0 -> handed[i] = handed[i - 1]; i--
				:: else -> break
				od;
				handed[0] = best; n_handed++
			}
		:: else -> retained[best] = 0
		fi;
		atomic { seen[best] = 0; n_seen--; best = 0 }
	:: else -> break
	od;
	atomic { lives = 1; enters = 0 }
}

/* What is RETAINED, each looked at by itself. */
inline collect() {
	do
	:: c < NC ->
		atomic {
			if
			:: retained[c] && IS_OURS(owner[c]) ->
				seen[c] = gen[c]; seen_owner[c] = owner[c]; n_seen++
			:: else
			fi
		};
		if :: seen[c] -> seen_seq[c] = dseq[c] :: else fi;
		c++
	:: else -> c = 0; break
	od
}

inline newest() {
	atomic {
		best = NC;
		do
		:: c < NC ->
			if
			:: seen[c] && (best == NC || seen_seq[c] > seen_seq[best]) -> best = c
			:: else
			fi;
			c++
		:: else -> c = 0; break
		od
	}
}

#ifdef BUG_NOBIT
#define IN_LANE(c) false
#else
#define IN_LANE(c) holder[c]
#endif
#ifdef BUG_PUSHEDOUT
#define PUSHED_OUT(q) false
#else
#define PUSHED_OUT(q) (SLOT(q).dropped && SLOT(q).seq == (q) + CAP)
#endif
#ifdef BUG_NOPIN
#define PIN 0
#else
#define PIN 1
#endif

inline history() {
	n_backlog = 0;
	collect();
	do
	:: n_seen > 0 && k < H ->
		newest();
		atomic {                                                /* CAS */
			if
			:: STATE_IS(best, 0, 1, seen[best], seen_owner[best]) ->
				pinned[best] = PIN
			:: else -> break
			fi
		};
		there = IN_LANE(best);
		if
		:: there
		:: !there && PUSHED_OUT(seen_seq[best])
		:: else ->
			holder[best] = 1;
			atomic {
				i = n_backlog;
				do
				:: i > 0 ->
					backlog[i] = backlog[i - 1];
					backlog_seq[i] = backlog_seq[i - 1];
					i--
				:: else -> break
				od;
				backlog[0] = best; backlog_seq[0] = seen_seq[best]; n_backlog++
			}
		fi;
		atomic { pinned[best] = 0; seen[best] = 0; n_seen--; best = 0; there = 0; k++ }
	:: else -> break
	od;
	atomic {
		do
		:: c < NC -> seen[c] = 0; seen_seq[c] = 0; seen_owner[c] = 0; c++
		:: else -> c = 0; break
		od;
		best = 0; k = 0; n_seen = 0
	}
}

inline begin_grace() {
	waits = op;
	waits = (publisher && waits % 2 -> waits : 0);
	start = next_seq;
#ifdef BUG_EARLY
	announced = 1;
#endif
#ifdef BUG_NOGRACE
	waits = 0
#endif
}

inline join() {
	subscriber = JOINING;
	member = 1;
#ifdef BUG_SETTLE
	announced = 1;
#endif
	begin_grace()
}

inline finish_join() {
	history();
	assert(!idle || pnew || n_backlog == N_KEPT);
	subscriber = OPEN;
	announced = 1;
	joined = 1
}

/* It has had no answer yet: what it was sent and given is taken back. */
inline join_again() {
	do
	:: c < NC -> holder[c] = 0; c++
	:: else -> c = 0; break
	od;
	atomic {
		do
		:: i < CAP ->
			slot[i].seq = 0; slot[i].live = 0; slot[i].dropped = 0; slot[i].chunk = 0;
			i++
		:: else -> i = 0; break
		od;
		overflow = 0
	};
	join()
}

/* What was under way when the worker before died is done again, from its beginning. */
inline resume_join() {
#ifndef BUG_PINNED
	do
	:: c < NC -> pinned[c] = 0; c++
	:: else -> c = 0; break
	od;
#endif
	if
	:: subscriber == JOINING || subscriber == LEAVING ->
		subscriber = LEAVING;
		member = 0;
		begin_grace()
	:: subscriber == OPEN -> announced = 1; joined = 1
	:: else
	fi
}

proctype Runtime() {
	byte c, i, q, w, g, o, old, best, k, waits, n_seen;
	byte seen[NC], seen_seq[NC], seen_owner[NC];
	bit l, t, inside, there, dropped, pushed, idle, again;
resume:
	{
		if
		:: again -> resume_join(); again = 0
		:: else
		fi;
		do
		:: publisher && !lives && !enters -> recover()
		:: atomic { !publisher && pnew < PNEW -> pnew++; publisher = 1; enters = 1 }
		:: enters -> give_slot()
		:: subscriber == NONE -> idle = !publisher; join()
		:: atomic { waits && (op != waits || !publisher) -> waits = 0 }; start = next_seq
		:: subscriber == JOINING && !waits -> finish_join()
		:: subscriber == LEAVING && !waits -> join_again()
		:: timeout -> break                             /* all is quiet */
		od
	} unless {
		atomic {
			worker_killed ->
				worker_killed = 0; again = 1;
				c = 0; i = 0; q = 0; w = 0; g = 0; o = 0; old = 0; best = 0; k = 0;
				waits = 0; n_seen = 0;
				l = 0; t = 0; inside = 0; there = 0; dropped = 0; pushed = 0;
				do
				:: i < NC -> seen[i] = 0; seen_seq[i] = 0; seen_owner[i] = 0; i++
				:: else -> i = 0; break
				od;
				goto resume
		}
	};
gone:
	atomic {
		do
		:: c < NC ->
			assert(!loaned[c] && !pinned[c] && !holder[c]);
			if
			:: retained[c] ->
				assert(content[c] == dseq[c] && dseq[c] + H >= next_seq);
				k++
			:: else
			fi;
			c++
		:: else -> c = 0; break
		od;
		assert(subscriber == OPEN && k == N_KEPT)
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
	atomic {
		run Pub();
		if :: OTHERS > 0 -> run Other() :: else fi;
		run Sub();
		run Runtime();
#if WKILLS > 0
		run Killer()
#endif
	}
}
