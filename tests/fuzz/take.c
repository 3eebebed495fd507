/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing, taking, joining, leaving and dying over shared memory in which everything can
 * change at any moment, and the runtime that recovers it: nobody reads or writes what is not
 * his, goes round for ever, or fails a check. And as long as nobody has lied all that was
 * sent arrives, and the audit finds nothing.
 *
 *   w NUMBER      before everything else: number of the first messages
 *   v    V        the runtime looks after those that join and leave; their time is over
 *   i    a        the runtime tells all it knows; audits itself
 *   k    f N      sweeps; chunks became FREE: it makes N of the looks after which their memory is
 *                 given back
 *   m TOPIC KIND  somebody looks who publishes, who subscribes
 *   x N           whoever does something next dies at its N-th access to shared memory
 *   @ N LIE       the lie is told at the N-th access from now on
 *
 * and what support/players.h and support/lies.h say.
 */
#include <stdio.h>
#include <string.h>

#include "pubsub/shm/members.h"
#include "pubsub/util.h"
#include "runtime/domain/trim_pool.h"
#include "runtime/repair/audit.h"
#include "runtime/repair/reclaim.h"
#include "runtime/repair/sweep.h"
#include "runtime/serve/info.h"
#include "tests/fuzz/support/descriptors.h"
#include "tests/fuzz/support/guard.h"
#include "tests/fuzz/support/lies.h"
#include "tests/fuzz/support/players.h"
#include "tests/support/check.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An audit takes as long as a hundred other commands. */
#define AUDITS_MAX 1

static struct zcp_fuzz_players players;
static struct zcp_members members[ZCP_FUZZ_TOPICS][2];
static uint32_t n_audits;

static bool is_anyone_lied_to(void)
{
	for (int i = 0; i < ZCP_FUZZ_SUBSCRIBERS; i++)
		if (players.subscribers[i].endpoint &&
		    zcp_fuzz_is_subscriber_lied_to(&players, &players.subscribers[i]))
			return true;
	return false;
}

static void audit(void)
{
	struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
	const struct zcp_audit_report *report = &reply.u.audit_report;
	char text[ZCP_TEXT_SIZE];

	if (n_audits++ >= AUDITS_MAX)
		return;
	ZCP_CHECK(zcpd_audit(&players.bed.registry, &reply, text, sizeof(text)) == 0);
	/* What somebody holds that there is not is the subscriber's own. */
	if (zcp_fuzz_n_others_lies() == 0 && report->n_leaked == 0 &&
	    (report->n_wrong == 0 || is_anyone_lied_to())) {
		zcp_message_deinit(&reply);
		return;
	}
	if (zcp_fuzz_n_others_lies() == 0) {
		for (uint32_t i = 0; i < report->n_findings; i++)
			(void)fprintf(stderr, "%s\n", report->findings[i].text);
		ZCP_CHECK(false);
	}
	zcp_message_deinit(&reply);
}

static void check_classes(const struct zcp_topic_info *info)
{
	for (uint32_t i = 0; i < info->n_classes; i++) {
		const struct zcp_class_info *class = &info->classes[i];

		uint64_t n = (uint64_t) class->n_free + class->n_spare + class->n_loaned +
			     class->n_queued + class->n_held + class->n_history;

		/* What nobody has, as far as anybody knows, has leaked. */
		ZCP_CHECK(n <= class->n_chunks);
		ZCP_CHECK(n == class->n_chunks || zcp_fuzz_n_others_lies() > 0);
	}
}

static void ask(void)
{
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++) {
		struct zcp_message reply = { .type = ZCP_MESSAGE_NONE };
		struct zcp_endpoints endpoints = { .from = 0 };
		struct zcp_info topic = { .topic = "" };
		char text[ZCP_TEXT_SIZE];

		(void)strcpy(topic.topic, players.bed.topics[i]->entry.name);
		(void)strcpy(endpoints.topic, topic.topic);
		ZCP_CHECK(zcpd_info_topic(&players.bed.registry, &topic, &reply, text,
					  sizeof(text)) == 0);
		check_classes(&reply.u.topic_info);
		zcp_message_deinit(&reply);
		ZCP_CHECK(zcpd_info_endpoints(&players.bed.registry, &endpoints, &reply, text,
					      sizeof(text)) == 0);
		zcp_message_deinit(&reply);
	}
}

