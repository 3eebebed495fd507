/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors: a bare cache line that goes between two processors, the same with a futex on which
 * the subscriber sleeps, and with an eventfd; and the loops over private memory.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/pair.h"

#define SLEEP_MS 10000

struct line {
	_Alignas(128) _Atomic uint64_t word;
	_Alignas(128) _Atomic uint32_t futex;
};

/* An end's. */
struct floor {
	struct line *line;
	/* what is sent, and what was seen last */
	uint64_t value;
	uint32_t seen;
};

static struct line *lines;
static int eventfds[BENCH_LINKS];

static int prepare(void)
{
	lines = mmap(NULL, sizeof(*lines) * BENCH_LINKS, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return lines == MAP_FAILED ? -errno : 0;
}

static void finish(void)
{
	(void)munmap(lines, sizeof(*lines) * BENCH_LINKS);
}

static int open_line(struct bench_end *end)
{
	struct floor *floor;

	if (end->link->n_out != 1 || end->link->n_in != 1)
		return bench_peer_fail(-EINVAL, "a line has two ends");
	floor = calloc(1, sizeof(*floor));
	if (!floor)
		return -ENOMEM;
	floor->line = &lines[end->link->place];
	end->of = floor;
	return 0;
}

static void close_line(struct bench_end *end)
{
	free(end->of);
}

static int loan(struct bench_end *end, size_t size, void **data)
{
	struct floor *floor = end->of;

	(void)size;
	*data = &floor->value;
	return 0;
}

static int send_line(struct bench_end *end, void *data, size_t size)
{
	struct floor *floor = end->of;

	(void)data;
	(void)size;
	/* Release, as a payload beside it would need it. */
	atomic_store_explicit(&floor->line->word, floor->value, memory_order_release);
	return 0;
}

static int take_line(struct bench_end *end, struct bench_message *message)
{
	struct floor *floor = end->of;
	uint64_t word = atomic_load_explicit(&floor->line->word, memory_order_acquire);

	if (word == floor->value)
		return -EAGAIN;
	floor->value = word;
	message->data = &floor->value;
	message->size = sizeof(floor->value);
	return 0;
}

static int release(struct bench_end *end, struct bench_message *message)
{
	(void)end;
	(void)message;
	return 0;
}

const struct bench_peer bench_line_peer = {
	.name = "line",
	.settings = "8 bytes in a cache line: what the hardware charges",
	.size_only = sizeof(uint64_t),
	.prepare = prepare,
	.finish = finish,
	.open = open_line,
	.loan = loan,
	.send = send_line,
	.take = take_line,
	.release = release,
	.close = close_line,
};

/* --- a futex --- */

static int send_futex(struct bench_end *end, void *data, size_t size)
{
	struct floor *floor = end->of;
	int r = send_line(end, data, size);

	(void)atomic_fetch_add_explicit(&floor->line->futex, 1, memory_order_release);
	bench_futex_wake(&floor->line->futex);
	return r;
}

static int take_futex(struct bench_end *end, struct bench_message *message)
{
	struct floor *floor = end->of;
	uint32_t now;

	while ((now = atomic_load_explicit(&floor->line->futex, memory_order_acquire)) ==
	       floor->seen) {
		int r = bench_futex_wait(&floor->line->futex, now, SLEEP_MS);

		if (r < 0)
			return r;
	}
	floor->seen = now;
	return take_line(end, message);
}

const struct bench_peer bench_futex_peer = {
	.name = "futex",
	.settings =
		"the bare line, and a futex on which the subscriber sleeps: what the kernel charges",
	.size_only = sizeof(uint64_t),
	.prepare = prepare,
	.finish = finish,
	.open = open_line,
	.loan = loan,
	.send = send_futex,
	.take = take_futex,
	.release = release,
	.close = close_line,
};

/* --- an eventfd --- */

static int prepare_eventfds(void)
{
	for (int i = 0; i < BENCH_LINKS; i++) {
		eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (eventfds[i] < 0)
			return -errno;
	}
	return prepare();
}

static void finish_eventfds(void)
{
	for (int i = 0; i < BENCH_LINKS; i++)
		(void)close(eventfds[i]);
	finish();
}

static int send_eventfd(struct bench_end *end, void *data, size_t size)
{
	int r = send_line(end, data, size);

	return r < 0 || eventfd_write(eventfds[end->link->place], 1) == 0 ? r : -errno;
}

static int take_eventfd(struct bench_end *end, struct bench_message *message)
{
	struct pollfd pollfd = { .fd = eventfds[end->link->place], .events = POLLIN };
	int r = poll(&pollfd, 1, SLEEP_MS);
	eventfd_t n;

	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	if (eventfd_read(pollfd.fd, &n) < 0)
		return -errno;
	return take_line(end, message);
}

const struct bench_peer bench_eventfd_peer = {
	.name = "eventfd",
	.settings = "the bare line, and an eventfd that the subscriber polls and reads",
	.size_only = sizeof(uint64_t),
	.prepare = prepare_eventfds,
	.finish = finish_eventfds,
	.open = open_line,
	.loan = loan,
	.send = send_eventfd,
	.take = take_eventfd,
	.release = release,
	.close = close_line,
};

/* --- private memory --- */

#define BUFFERS 32

struct own {
	void *buffers[BUFFERS];
	uint32_t n_used;
};

static int open_own(struct bench_end *end)
{
	end->of = calloc(1, sizeof(struct own));
	return end->of ? 0 : -ENOMEM;
}

static void close_own(struct bench_end *end)
{
	struct own *own = end->of;

	for (uint32_t i = 0; own && i < BUFFERS; i++)
		free(own->buffers[i]);
	free(own);
}

/* The buffers take turns, as many as another peer had in use in this block. */
static int loan_own(struct bench_end *end, size_t size, void **data)
{
	struct own *own = end->of;
	uint32_t n = end->pair->job.n_buffers, at;

	at = own->n_used++ % (n > 0 && n <= BUFFERS ? n : 1);
	if (!own->buffers[at]) {
		own->buffers[at] = malloc(size);
		if (!own->buffers[at])
			return -ENOMEM;
		bench_fill(own->buffers[at], size, true, 0);
	}
	*data = own->buffers[at];
	return 0;
}

static int send_own(struct bench_end *end, void *data, size_t size)
{
	(void)end;
	(void)data;
	(void)size;
	return 0;
}

static int take_own(struct bench_end *end, struct bench_message *message)
{
	void *data = NULL;
	int r = loan_own(end, end->link->size, &data);

	message->data = data;
	message->size = end->link->size;
	return r;
}

const struct bench_peer bench_private_peer = {
	.name = "private",
	.settings =
		"the same loops, each side over as many buffers of its own as zcp had in use: no "
		"frame goes from one processor to the other",
	.is_private = true,
	.open = open_own,
	.loan = loan_own,
	.send = send_own,
	.take = take_own,
	.release = release,
	.close = close_own,
};
