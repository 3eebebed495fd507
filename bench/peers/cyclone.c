/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cyclone DDS: through iceoryx's shared memory, and without it over the loopback interface.
 */
#include <dds/dds.h>
#include <dds/ddsc/dds_loan_api.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/clock.h"
#include "bench/pair.h"
#include "bench/peers/roudi.h"
#include "cyclone.h"

#define READY_NS UINT64_C(10000000000)
#define PAUSE_NS 2000000
#define SLEEP_NS DDS_SECS(10)

static const struct {
	size_t size;
	const dds_topic_descriptor_t *type;
} types[] = {
	{ 64, &bench_Payload64_desc },           { 1024, &bench_Payload1024_desc },
	{ 4096, &bench_Payload4096_desc },       { 16384, &bench_Payload16384_desc },
	{ 65536, &bench_Payload65536_desc },     { 262144, &bench_Payload262144_desc },
	{ 1048576, &bench_Payload1048576_desc }, { 4194304, &bench_Payload4194304_desc },
	{ 6220800, &bench_Payload6220800_desc }, { 24883200, &bench_Payload24883200_desc },
};

struct end {
	dds_entity_t entity;
	dds_entity_t wait_set;
	/* where there is no loan */
	void *buffer;
	bool has_loans;
};

static dds_entity_t participant;
static bool uses_shm;

static int complain(const char *what, dds_return_t r)
{
	return bench_peer_fail(-EIO, "%s: %s", what, dds_strretcode(-r));
}

static int begin_with(const char *config)
{
	if (setenv("CYCLONEDDS_URI", config, 1) < 0)
		return -errno;
	participant = dds_create_participant(DDS_DOMAIN_DEFAULT, NULL, NULL);
	return participant < 0 ? complain("dds_create_participant()", participant) : 0;
}

#define GENERAL                                                                                    \
	"<General><Interfaces><NetworkInterface name=\"lo\" multicast=\"false\"/></Interfaces>"    \
	"<AllowMulticast>false</AllowMulticast><MaxMessageSize>65500B</MaxMessageSize>"            \
	"<FragmentSize>65000B</FragmentSize></General>"                                            \
	"<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers>"                              \
	"<Peer address=\"localhost\"/></Peers></Discovery>"                                        \
	"<Internal><SocketReceiveBufferSize min=\"default\" max=\"8MiB\"/></Internal>"             \
	"<Tracing><Verbosity>none</Verbosity></Tracing>"

static int begin_shm(enum bench_side side)
{
	(void)side;
	uses_shm = true;
	return begin_with(
		"<CycloneDDS><Domain>" GENERAL
		"<SharedMemory><Enable>true</Enable><Locator>iceoryx/02:03:05:07:0b:0d:00:00:00:00:00:00:00:00:00:00</Locator><LogLevel>error</LogLevel>"
		"</SharedMemory></Domain></CycloneDDS>");
}

static int begin(enum bench_side side)
{
	(void)side;
	return begin_with("<CycloneDDS><Domain>" GENERAL "</Domain></CycloneDDS>");
}

static const dds_topic_descriptor_t *type_of(size_t size)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].size == size)
			return types[i].type;
	return NULL;
}

static dds_qos_t *quality(const struct bench_link *link)
{
	dds_qos_t *qos = dds_create_qos();

	dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(10));
	dds_qset_durability(qos, DDS_DURABILITY_VOLATILE);
	/* With anything else nothing goes through shared memory. */
	if (link->drops || uses_shm)
		dds_qset_history(qos, DDS_HISTORY_KEEP_LAST, (int32_t)link->depth);
	else
		dds_qset_history(qos, DDS_HISTORY_KEEP_ALL, 0);
	if (!link->drops && !uses_shm)
		dds_qset_resource_limits(qos, (int32_t)link->depth, DDS_LENGTH_UNLIMITED,
					 DDS_LENGTH_UNLIMITED);
	return qos;
}