static void check_member(const struct zcp_member *member)
{
	ZCP_CHECK(member->id != 0);
	ZCP_CHECK(memchr(member->node, 0, sizeof(member->node)));
	for (const char *c = member->node; *c; c++)
		ZCP_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void look_at_members(struct zcp_members *known)
{
	struct zcp_members_look look = zcp_members_look(known);
	uint32_t n = known->n_known, n_steps = 0;
	struct zcp_member member;
	bool has_joined;

	ZCP_IGNORE(zcp_members_have_changed(known));
	while (zcp_members_next(known, &look, &member, &has_joined)) {
		n += has_joined ? 1 : -1u;
		check_member(&member);
		ZCP_IGNORE(zcp_member_find(known->topic, known->kind, member.id, &member));
		ZCP_CHECK(++n_steps <= 2 * known->n_slots);
	}
	ZCP_CHECK(known->n_known == n && n <= known->n_slots);
	ZCP_CHECK(zcp_fuzz_n_others_lies() > 0 || n == zcp_member_count(known->topic, known->kind));
}

static void let_time_pass(void)
{
	struct zcpd_endpoint *endpoint;

	TAILQ_FOREACH(endpoint, &players.bed.registry.pending, pending)
		endpoint->deadline_ns = 0;
}

/* The configured time is no matter: each look comes when it is due. */
static void trim(uint32_t n_looks)
{
	struct zcpd_pool *pool = players.bed.pool;

	zcpd_trim_pool_freed(pool, 0, 0);
	for (uint32_t i = 0; i < n_looks && zcpd_trim_pool_due(pool) != ZCPD_TRIM_IDLE; i++)
		zcpd_trim_pool_turn(pool, i % 2, zcpd_trim_pool_due(pool));
}

static void run(char command, struct zcp_fuzz_input *input)
{
	uint32_t n;

	zcp_fuzz_players_begin();
	if (strchr(ZCP_FUZZ_PUBLISHING, command)) {
		zcp_fuzz_publish(&players, command, input);
		return;
	}
	if (strchr(ZCP_FUZZ_SUBSCRIBING, command)) {
		zcp_fuzz_subscribe(&players, command, input);
		return;
	}
	if (strchr(ZCP_FUZZ_LIES, command)) {
		zcp_fuzz_lie(&players.bed, command, input, -1);
		return;
	}
	switch (command) {
	case 'V':
		let_time_pass();
		/* fall through */
	case 'v':
		ZCP_IGNORE(zcpd_registry_poll(&players.bed.registry));
		zcp_fuzz_let_join(&players);
		break;
	case 'i':
		ask();
		zcp_fuzz_players_check(&players);
		break;
	case 'a':
		audit();
		break;
	case 'k':
		for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
			ZCP_IGNORE(zcpd_topic_sweep(players.bed.topics[i], false));
		break;
	case 'f':
		trim(zcp_fuzz_below(input, 8));
		break;
	case 'm':
		n = zcp_fuzz_below(input, ZCP_FUZZ_TOPICS);
		look_at_members(&members[n][zcp_fuzz_below(input, 2)]);
		break;
	case 'x':
		zcp_fuzz_die(zcp_fuzz_below(input, 256));
		break;
	case '@':
		n = zcp_fuzz_below(input, 1024);
		command = zcp_fuzz_command(input, ZCP_FUZZ_LIES);
		if (command)
			zcp_fuzz_lie(&players.bed, command, input, n);
		break;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	zcp_fuzz_players_init(&players);
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		for (int kind = 0; kind < 2; kind++)
			ZCP_CHECK(zcp_members_init(&members[i][kind],
						   &players.bed.readonly.topics[i],
						   (enum zcp_member_kind)kind) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zcp_fuzz_input input = { data, data + size };
	char command;

	zcp_fuzz_descriptors_begin();
	zcp_fuzz_lies_reset();
	n_audits = 0;
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		for (int kind = 0; kind < 2; kind++)
			zcp_members_reset(&members[i][kind]);
	if (zcp_fuzz_begins_with(&input, 'w'))
		zcp_fuzz_begin_at(&players.bed, zcp_fuzz_number(&input));
	while ((command = zcp_fuzz_command(&input,
					   ZCP_FUZZ_PUBLISHING ZCP_FUZZ_SUBSCRIBING ZCP_FUZZ_LIES
					   "vViakfmx@"))) {
		run(command, &input);
		zcp_fuzz_stop_running();
	}
	zcp_fuzz_players_reset(&players);
	zcp_fuzz_descriptors_check();
	return 0;
}
