/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The games. Who stands first is what all but zcp's are compared with.
 */
#include "bench/plan.h"

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define HD ((size_t)1920 * 1080 * 3)
#define UHD ((size_t)3840 * 2160 * 3)

/* clang-format off */
#define LATENCY_PLAYERS(size)                                                                      \
	{ "ring", size, 0, 0 }, { "zcp", size, 0, 0 }, { "memcpy", size, 0, 0 },                   \
	{ "iceoryx", size, 0, 0 }, { "seqpacket", size, 0, 0 }, { "zmq", size, 0, 0 },             \
	{ "nng", size, 0, 0 }, { "cyclone-shm", size, 0, 0 }, { "cyclone", size, 0, 0 }

#define SLEEP_PLAYERS                                                                              \
	{ "futex", 64, 0, 0 }, { "eventfd", 64, 0, 0 }, { "zcp", 64, 0, 0 },                       \
	{ "zcp-dispatch", 64, 0, 0 }, { "zcp-fd", 64, 0, 0 }, { "iceoryx", 64, 0, 0 },             \
	{ "seqpacket", 64, 0, 0 }, { "zmq", 64, 0, 0 }, { "nng", 64, 0, 0 },                       \
	{ "cyclone-shm", 64, 0, 0 }, { "cyclone", 64, 0, 0 }

#define STREAM_PLAYERS(n_out, n_in)                                                                \
	{ "ring", 64, n_out, n_in }, { "zcp", 64, n_out, n_in }, { "iceoryx", 64, n_out, n_in },   \
	{ "seqpacket", 64, n_out, n_in }, { "zmq", 64, n_out, n_in }, { "nng", 64, n_out, n_in },  \
	{ "cyclone-shm", 64, n_out, n_in }, { "cyclone", 64, n_out, n_in }

#define FRAME_PLAYERS(size)                                                                        \
	{ "zcp", size, 0, 0 }, { "private", size, 0, 0 }, { "ring", size, 0, 0 },                  \
	{ "memcpy", size, 0, 0 }, { "iceoryx", size, 0, 0 }, { "zmq", size, 0, 0 },                \
	{ "nng", size, 0, 0 }, { "cyclone-shm", size, 0, 0 }

#define FAN_PLAYERS(peer)                                                                          \
	{ peer, 64, 1, 0 }, { peer, 64, 1, 1 }, { peer, 64, 1, 2 }, { peer, 64, 1, 4 },            \
	{ peer, 64, 1, 8 }, { peer, 64, 1, 16 }, { peer, 64, 1, 32 }, { peer, 64, 1, 64 }

#define TOUCHED(size, depth_, quick_, full_)                                                       \
	{ { .name = "latency-touched", .task = BENCH_LATENCY, .drops = true, .depth = depth_, .play_ms = 4,       \
	    .players = { LATENCY_PLAYERS(size), { "zcp", 64, 0, 0 } } }, quick_, full_ }

#define FILLED(size, depth_, quick_, full_)                                                        \
	{ { .name = "latency-filled", .task = BENCH_LATENCY, .drops = true, .depth = depth_, .play_ms = 6,        \
	    .is_whole = true, .players = { LATENCY_PLAYERS(size) } }, quick_, full_ }

#define STREAM(name_, n_out, n_in, quick_, full_)                                                  \
	{ { .name = name_, .task = BENCH_STREAM, .depth = 256, .play_ms = 6,                       \
	    .players = { STREAM_PLAYERS(n_out, n_in) } }, quick_, full_ }

const struct bench_plan bench_plans[] = {
	{ { .name = "latency-touched", .task = BENCH_LATENCY, .drops = true, .depth = 16, .play_ms = 4,
	    .players = { LATENCY_PLAYERS(64), { "zcp-dispatch", 64, 0, 0 }, { "line", 64, 0, 0 } } },
	  8, 60 },
	TOUCHED(KIB(1), 2, 0, 20),
	TOUCHED(KIB(4), 2, 3, 20),
	TOUCHED(KIB(16), 2, 0, 20),
	TOUCHED(KIB(64), 2, 3, 20),
	TOUCHED(KIB(256), 2, 0, 20),
	TOUCHED(MIB(1), 2, 4, 20),
	TOUCHED(MIB(4), 2, 5, 40),
	FILLED(64, 16, 0, 20),
	FILLED(KIB(4), 2, 0, 20),
	FILLED(KIB(64), 2, 3, 20),
	FILLED(MIB(1), 2, 3, 30),
	{ { .name = "latency-blocking", .task = BENCH_LATENCY, .drops = true, .depth = 16, .play_ms = 10,
	    .blocks = true, .period_ns = 100000, .players = { SLEEP_PLAYERS } }, 7, 60 },
	{ { .name = "latency-blocking-one-core", .task = BENCH_LATENCY, .drops = true, .depth = 16, .play_ms = 10,
	    .blocks = true, .is_on_one = true, .period_ns = 100000, .players = { SLEEP_PLAYERS } }, 4, 30 },
	STREAM("stream-1-1", 1, 1, 6, 60),
	STREAM("stream-1-2", 1, 2, 0, 30),
	STREAM("stream-1-4", 1, 4, 5, 40),
	STREAM("stream-1-8", 1, 8, 0, 30),
	STREAM("stream-4-1", 4, 1, 4, 40),
	STREAM("stream-4-4", 4, 4, 0, 40),
	{ { .name = "stream-drop-1-1", .task = BENCH_STREAM, .depth = 256, .play_ms = 6,
	    .drops = true, .players = { { "ring", 64, 1, 1 }, { "zcp", 64, 1, 1 },
					{ "iceoryx", 64, 1, 1 } } }, 4, 30 },
	{ { .name = "frames", .task = BENCH_STREAM, .depth = 2, .play_ms = 30, .is_whole = true,
	    .players = { FRAME_PLAYERS(HD) } }, 6, 60 },
	{ { .name = "frames", .task = BENCH_STREAM, .depth = 2, .play_ms = 80, .is_whole = true,
	    .players = { FRAME_PLAYERS(UHD) } }, 0, 60 },
	{ { .name = "fan-out", .task = BENCH_FAN, .depth = 16, .play_ms = 3, .is_fan = true,
	    .players = { FAN_PLAYERS("zcp"), FAN_PLAYERS("iceoryx") } }, 5, 40 },
	{ { .name = "steadiness", .task = BENCH_LATENCY, .drops = true, .depth = 16,
	    .play_ms = 150, .blocks = true, .period_ns = 1000000, .is_steady = true,
	    .players = { { "futex", 64, 0, 0 }, { "zcp", 64, 0, 0 }, { "iceoryx", 64, 0, 0 } } },
	  6, 180 },
	{ { .name = NULL }, 0, 0 },
};

const struct bench_plan bench_check_plans[] = {
	{ { .name = "check", .task = BENCH_LATENCY, .depth = 16, .play_ms = 3,
	    .players = { { "ring", 64, 0, 0 }, { "late", 64, 0, 0 }, { "memcpy", 64, 0, 0 },
			 { "zcp", 64, 0, 0 } } }, 4, 4 },
	{ { .name = "check-wrong", .task = BENCH_STREAM, .depth = 16, .play_ms = 3,
	    .players = { { "ring", 64, 1, 1 }, { "wrong", 64, 1, 1 } } }, 1, 1 },
	{ { .name = NULL }, 0, 0 },
};
/* clang-format on */
