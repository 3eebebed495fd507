/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing what endpoints declare.
 */
#include "runtime/open/shape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pubsub/wire/name.h"

struct zcpd_shape zcpd_shape_of_publisher(const struct zcp_open_publisher *request,
					  const struct zcpd_topic_config *config)
{
	return (struct zcpd_shape){
		.is_publisher = true,
		.type = request->type,
		.type_size = request->type_size,
		.type_alignment = request->type_alignment,
		.alignment = request->alignment,
		.user_header_size = request->user_header_size ? request->user_header_size :
								config->user_header,
	};
}

struct zcpd_shape zcpd_shape_of_subscriber(const struct zcp_open_subscriber *request)
{
	return (struct zcpd_shape){
		.type = request->type,
		.type_size = request->type_size,
		.type_alignment = request->type_alignment,
		.user_header_size = request->user_header_size,
	};
}

static const char *who(const struct zcpd_shape *shape)
{
	return shape->is_publisher ? "publisher" : "subscriber";
}

static int check_power(const char *name, uint64_t alignment, char *text, size_t text_size)
{
	if (alignment <= ZCP_ALIGNMENT_MAX && (alignment & (alignment - 1)) == 0)
		return 0;
	(void)snprintf(text, text_size, "%s is %" PRIu64 " bytes: use a power of two, %d at most",
		       name, alignment, ZCP_ALIGNMENT_MAX);
	return -EINVAL;
}

/* "type 'struct imu' of 48 bytes aligned to 8" */
static void describe_type(const struct zcpd_shape *shape, char *text, size_t text_size)
{
	char size[48] = "", alignment[48] = "";
	bool named = shape->type[0];

	if (shape->type_size)
		(void)snprintf(size, sizeof(size), " of %" PRIu64 " bytes", shape->type_size);
	if (shape->type_alignment)
		(void)snprintf(alignment, sizeof(alignment), " aligned to %" PRIu64,
			       shape->type_alignment);
	(void)snprintf(text, text_size, "%s%s%s%s%s", named ? "type '" : "a type", shape->type,
		       named ? "'" : "", size, alignment);
}

/* Others are told of it, in logs and on terminals. */
static int check_type_name(const char *type, char *text, size_t text_size)
{
	const char *wrong = NULL;
	size_t n;

	if (zcp_name_find_control(type, &n))
		wrong = "has a control character: remove it";
	if (!zcp_name_is_utf8(type))
		wrong = "is not UTF-8: encode it so";
	if (!wrong)
		return 0;
	(void)snprintf(text, text_size, "the type's name %s", wrong);
	return -EINVAL;
}

static bool numbers_differ(uint64_t a, uint64_t b)
{
	return a && b && a != b;
}

