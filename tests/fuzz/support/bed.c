/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the domain, mapping it, and putting it back.
 */
#include "tests/fuzz/support/bed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/domain/trim_pool.h"
#include "runtime/open/open.h"
#include "tests/fuzz/support/guard.h"
#include "tests/support/check.h"

#define N_REGIONS (2 * ZCP_FUZZ_TOPICS + 2 * ZCP_FUZZ_CLASSES + 1)

/* As it was made. */
static struct {
	char *bytes[N_REGIONS];
	struct zcpd_topic topics[ZCP_FUZZ_TOPICS];
	struct zcpd_pool pool;
	uint64_t last_id;
} pristine;

static const char *const names[ZCP_FUZZ_TOPICS] = { "forgets", "keeps" };

static const char configuration[] = "[runtime]\n"
				    "fences = \"symmetric\"\n"
				    "max_nodes = 4\n"
				    "[pool.shared]\n"
				    "classes = [ { size = 64, count = 480 },\n"
				    "            { size = 300, count = 480 },\n"
				    "            { size = 5000, count = 480 } ]\n"
				    "user_header = 24\n"
				    "[topic.\"*\"]\n"
				    "pool = \"shared\"\n"
				    "max_publishers = 4\n"
				    "max_subscribers = 4\n"
				    "depth = 2\n"
				    "max_depth = 8\n"
				    "held = 2\n"
				    "[topic.forgets]\n"
				    "user_header = 24\n"
				    "[topic.keeps]\n"
				    "keep_history = true\n"
				    "history = 2\n";

static void attach_topics(struct zcp_fuzz_view *view, const struct zcp_fuzz_bed *bed, bool writable)
{
	uint64_t domain = bed->registry.domain_id;
	const char *why;

	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++) {
		const struct zcpd_topic *topic = bed->topics[i];
		struct zcp_topic *attached = &view->topics[i];

		ZCP_CHECK(zcp_topic_attach(attached, writable ? topic->fd : topic->readonly_fd,
					   domain, writable, &why) == 0);
		ZCP_CHECK(zcp_acks_attach(&view->acks[i], topic->acks_fd,
					  attached->geometry.max_publishers,
					  attached->geometry.max_subscribers, domain,
					  topic->entry.id, &why) == 0);
	}
	ZCP_CHECK(zcp_signals_attach(&view->signals, bed->registry.signals_fd, domain, &why) == 0);
}

static void attach(struct zcp_fuzz_view *view, const struct zcp_fuzz_bed *bed, bool writable,
		   int n_classes)
{
	const char *why;

	for (int i = 0; i < n_classes; i++) {
		const struct zcpd_class *class = &bed->pool->classes[i];

		ZCP_CHECK(zcp_pool_attach(&view->pool,
					  writable ? class->chunks_fd : class->chunks_readonly_fd,
					  writable ? class->data_fd : class->data_readonly_fd,
					  bed->registry.domain_id, writable, &why) == 0);
	}
	attach_topics(view, bed, writable);
}

static void poison_behind(const struct zcp_region *region, const void *end)
{
	zcp_fuzz_poison(end, (char *)region->base + region->size);
}

static void poison_topic(const struct zcp_topic *topic)
{
	poison_behind(&topic->region, (char *)topic->shm + zcp_topic_size(&topic->geometry));
}

/* What is before the first block, and what is behind the last place of each. */
static void poison_acks(const struct zcp_acks *acks)
{
	zcp_fuzz_poison(acks->shm->rooms + acks->max_publishers, acks->blocks);
	for (uint32_t s = 0; s < acks->max_subscribers; s++)
		zcp_fuzz_poison(zcp_acks_held(acks, s) + ZCP_HELD_MAX,
				zcp_acks_block(acks, s) + acks->block_stride);
	poison_behind(&acks->region, zcp_acks_block(acks, acks->max_subscribers));
}

/* What is neither a user header nor payload. */
static void poison_data(const struct zcp_class *class)
{
	const char *from = class->data_region.base;

	for (uint32_t i = 0; i < class->n_chunks; i++) {
		const char *payload = zcp_class_payload(class, i);

		zcp_fuzz_poison(from, payload - class->header_room);
		from = payload + class->payload_size;
	}
	poison_behind(&class->data_region, from);
}

static void poison_pool(const struct zcp_pool *pool)
{
	for (uint32_t c = 0; c < pool->n_classes; c++) {
		const struct zcp_class *class = &pool->classes[c];

		poison_behind(&class->chunks_region, class->chunks + class->n_chunks);
		/* The runtime does not map them. */
		if (class->data_region.base)
			poison_data(class);
	}
}

static void poison_view(const struct zcp_fuzz_view *view)
{
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++) {
		poison_topic(&view->topics[i]);
		poison_acks(&view->acks[i]);
	}
	poison_pool(&view->pool);
	poison_behind(&view->signals.region, view->signals.signals + view->signals.n_signals);
}

