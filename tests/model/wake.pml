/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleep and wake: one sleeper, publishers that push and then wake it: step 7 of a publish, with
 * wake() and wake_sleepers() of pubsub/flow/writer.c, zcp_signal_wake_sleeper() of signal.c, and
 * the sleeper's zcp_reader_arm(), sleep_once() and end() of pubsub/client/waiting/wait.c. It sleeps
 * on the futex word or on its eventfd, another time on the other. A publisher may be killed after
 * any step (the runtime then wakes the sleeper) or stopped there for ever (nobody wakes for it;
 * the others' messages must be seen all the same).
 *
 * A keeper holds the futex word: its id is in it. When it dies, the kernel clears the id, marks the
 * word and wakes the sleeper; the connection looks lost after that only. Another keeper may take the
 * word over, when the one before has died or while it lives. A sleeper that finds no id in the word
 * sleeps, and looks after the connection every 50 ms.
 *
 * Checked: when nothing moves any more, the sleeper has seen every message but those of a
 * publisher that was stopped, and that the connection is lost where it is (asserts in Runtime).
 *
 *   spin -a [-DNP=2 -DMSGS=2 ...] wake.pml
 *   cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000
 *
 * Each -DBUG_ breaks one rule, and the check must then fail:
 *
 *   BUG_CLEAR      a waker clears what the sleeper has set
 *   BUG_NOWOKEN    a waker wakes without changing the futex word
 *   BUG_NORECHECK  no second look before the sleep
 *   BUG_LATEBIT    the sleeper's bit in `sleepers` is set after the second look
 *   BUG_LATEEPOCH  the sleep is announced after the second look
 *   BUG_LATESETTLE the futex word is settled after the second look
 *   BUG_LATEMODE   how to wake is said after the sleep was announced
 *   BUG_LATEDRAIN  the eventfd is made unreadable after the second look
 *   BUG_NODEATH    the runtime does not wake for a publisher that was killed
 *   BUG_NOMARK     the kernel wakes for a keeper that died without changing the futex word
 *   BUG_NOLOOK     a sleeper whose word no keeper holds does not look after the connection
 */
#ifndef NP
#define NP 2            /* publishers, 1..2 */
#endif
#ifndef MSGS
#define MSGS 2          /* messages of the first */
#endif
#ifndef MSGS1
#define MSGS1 1         /* messages of the second */
#endif
#ifndef KILLS
#define KILLS 1         /* publishers killed at most */
#endif
#ifndef STOPS
#define STOPS 1         /* publishers stopped at most */
#endif

byte pushed[NP], seen[NP];
bit sleepers;                           /* the sleeper's bit in the topic */
byte epoch;                             /* odd: asleep or about to */
mtype = { FUTEX, FD };
mtype mode = FUTEX;
bit marked;                             /* the futex word: its bit, and whose id is in it */
byte holder = 1;
byte keepers = 1;                       /* that there were; KEEPERS at most */
bit lost;                               /* the connection, and whether the sleeper knows */
bit knows;
bit blocked;                            /* in the kernel, on the futex */
bit readable;                           /* the eventfd */
bit killed[NP], stopped[NP];
byte kills, stops;

#ifndef KEEPERS
#define KEEPERS 0       /* keepers that may die, one after another; 0: one that lives */
#endif

#ifdef BUG_NOLOOK
#define HELD(id) true
#else
#define HELD(id) (id != 0)
#endif

#define STEP(access) \
	atomic { \
		access; \
		if \
		:: true \
		:: kills < KILLS -> kills++; killed[p] = 1; goto gone \
		:: stops < STOPS -> stops++; stopped[p] = 1; goto gone \
		fi \
	}

proctype Pub(byte p) {
	byte e, woken, i;
	do
	:: i < (p == 0 -> MSGS : MSGS1) ->
		STEP(pushed[p]++);
		if
		:: sleepers ->
			e = epoch;
			if
			:: e % 2 && e != woken ->
				woken = e;
#ifdef BUG_CLEAR
				STEP(if :: epoch == e -> epoch++ :: else fi);
#endif
				if
				:: mode == FD -> STEP(readable = 1)
				:: mode == FUTEX ->
#ifndef BUG_NOWOKEN
					STEP(marked = 1);
#endif
					STEP(blocked = 0)
				fi
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
gone:	skip
}

#if NP > 1
#define PENDING (pushed[0] != seen[0] || pushed[1] != seen[1])
#else
#define PENDING (pushed[0] != seen[0])
#endif

#define SETTLE d_step { marked = 0; expected = holder }

inline announce() {
#ifndef BUG_LATESETTLE
	SETTLE;
#endif
	epoch = epoch + 1 + epoch % 2
}

active proctype Sleeper() {
	byte expected; mtype how; bit ready;
end:
	do
	:: pushed[0] != seen[0] -> seen[0]++
#if NP > 1
	:: pushed[1] != seen[1] -> seen[1]++
#endif
	:: !PENDING ->
		knows = lost;
#ifndef BUG_LATEBIT
		sleepers = 1;                                   /* the first time; a heavy fence */
#endif
		if
		:: how = FUTEX
		:: how = FD
		fi;
#ifndef BUG_LATEDRAIN
		if :: how == FD -> readable = 0 :: else fi;
#endif
#ifndef BUG_LATEMODE
		mode = how;
#endif
#ifndef BUG_LATEEPOCH
		announce();
#endif
#ifdef BUG_LATEMODE
		mode = how;
#endif
#ifdef BUG_NORECHECK
		ready = false;
#else
		ready = PENDING;
#endif
#ifdef BUG_LATEDRAIN
		if :: how == FD -> readable = 0 :: else fi;
#endif
#ifdef BUG_LATEEPOCH
		announce();
#endif
#ifdef BUG_LATEBIT
		sleepers = 1;
#endif
#ifdef BUG_LATESETTLE
		SETTLE;
#endif
		if
		:: ready
		:: !ready && how == FUTEX ->
			d_step {
				if
				:: !marked && holder == expected -> blocked = 1
				:: else
				fi
			};
end_futex:		!blocked || (!HELD(expected) && lost != knows);
			blocked = 0
		:: !ready && how == FD ->
end_fd:			readable || lost != knows       /* the poll instance watches it as well */
		fi;
		epoch = epoch + epoch % 2;
		expected = 0; ready = 0; how = 0
	od
}

inline wake() {
	marked = 1;
	blocked = 0;
	readable = 1
}

#define SEEN(p) (stopped[p] || pushed[p] == seen[p])

/* The kernel, for keeper k: only a word that has its id. */
inline die(k) {
	d_step {
		if
		:: holder == k ->
#ifndef BUG_NOMARK
			holder = 0;
			marked = 1;
#endif
			blocked = 0
		:: else
		fi
	}
}

active proctype Keeper() {
	do
	:: keepers < KEEPERS -> keepers++; die(keepers - 1); holder = keepers   /* an heir */
	:: keepers < KEEPERS -> keepers++; holder = keepers; die(keepers - 1)   /* a successor */
	:: KEEPERS > 0 -> die(keepers); lost = 1; break                         /* and the worker */
	:: break
	od
}

active proctype Runtime() {
	do
#ifndef BUG_NODEATH
	:: killed[0] -> killed[0] = 0; wake()
#if NP > 1
	:: killed[1] -> killed[1] = 0; wake()
#endif
#endif
	:: timeout -> break
	od;
	assert(knows == lost);
#if NP > 1
	assert(SEEN(1));
#endif
	assert(SEEN(0))
}

init {
	atomic {
		run Pub(0);
#if NP > 1
		run Pub(1)
#endif
	}
}
