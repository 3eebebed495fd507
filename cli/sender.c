/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pace, and what may come between a loan and its publish.
 */
#include "cli/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/alike.h"
#include "cli/complain.h"
#include "cli/stop.h"
#include "pubsub/util.h"

int cli_sender_open(struct cli_sender *sender)
{
	int r = zcp_publisher_open(&sender->publisher, sender->node, sender->topic,
				   sender->options);

	if (r < 0)
		(void)cli_complain_error(sender->node, r, "cannot publish on topic '%s'",
					 sender->topic);
	return r;
}

/* What is on loan and not published yet goes on. */
static int move_loan(struct cli_sender *sender, struct zcp_loan *loan)
{
	struct zcp_loan moved;
	int r = zcp_publisher_loan(sender->publisher, loan->size, &moved);

	if (r < 0) {
		(void)cli_complain_error(sender->node, r, "cannot loan %zu bytes of topic '%s'",
					 loan->size, sender->topic);
		return r;
	}
	if (loan->size > 0)
		memcpy(moved.data, loan->data, loan->size);
	if (moved.user_header)
		memset(moved.user_header, 0, moved.user_header_size);
	*loan = moved;
	return 0;
}

/* The publisher was lost with its runtime: opens another one. `loan` is a loan of it, or NULL. */
static int open_anew(struct cli_sender *sender, struct zcp_loan *loan)
{
	struct zcp_publisher *lost = sender->publisher;
	int r = cli_sender_open(sender);

	if (r < 0)
		return r;
	cli_complain_anew(sender->topic);
	if (loan)
		r = move_loan(sender, loan);
	(void)zcp_publisher_close(lost);
	return r;
}

void cli_sender_attend(struct cli_sender *sender)
{
	/* What was lost is opened anew when it is used. */
	ZCP_IGNORE(zcp_node_wait(sender->node, 0) < 0);
}

/*
 * Waits in the node until `due_ns`, so that it comes back to the next runtime should all of this
 * one be killed. Returns 0; -EINTR: the user wants an end; a negative errno that has been
 * complained about.
 */
static int wait_until(struct cli_sender *sender, uint64_t due_ns, struct zcp_loan *loan)
{
	for (uint64_t now = zcp_now_ns(); now < due_ns; now = zcp_now_ns()) {
		int r = zcp_node_wait(sender->node, (int64_t)(due_ns - now));

		if (cli_stop_asked())
			return -EINTR;
		if (r == -ESTALE)
			r = open_anew(sender, loan);
		else if (r == -EINTR || r == -ETIMEDOUT)
			r = 0;
		else if (r < 0)
			(void)cli_complain_error(sender->node, r,
						 "cannot wait for the next message");
		if (r < 0)
			return r;
	}
	return 0;
}

int cli_sender_stay(struct cli_sender *sender, int64_t timeout_ns)
{
	return wait_until(sender, zcp_now_ns() + (uint64_t)timeout_ns, NULL);
}

bool cli_sender_is_done(const struct cli_sender *sender)
{
	return cli_stop_asked() || (sender->count > 0 && sender->n_published == sender->count);
}

int cli_sender_loan(struct cli_sender *sender, size_t size, struct zcp_loan *loan)
{
	int r = zcp_publisher_loan(sender->publisher, size, loan);

	if (r == -ESTALE) {
		r = open_anew(sender, NULL);
		if (r < 0)
			return r;
		r = zcp_publisher_loan(sender->publisher, size, loan);
	}
	if (r < 0)
		(void)cli_complain_error(sender->node, r, "cannot loan %zu bytes of topic '%s'",
					 size, sender->topic);
	else if (loan->user_header)
		/* Nobody has told us what belongs there; what was there is of another message. */
		memset(loan->user_header, 0, loan->user_header_size);
	return r;
}

/* When the next message is due. Time that was lost is not made up for by a burst. */
static uint64_t next_due(struct cli_sender *sender)
{
	double period_ns = 1e9 / sender->rate;
	uint64_t now = zcp_now_ns();
	uint64_t due = sender->pace_start_ns + (uint64_t)((double)sender->n_paced * period_ns);

	if (sender->pace_start_ns == 0 || (now > due && (double)(now - due) > period_ns)) {
		sender->pace_start_ns = now;
		sender->n_paced = 0;
		due = now;
	}
	sender->n_paced++;
	return due;
}

/* Returns as wait_until(). */
static int wait_for_turn(struct cli_sender *sender, struct zcp_loan *loan)
{
	return sender->rate <= 0 ? 0 : wait_until(sender, next_due(sender), loan);
}

/* Of the time that a publish may take; a signal that means nothing gives none back. */
static int64_t time_left(const struct cli_sender *sender, uint64_t start_ns)
{
	int64_t left;

	if (sender->timeout <= 0)
		return ZCP_FOREVER;
	left = (int64_t)(sender->timeout * 1e9) - (int64_t)(zcp_now_ns() - start_ns);
	return left > 0 ? left : 0;
}

/* Once; the topic's name may be a mistake. */
static void complain_alone(struct cli_sender *sender, bool only_alike)
{
	sender->look_ns = 0;
	if (zcp_publisher_n_subscribers(sender->publisher) == 0)
		cli_complain_no_subscriber(sender->node, sender->topic, only_alike);
}

int cli_sender_wait_subscribers(struct cli_sender *sender, unsigned int n)
{
	uint64_t start_ns = zcp_now_ns();
	int r;

	for (;;) {
		int64_t left = time_left(sender, start_ns);
		int64_t until_look = (int64_t)(sender->look_ns - zcp_now_ns());
		bool looks = sender->look_ns > 0 && (left < 0 || until_look < left);

		if (looks)
			left = until_look > 0 ? until_look : 0;
		r = zcp_publisher_wait_subscribers(sender->publisher, n, left);
		if (r == -ESTALE)
			r = open_anew(sender, NULL);
		else if (r == -ETIMEDOUT && looks)
			complain_alone(sender, false);
		else if (r != -EINTR || cli_stop_asked())
			return r;
	}
}

int cli_sender_publish(struct cli_sender *sender, struct zcp_loan *loan)
{
	int r = wait_for_turn(sender, loan);
	uint64_t start_ns;
	bool is_lost;

	if (r < 0)
		return r;
	start_ns = zcp_now_ns();
	do {
		r = zcp_publisher_publish_timed(sender->publisher, loan,
						time_left(sender, start_ns));
		is_lost = r == -ESTALE;
		if (is_lost && (r = open_anew(sender, loan)) < 0)
			return r;
	} while (is_lost || (r == -EINTR && !cli_stop_asked()));
	if (r == 0 && sender->look_ns > 0 && zcp_now_ns() >= sender->look_ns)
		complain_alone(sender, true);
	if (r == 0)
		sender->n_published++;
	else if (r == -EAGAIN)
		cli_complain("topic '%s' was full for %g s: a subscriber that blocks took "
			     "nothing (see QUEUED in zcp info), so message %" PRIu64
			     " was not published; raise --timeout, or end that subscriber",
			     sender->topic, sender->timeout, sender->n_published + 1);
	else if (r != -EINTR)
		(void)cli_complain_error(sender->node, r, "cannot publish on topic '%s'",
					 sender->topic);
	return r;
}