static struct zcp_region *region_of(struct zcp_fuzz_view *view, int i)
{
	if (i < ZCP_FUZZ_TOPICS)
		return &view->topics[i].region;
	i -= ZCP_FUZZ_TOPICS;
	if (i < ZCP_FUZZ_TOPICS)
		return &view->acks[i].region;
	i -= ZCP_FUZZ_TOPICS;
	if (i < ZCP_FUZZ_CLASSES)
		return &view->pool.classes[i].chunks_region;
	i -= ZCP_FUZZ_CLASSES;
	return i < ZCP_FUZZ_CLASSES ? &view->pool.classes[i].data_region : &view->signals.region;
}

/* Chunks are all zero: where a region is one of those, its memory is given back instead. */
static bool is_data(int i)
{
	return i >= 2 * ZCP_FUZZ_TOPICS + ZCP_FUZZ_CLASSES && i < N_REGIONS - 1;
}

static struct zcpd_endpoint *open_publisher(struct zcp_fuzz_bed *bed, const char *topic)
{
	const struct zcpd_client client = { .node = "anchor", .pid = 1 };
	struct zcp_open_publisher request = { .loans = 1 };
	struct zcpd_endpoint *publisher;
	char text[ZCP_TEXT_SIZE];

	(void)strcpy(request.topic, topic);
	ZCP_CHECK(zcpd_open_publisher(&bed->registry, &client, &request, &publisher, text,
				      sizeof(text)) == 0);
	return publisher;
}

/* All slots have had a publisher, so that owner numbers do not depend on former inputs. */
static void make_topic(struct zcp_fuzz_bed *bed, int i)
{
	struct zcpd_endpoint *publishers[ZCP_TOPIC_PUBLISHERS_MAX];
	uint32_t n = 0;

	do {
		publishers[n++] = open_publisher(bed, names[i]);
		bed->topics[i] = publishers[0]->topic;
	} while (n < bed->topics[i]->view.geometry.max_publishers);
	while (n > 1)
		zcpd_registry_close(&bed->registry, publishers[--n], 0);
}

static void remember(struct zcp_fuzz_bed *bed)
{
	for (int i = 0; i < N_REGIONS; i++) {
		const struct zcp_region *region = region_of(&bed->keeper, i);

		pristine.bytes[i] = malloc(region->size);
		ZCP_CHECK(pristine.bytes[i]);
		memcpy(pristine.bytes[i], region->base, region->size);
	}
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		pristine.topics[i] = *bed->topics[i];
	pristine.pool = *bed->pool;
	pristine.last_id = bed->registry.last_id;
}

void zcp_fuzz_bed_init(struct zcp_fuzz_bed *bed, const struct zcpd_registry_events *events)
{
	struct zcpd_config_error error;

	ZCP_CHECK(zcpd_config_parse(&bed->config, configuration, strlen(configuration), "fuzz",
				    &error) == 0);
	ZCP_CHECK(zcpd_registry_init(&bed->registry, bed->config, true, events) == 0);
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++)
		make_topic(bed, i);
	bed->pool = bed->topics[0]->pool;
	ZCP_CHECK(bed->topics[1]->pool == bed->pool);
	attach(&bed->keeper, bed, true, ZCP_FUZZ_CLASSES);
	attach(&bed->writable, bed, true, ZCP_FUZZ_CLASSES);
	attach(&bed->readonly, bed, false, ZCP_FUZZ_CLASSES);
	attach(&bed->partial, bed, false, 1);
	remember(bed);
	poison_view(&bed->writable);
	poison_view(&bed->readonly);
	poison_view(&bed->partial);
	/* What the runtime itself has mapped. */
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++) {
		poison_topic(&bed->topics[i]->view);
		poison_acks(&bed->topics[i]->acks);
	}
	poison_pool(&bed->pool->view);
}

void zcp_fuzz_bed_reset(struct zcp_fuzz_bed *bed)
{
	ZCP_CHECK(TAILQ_EMPTY(&bed->registry.pending));
	ZCP_CHECK(bed->registry.n_topics == ZCP_FUZZ_TOPICS);
	bed->pool->trim = zcpd_trim_pool_free(bed->pool->trim);
	ZCP_CHECK(memcmp(bed->pool->owners, pristine.pool.owners, sizeof(pristine.pool.owners)) ==
		  0);
	for (int i = 0; i < ZCP_FUZZ_TOPICS; i++) {
		ZCP_CHECK(bed->topics[i]->n_publishers == 1);
		ZCP_CHECK(bed->topics[i]->n_subscribers == 0);
		*bed->topics[i] = pristine.topics[i];
	}
	*bed->pool = pristine.pool;
	bed->registry.last_id = pristine.last_id;
	for (int i = 0; i < N_REGIONS; i++) {
		const struct zcp_region *region = region_of(&bed->keeper, i);

		memcpy(region->base, pristine.bytes[i],
		       is_data(i) ? ZCP_CLASS_DATA_OFFSET : region->size);
	}
	for (int i = 0; i < ZCP_FUZZ_CLASSES; i++)
		ZCP_CHECK(fallocate(bed->pool->classes[i].data_fd,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    ZCP_CLASS_DATA_OFFSET,
				    (off_t)(bed->keeper.pool.classes[i].data_region.size -
					    ZCP_CLASS_DATA_OFFSET)) == 0);
}
