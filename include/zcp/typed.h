/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of one C type, for C11 and C++11 with gcc or clang; header-only. The type is named
 * when the endpoint opens, and once more where a message is written or read:
 *
 *   ZCP_PUBLISHER_OPEN(&publisher, node, "imu", struct imu, .loans = 4);
 *   ...
 *   struct imu *imu = zcp_loan_as(&loan, struct imu);
 *
 *   ZCP_SUBSCRIBER_OPEN(&subscriber, node, "imu", struct imu, .depth = 64);
 *   ...
 *   zcp_for_each_sample(sample, subscriber, &r) {
 *           const struct imu *imu = zcp_sample_as(&sample, struct imu);
 *           ...
 *   }
 *
 * C++17 has more of it in zcp/zcp.hpp.
 */
#ifndef ZCP_TYPED_H
#define ZCP_TYPED_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <zcp/publisher.h>
#include <zcp/subscriber.h>
#include <zcp/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ZCP_PUBLISHER_OPEN(publisher, node, topic, TYPE) and ZCP_SUBSCRIBER_OPEN(subscriber, node,
 * topic, TYPE) open an endpoint as zcp_publisher_open() and zcp_subscriber_open() do, with the
 * type's name, size and alignment; they return what those return.
 *
 * In C, options may follow the type, as designated initialisers:
 *
 *   r = ZCP_SUBSCRIBER_OPEN(&subscriber, node, "imu", struct imu, .depth = 64, .history = 1);
 *
 * In C++ the type stands alone, and may have commas; for options see ZCP_TYPE() and zcp/zcp.hpp.
 *
 * The name is the one that is written here; in C one that is a macro is replaced first, so that
 * `bool` is called "_Bool".
 */
#ifdef __cplusplus
#define ZCP_PUBLISHER_OPEN(publisher, node, topic, ...)                                            \
	zcp_typed_publisher_open(publisher, node, topic, #__VA_ARGS__, sizeof(__VA_ARGS__),        \
				 ZCP_ALIGNOF(__VA_ARGS__))
#define ZCP_SUBSCRIBER_OPEN(subscriber, node, topic, ...)                                          \
	zcp_typed_subscriber_open(subscriber, node, topic, #__VA_ARGS__, sizeof(__VA_ARGS__),      \
				  ZCP_ALIGNOF(__VA_ARGS__))
#else
#define ZCP_PUBLISHER_OPEN(publisher, node, topic, ...)                                            \
	zcp_publisher_open(publisher, node, topic,                                                 \
			   &(const struct zcp_publisher_options)ZCP_TYPED_OPTIONS(                 \
				   struct zcp_publisher_options, __VA_ARGS__, ))
#define ZCP_SUBSCRIBER_OPEN(subscriber, node, topic, ...)                                          \
	zcp_subscriber_open(subscriber, node, topic,                                               \
			    &(const struct zcp_subscriber_options)ZCP_TYPED_OPTIONS(               \
				    struct zcp_subscriber_options, __VA_ARGS__, ))
/* Whatever follows the type ends with a comma, as it may in an initialiser. */
#define ZCP_TYPED_OPTIONS(options, type, ...)                                                      \
	{                                                                                          \
		.struct_size = sizeof(options), ZCP_TYPE(type), __VA_ARGS__                        \
	}
#endif

/*
 * zcp_loan_as(loan, TYPE): where to write a TYPE, `TYPE *`; NULL where loan->size is less than
 * its size (what is beyond that is not published), or where the payload is aligned to less than
 * it needs.
 *
 * zcp_sample_as(sample, TYPE): a TYPE to read, `const TYPE *`; NULL where the message is shorter,
 * or lies at an address that it may not have.
 *
 * Both take what is longer as well: a header before data of any length, the first of many.
 * Neither the loan nor the sample is NULL; one that was published, discarded or released gives
 * NULL.
 */