static int open_end(struct bench_end *bench)
{
	const struct bench_link *link = bench->link;
	const dds_topic_descriptor_t *type = type_of(link->size);
	struct end *end = calloc(1, sizeof(*end));
	dds_entity_t topic;
	dds_qos_t *qos;

	if (!end)
		return -ENOMEM;
	bench->of = end;
	if (!type)
		return bench_peer_fail(-EINVAL, "there is no type of %zu bytes", link->size);
	end->buffer = malloc(link->size);
	topic = dds_create_topic(participant, type, link->name, NULL, NULL);
	if (topic < 0)
		return complain("dds_create_topic()", topic);
	qos = quality(link);
	end->entity = bench->is_out ? dds_create_writer(participant, topic, qos, NULL) :
				      dds_create_reader(participant, topic, qos, NULL);
	dds_delete_qos(qos);
	if (end->entity < 0)
		return complain(bench->is_out ? "dds_create_writer()" : "dds_create_reader()",
				end->entity);
	end->has_loans = bench->is_out && dds_is_loan_available(end->entity);
	if (bench->is_out || !link->blocks)
		return 0;
	(void)dds_set_status_mask(end->entity, DDS_DATA_AVAILABLE_STATUS);
	end->wait_set = dds_create_waitset(participant);
	return dds_waitset_attach(end->wait_set, end->entity, 0) < 0 ? -EIO : 0;
}

static uint32_t n_matched(const struct end *end, bool is_out)
{
	dds_publication_matched_status_t out = { 0 };
	dds_subscription_matched_status_t in = { 0 };

	if (is_out)
		(void)dds_get_publication_matched_status(end->entity, &out);
	else
		(void)dds_get_subscription_matched_status(end->entity, &in);
	return is_out ? out.current_count : in.current_count;
}

static int get_ready(struct bench_end *bench)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	const struct end *end = bench->of;
	uint32_t n = bench->is_out ? bench->link->n_in : bench->link->n_out;
	uint64_t start = bench_ns();

	while (n_matched(end, bench->is_out) < n) {
		if (bench_ns() - start > READY_NS)
			return bench_peer_fail(-ETIMEDOUT, "its endpoints do not find each other");
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

static void close_end(struct bench_end *bench)
{
	struct end *end = bench->of;

	if (!end)
		return;
	if (end->wait_set > 0)
		(void)dds_delete(end->wait_set);
	if (end->entity > 0)
		(void)dds_delete(end->entity);
	free(end->buffer);
	free(end);
}

static int loan(struct bench_end *bench, size_t size, void **data)
{
	struct end *end = bench->of;
	dds_return_t r;

	(void)size;
	*data = end->buffer;
	if (!end->has_loans)
		return 0;
	r = dds_loan_sample(end->entity, data);
	return r < 0 ? complain("dds_loan_sample()", r) : 0;
}

static int write_sample(struct bench_end *bench, void *data, size_t size)
{
	struct end *end = bench->of;
	dds_return_t r = dds_write(end->entity, data);

	/* serialised, and to the kernel */
	if (!end->has_loans)
		bench->n_copied += 2 * size;
	return r < 0 ? complain("dds_write()", r) : 0;
}

static int take(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;
	dds_sample_info_t info;
	void *sample = NULL;
	dds_return_t n;

	while ((n = dds_take(end->entity, &sample, &info, 1, 1)) == 0) {
		if (!bench->link->blocks)
			return -EAGAIN;
		n = dds_waitset_wait(end->wait_set, NULL, 0, SLEEP_NS);
		if (n <= 0)
			return n < 0 ? complain("dds_waitset_wait()", n) : -ETIMEDOUT;
	}
	if (n < 0)
		return complain("dds_take()", n);
	if (!info.valid_data)
		return bench_peer_fail(-EIO, "a sample without data has come");
	/* out of the chunk, or out of what the kernel gave: the reader's sample is its own */
	bench->n_copied += bench->link->size;
	message->data = sample;
	message->size = bench->link->size;
	message->of = sample;
	return 0;
}

static int release(struct bench_end *bench, struct bench_message *message)
{
	struct end *end = bench->of;
	dds_return_t r = dds_return_loan(end->entity, &message->of, 1);

	return r < 0 ? complain("dds_return_loan()", r) : 0;
}

const struct bench_peer bench_cyclone_shm_peer = {
	.name = "cyclone-shm",
	.settings =
		"Cyclone DDS with shared memory (iceoryx), types of fixed size, dds_loan_sample(); "
		"reliable; spins on dds_take(), or sleeps in dds_waitset_wait()",
	.can_drop = true,
	.prepare = bench_roudi_start,
	.begin = begin_shm,
	.open = open_end,
	.ready = get_ready,
	.loan = loan,
	.send = write_sample,
	.take = take,
	.release = release,
	.close = close_end,
};

const struct bench_peer bench_cyclone_peer = {
	.name = "cyclone",
	.settings =
		"Cyclone DDS over loopback without multicast, fragments of 65000 bytes; reliable; "
		"spins on dds_take(), or sleeps in dds_waitset_wait()",
	.can_drop = true,
	.begin = begin,
	.open = open_end,
	.ready = get_ready,
	.loan = loan,
	.send = write_sample,
	.take = take,
	.release = release,
	.close = close_end,
};