static int check_type(const struct zcpd_topic *topic, const struct zcpd_shape *shape, char *text,
		      size_t text_size)
{
	const struct zcpd_topic_shape known = zcpd_topic_shape(topic);
	const struct zcpd_shape has = {
		.type = known.type,
		.type_size = known.type_size,
		.type_alignment = known.type_alignment,
	};
	char theirs[ZCP_TYPE_SIZE + 96], ours[ZCP_TYPE_SIZE + 96];
	bool renamed = shape->type[0] && has.type[0] && strcmp(shape->type, has.type) != 0;

	if (!renamed && !numbers_differ(shape->type_size, has.type_size) &&
	    !numbers_differ(shape->type_alignment, has.type_alignment))
		return 0;
	describe_type(&has, ours, sizeof(ours));
	describe_type(shape, theirs, sizeof(theirs));
	(void)snprintf(text, text_size,
		       "topic '%s' has %s, and this %s has %s: use one type, or another topic",
		       topic->entry.name, ours, who(shape), theirs);
	return -EPROTOTYPE;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int check_alignment(const struct zcpd_topic *topic, const struct zcpd_shape *shape,
			   char *text, size_t text_size)
{
	uint64_t wanted = larger(shape->alignment, shape->type_alignment);
	uint32_t has = zcpd_topic_alignment(topic);
	bool automatic = topic->pool->entry.automatic;

	if (has == 0 || wanted <= has)
		return 0;
	(void)snprintf(text, text_size,
		       "topic '%s' has payloads aligned to %" PRIu32
		       " bytes, and this %s needs %" PRIu64 ": set alignment = %" PRIu64
		       " in [%s.\"%s\"] of the configuration",
		       topic->entry.name, has, who(shape), wanted, wanted,
		       automatic ? "topic" : "pool",
		       automatic ? topic->entry.name : topic->pool->entry.name);
	return -EINVAL;
}

/* A publisher without one sends messages without one; a subscriber without one takes any. */
static bool declares_user_header(const struct zcpd_shape *shape)
{
	return shape->is_publisher || shape->user_header_size > 0;
}

static void describe_user_header(uint64_t size, char *text, size_t text_size)
{
	if (size > 0)
		(void)snprintf(text, text_size, "a user header of %" PRIu64 " bytes", size);
	else
		(void)snprintf(text, text_size, "no user header");
}

static int check_user_header(const struct zcpd_topic *topic, const struct zcpd_shape *shape,
			     char *text, size_t text_size)
{
	uint64_t size = shape->user_header_size;
	const struct zcpd_topic_shape has = zcpd_topic_shape(topic);
	const struct zcpd_pool *pool = topic->pool;
	char ours[64], theirs[64];

	if (size > ZCP_USER_HEADER_MAX) {
		(void)snprintf(text, text_size,
			       "user_header_size is %" PRIu64 " bytes, and %d at most: lower it",
			       size, ZCP_USER_HEADER_MAX);
		return -EINVAL;
	}
	if (declares_user_header(shape) && has.has_user_header_size &&
	    size != has.user_header_size) {
		describe_user_header(has.user_header_size, ours, sizeof(ours));
		describe_user_header(size, theirs, sizeof(theirs));
		(void)snprintf(text, text_size,
			       "topic '%s' has %s, and this %s has %s: use one size, or another "
			       "topic",
			       topic->entry.name, ours, who(shape), theirs);
		return -EPROTOTYPE;
	}
	if (!pool->entry.automatic && size > pool->entry.user_header_size) {
		describe_user_header(size, theirs, sizeof(theirs));
		(void)snprintf(text, text_size,
			       "pool '%s' has room for user headers of %" PRIu32
			       " bytes, and this %s has %s: set user_header = %" PRIu64
			       " in [pool.\"%s\"] of the configuration",
			       pool->entry.name, pool->entry.user_header_size, who(shape), theirs,
			       size, pool->entry.name);
		return -EINVAL;
	}
	return 0;
}

int zcpd_shape_check(const struct zcpd_topic *topic, const struct zcpd_shape *shape, char *text,
		     size_t text_size)
{
	int r = check_type_name(shape->type, text, text_size);

	if (r == 0)
		r = check_power("type_alignment", shape->type_alignment, text, text_size);
	if (r == 0)
		r = check_power("alignment", shape->alignment, text, text_size);
	if (r == 0)
		r = check_type(topic, shape, text, text_size);
	if (r == 0)
		r = check_alignment(topic, shape, text, text_size);
	return r < 0 ? r : check_user_header(topic, shape, text, text_size);
}

uint32_t zcpd_shape_alignment(const struct zcpd_topic *topic, const struct zcpd_shape *shape)
{
	uint64_t type = larger(shape->type_alignment, zcpd_topic_shape(topic).type_alignment);
	uint32_t has = zcpd_topic_alignment(topic);

	return has ? has : (uint32_t)larger(larger(shape->alignment, type), ZCP_ALIGNMENT_MIN);
}

void zcpd_shape_settle(struct zcpd_topic *topic, const struct zcpd_shape *shape)
{
	zcpd_topic_set_type(topic, shape->type, shape->type_size, shape->type_alignment);
	zcpd_topic_set_user_header(topic, (uint32_t)shape->user_header_size);
}

void zcpd_shape_declare(struct zcpd_endpoint *subscriber, const struct zcpd_shape *shape)
{
	(void)snprintf(subscriber->entry.type, sizeof(subscriber->entry.type), "%s", shape->type);
	subscriber->entry.type_size = shape->type_size;
	subscriber->entry.type_alignment = shape->type_alignment;
	subscriber->entry.user_header_size = (uint32_t)shape->user_header_size;
}

bool zcpd_shape_hand_back(struct zcpd_endpoint *subscriber, const struct zcp_hand_back *declared)
{
	const struct zcpd_shape shape = {
		.type = declared->type,
		.type_size = declared->type_size,
		.type_alignment = declared->type_alignment,
		.user_header_size = declared->user_header_size,
	};
	char text[ZCP_TEXT_SIZE];

	if (check_type_name(shape.type, text, sizeof(text)) < 0 ||
	    check_power("type_alignment", shape.type_alignment, text, sizeof(text)) < 0 ||
	    shape.user_header_size > ZCP_USER_HEADER_MAX)
		return false;
	zcpd_shape_declare(subscriber, &shape);
	return true;
}