#define zcp_loan_as(loan, type)                                                                    \
	ZCP_TYPED_CAST(type *, zcp_typed_loan(loan, sizeof(type), ZCP_ALIGNOF(type)))
#define zcp_sample_as(sample, type)                                                                \
	ZCP_TYPED_CAST(const type *, zcp_typed_sample(sample, sizeof(type), ZCP_ALIGNOF(type)))

#ifdef __cplusplus
#define ZCP_TYPED_CAST(type, pointer) static_cast<type>(pointer)
#else
#define ZCP_TYPED_CAST(type, pointer) ((type)(pointer))
#endif

/*
 * zcp_for_each_sample(sample, subscriber, error) statement
 *
 * Takes what there is, as zcp_subscriber_take() does, and runs the statement for each; `sample` is
 * a struct zcp_sample of the loop's own. It is released before the next one is taken, and when the
 * statement leaves the loop, by break, return, goto or an exception. A statement that closes the
 * subscriber leaves the loop as well. The loop goes on as long as messages come.
 *
 * *error (an int) is 0 afterwards where all was taken, and where the statement has left the loop;
 * else it says why the next one could not be taken. NULL: the caller does not ask.
 *
 * A sample that is to outlive its turn is moved: kept = zcp_sample_move(&sample).
 */
#define zcp_for_each_sample(sample, subscriber, error)                                             \
	for (struct zcp_sample sample __attribute__((cleanup(zcp_typed_end))) = ZCP_SAMPLE_INIT;   \
	     zcp_typed_next(subscriber, &(sample), error);)

/** Hands a sample over: returns it, and leaves *sample as if it had been released. */
static inline struct zcp_sample zcp_sample_move(struct zcp_sample *sample)
{
	struct zcp_sample moved = *sample;

	sample->data = NULL;
	sample->size = 0;
	sample->user_header = NULL;
	sample->user_header_size = 0;
	return moved;
}

/* --- what the macros above are made of --- */

static inline ZCP_MUST_USE int zcp_typed_publisher_open(struct zcp_publisher **publisher,
							struct zcp_node *node, const char *topic,
							const char *type, size_t size,
							size_t alignment)
{
	struct zcp_publisher_options options = ZCP_PUBLISHER_OPTIONS_INIT;

	options.type = type;
	options.type_size = size;
	options.type_alignment = alignment;
	return zcp_publisher_open(publisher, node, topic, &options);
}

static inline ZCP_MUST_USE int zcp_typed_subscriber_open(struct zcp_subscriber **subscriber,
							 struct zcp_node *node, const char *topic,
							 const char *type, size_t size,
							 size_t alignment)
{
	struct zcp_subscriber_options options = ZCP_SUBSCRIBER_OPTIONS_INIT;

	options.type = type;
	options.type_size = size;
	options.type_alignment = alignment;
	return zcp_subscriber_open(subscriber, node, topic, &options);
}

static inline void *zcp_typed_loan(const struct zcp_loan *loan, size_t size, size_t alignment)
{
	return loan->size >= size && (uintptr_t)loan->data % alignment == 0 ? loan->data : NULL;
}

static inline const void *zcp_typed_sample(const struct zcp_sample *sample, size_t size,
					   size_t alignment)
{
	return sample->size >= size && (uintptr_t)sample->data % alignment == 0 ? sample->data :
										  NULL;
}

/* Nothing to do for one that was released or moved, or whose subscriber is closed. */
static inline void zcp_typed_end(struct zcp_sample *sample)
{
	if (sample->data)
		(void)zcp_sample_release(sample);
}

static inline int zcp_typed_next(struct zcp_subscriber *subscriber, struct zcp_sample *sample,
				 int *error)
{
	int r;

	zcp_typed_end(sample);
	r = zcp_subscriber_take(subscriber, sample);
	if (error)
		*error = r == -EAGAIN ? 0 : r;
	return r == 0;
}

#ifdef __cplusplus
}
#endif

#endif
