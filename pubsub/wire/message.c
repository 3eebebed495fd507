/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables: one line for each field of each message.
 */
#include "pubsub/wire/message.h"

#include <stdlib.h>
#include <string.h>

#define BOOL(type, member)                                                                         \
	{                                                                                          \
		ZCP_FIELD_BOOL, #member, offsetof(struct type, member), 0, 0, 0, NULL              \
	}
#define U32(type, member)                                                                          \
	{                                                                                          \
		ZCP_FIELD_U32, #member, offsetof(struct type, member), 0, 0, 0, NULL               \
	}
#define U64(type, member)                                                                          \
	{                                                                                          \
		ZCP_FIELD_U64, #member, offsetof(struct type, member), 0, 0, 0, NULL               \
	}
#define STRING(type, member)                                                                       \
	{                                                                                          \
		ZCP_FIELD_STRING, #member, offsetof(struct type, member),                          \
			sizeof(((struct type *)NULL)->member), 0, 0, NULL                          \
	}
#define LIST(type, member, max, element)                                                           \
	{                                                                                          \
		ZCP_FIELD_LIST, #member, offsetof(struct type, member), sizeof(struct element),    \
			offsetof(struct type, n_##member), max, element##_fields                   \
	}
#define END                                                                                        \
	{                                                                                          \
		ZCP_FIELD_END, NULL, 0, 0, 0, 0, NULL                                              \
	}

/* One field a line, so that what is added to a message is seen. */
/* clang-format off */
static const struct zcp_field zcp_hello_fields[] = {
	U64(zcp_hello, fingerprint),
	STRING(zcp_hello, name),
	STRING(zcp_hello, program),
	BOOL(zcp_hello, membarrier),
	U64(zcp_hello, domain_id),
	U64(zcp_hello, node),
	U32(zcp_hello, signal),
	BOOL(zcp_hello, symmetric),
	END,
};

static const struct zcp_field zcp_welcome_fields[] = {
	U64(zcp_welcome, domain_id),
	U64(zcp_welcome, fingerprint),
	U64(zcp_welcome, node),
	U32(zcp_welcome, signal),
	BOOL(zcp_welcome, symmetric),
	STRING(zcp_welcome, version),
	STRING(zcp_welcome, config),
	END,
};

static const struct zcp_field zcp_open_publisher_fields[] = {
	STRING(zcp_open_publisher, topic),
	STRING(zcp_open_publisher, type),
	U64(zcp_open_publisher, type_size),
	U64(zcp_open_publisher, type_alignment),
	U64(zcp_open_publisher, max_payload),
	U32(zcp_open_publisher, loans),
	U32(zcp_open_publisher, history),
	U64(zcp_open_publisher, alignment),
	U64(zcp_open_publisher, user_header_size),
	END,
};

static const struct zcp_field zcp_open_subscriber_fields[] = {
	STRING(zcp_open_subscriber, topic),
	STRING(zcp_open_subscriber, type),
	U64(zcp_open_subscriber, type_size),
	U64(zcp_open_subscriber, type_alignment),
	U32(zcp_open_subscriber, depth),
	U32(zcp_open_subscriber, held),
	U32(zcp_open_subscriber, on_full),
	U32(zcp_open_subscriber, history),
	U32(zcp_open_subscriber, order),
	U64(zcp_open_subscriber, user_header_size),
	BOOL(zcp_open_subscriber, observes),
	END,
};

static const struct zcp_field zcp_opened_fields[] = {
	U64(zcp_opened, endpoint),
	U32(zcp_opened, slot),
	U32(zcp_opened, owner),
	U32(zcp_opened, class),
	U32(zcp_opened, loans),
	U32(zcp_opened, depth_log2),
	U32(zcp_opened, held),
	U32(zcp_opened, on_full),
	U32(zcp_opened, history),
	U32(zcp_opened, order),
	BOOL(zcp_opened, backlog),
	BOOL(zcp_opened, timestamps),
	U64(zcp_opened, max_payload),
	U32(zcp_opened, user_header_size),
	END,
};

static const struct zcp_field zcp_close_fields[] = {
	U64(zcp_close, endpoint),
	U64(zcp_close, opened_by),
	END,
};

static const struct zcp_field zcp_pool_get_fields[] = {
	U64(zcp_pool_get, endpoint),
	END,
};

static const struct zcp_field zcp_pool_classes_fields[] = {
	U64(zcp_pool_classes, endpoint),
	END,
};

static const struct zcp_field zcp_freed_fields[] = {
	U64(zcp_freed, endpoint),
	END,
};

static const struct zcp_field zcp_signal_fd_fields[] = {
	END,
};

static const struct zcp_field zcp_signal_get_fields[] = {
	U32(zcp_signal_get, signal),
	END,
};

static const struct zcp_field zcp_signal_of_fields[] = {
	U32(zcp_signal_of, signal),
	U64(zcp_signal_of, node),
	END,
};

static const struct zcp_field zcp_ok_fields[] = {
	END,
};

static const struct zcp_field zcp_error_fields[] = {
	U32(zcp_error, code),
	STRING(zcp_error, text),
	END,
};

static const struct zcp_field zcp_list_fields[] = {
	STRING(zcp_list, after),
	END,
};

static const struct zcp_field zcp_topic_line_fields[] = {
	STRING(zcp_topic_line, name),
	STRING(zcp_topic_line, type),
	U32(zcp_topic_line, n_publishers),
	U32(zcp_topic_line, n_subscribers),
	U64(zcp_topic_line, n_messages),
	END,
};

static const struct zcp_field zcp_topics_fields[] = {
	LIST(zcp_topics, topics, ZCP_TOPICS_PER_PAGE, zcp_topic_line),
	BOOL(zcp_topics, more),
	END,
};

static const struct zcp_field zcp_info_fields[] = {
	STRING(zcp_info, topic),
	END,
};

static const struct zcp_field zcp_class_info_fields[] = {
	U64(zcp_class_info, payload_size),
	U32(zcp_class_info, n_chunks),
	U32(zcp_class_info, n_free),
	U32(zcp_class_info, n_spare),
	U32(zcp_class_info, n_loaned),
	U32(zcp_class_info, n_queued),
	U32(zcp_class_info, n_held),
	U32(zcp_class_info, n_history),
	U32(zcp_class_info, n_used),
	U64(zcp_class_info, n_bytes),
	U64(zcp_class_info, n_reserved),
	END,
};

static const struct zcp_field zcp_topic_info_fields[] = {
	STRING(zcp_topic_info, name),
	STRING(zcp_topic_info, type),
	U64(zcp_topic_info, type_size),
	U64(zcp_topic_info, type_alignment),
	U32(zcp_topic_info, alignment),
	U32(zcp_topic_info, user_header_size),
	STRING(zcp_topic_info, pool),
	U32(zcp_topic_info, max_publishers),
	U32(zcp_topic_info, max_subscribers),
	U32(zcp_topic_info, n_publishers),
	U32(zcp_topic_info, n_subscribers),
	U32(zcp_topic_info, depth),
	U32(zcp_topic_info, max_depth),
	U32(zcp_topic_info, held),
	U32(zcp_topic_info, on_full),
	U32(zcp_topic_info, loans),
	U32(zcp_topic_info, history),
	BOOL(zcp_topic_info, keep_history),
	U32(zcp_topic_info, order),
	U64(zcp_topic_info, max_payload),
	BOOL(zcp_topic_info, timestamps),
	U64(zcp_topic_info, n_messages),
	U64(zcp_topic_info, n_lost),
	BOOL(zcp_topic_info, own_pool),
	BOOL(zcp_topic_info, prefaulted),
	BOOL(zcp_topic_info, locked),
	STRING(zcp_topic_info, pages),
	U32(zcp_topic_info, n_pool_topics),
	U64(zcp_topic_info, n_reserved),
	U64(zcp_topic_info, n_pool_reserved),
	LIST(zcp_topic_info, classes, 64, zcp_class_info),
	END,
};

static const struct zcp_field zcp_endpoints_fields[] = {
	STRING(zcp_endpoints, topic),
	U32(zcp_endpoints, from),
	END,
};

static const struct zcp_field zcp_publisher_info_fields[] = {
	U64(zcp_publisher_info, id),
	STRING(zcp_publisher_info, node),
	U32(zcp_publisher_info, pid),
	U32(zcp_publisher_info, slot),
	U32(zcp_publisher_info, n_subscribers),
	U32(zcp_publisher_info, loans),
	U32(zcp_publisher_info, history),
	U64(zcp_publisher_info, max_payload),
	U64(zcp_publisher_info, n_messages),
	U64(zcp_publisher_info, n_exhausted),
	END,
};

static const struct zcp_field zcp_subscriber_info_fields[] = {
	U64(zcp_subscriber_info, id),
	STRING(zcp_subscriber_info, node),
	U32(zcp_subscriber_info, pid),
	U32(zcp_subscriber_info, slot),
	U32(zcp_subscriber_info, n_publishers),
	U32(zcp_subscriber_info, depth),
	U32(zcp_subscriber_info, held),
	U32(zcp_subscriber_info, on_full),
	U32(zcp_subscriber_info, history),
	U32(zcp_subscriber_info, order),
	U64(zcp_subscriber_info, n_taken),
	U64(zcp_subscriber_info, n_lost),
	U64(zcp_subscriber_info, n_queued),
	END,
};

static const struct zcp_field zcp_endpoint_page_fields[] = {
	LIST(zcp_endpoint_page, publishers, ZCP_ENDPOINTS_PER_PAGE, zcp_publisher_info),
	LIST(zcp_endpoint_page, subscribers, ZCP_ENDPOINTS_PER_PAGE, zcp_subscriber_info),
	BOOL(zcp_endpoint_page, more),
	U32(zcp_endpoint_page, next),
	END,
};

static const struct zcp_field zcp_audit_fields[] = {
	END,
};

static const struct zcp_field zcp_finding_fields[] = {
	STRING(zcp_finding, text),
	END,
};

static const struct zcp_field zcp_audit_report_fields[] = {
	U64(zcp_audit_report, n_topics),
	U64(zcp_audit_report, n_pools),
	U64(zcp_audit_report, n_chunks),
	U64(zcp_audit_report, n_free),
	U64(zcp_audit_report, n_spare),
	U64(zcp_audit_report, n_loaned),
	U64(zcp_audit_report, n_queued),
	U64(zcp_audit_report, n_held),
	U64(zcp_audit_report, n_history),
	U64(zcp_audit_report, n_leaked),
	U64(zcp_audit_report, n_wrong),
	LIST(zcp_audit_report, findings, ZCP_FINDINGS_MAX, zcp_finding),
	END,
};

static const struct zcp_field zcp_hand_back_fields[] = {
	U64(zcp_hand_back, endpoint),
	STRING(zcp_hand_back, type),
	U64(zcp_hand_back, type_size),
	U64(zcp_hand_back, type_alignment),
	U64(zcp_hand_back, user_header_size),
	END,
};

static const struct zcp_field zcp_handed_back_fields[] = {
	END,
};

static const struct zcp_field zcp_replace_fields[] = {
	U64(zcp_replace, fingerprint),
	STRING(zcp_replace, version),
	END,
};

/* clang-format on */

const struct zcp_message_table *zcp_message_table(enum zcp_message_type type)
{
	static const struct zcp_message_table tables[ZCP_MESSAGE_N_TYPES] = {
		[ZCP_MESSAGE_HELLO] = { "hello", zcp_hello_fields },
		[ZCP_MESSAGE_WELCOME] = { "welcome", zcp_welcome_fields },
		[ZCP_MESSAGE_OPEN_PUBLISHER] = { "open_publisher", zcp_open_publisher_fields },
		[ZCP_MESSAGE_OPEN_SUBSCRIBER] = { "open_subscriber", zcp_open_subscriber_fields },
		[ZCP_MESSAGE_OPENED] = { "opened", zcp_opened_fields },
		[ZCP_MESSAGE_CLOSE] = { "close", zcp_close_fields },
		[ZCP_MESSAGE_POOL_GET] = { "pool_get", zcp_pool_get_fields },
		[ZCP_MESSAGE_POOL_CLASSES] = { "pool_classes", zcp_pool_classes_fields },
		[ZCP_MESSAGE_FREED] = { "freed", zcp_freed_fields },
		[ZCP_MESSAGE_SIGNAL_FD] = { "signal_fd", zcp_signal_fd_fields },
		[ZCP_MESSAGE_SIGNAL_GET] = { "signal_get", zcp_signal_get_fields },
		[ZCP_MESSAGE_SIGNAL] = { "signal", zcp_signal_of_fields },
		[ZCP_MESSAGE_OK] = { "ok", zcp_ok_fields },
		[ZCP_MESSAGE_ERROR] = { "error", zcp_error_fields },
		[ZCP_MESSAGE_LIST] = { "list", zcp_list_fields },
		[ZCP_MESSAGE_TOPICS] = { "topics", zcp_topics_fields },
		[ZCP_MESSAGE_INFO] = { "info", zcp_info_fields },
		[ZCP_MESSAGE_TOPIC_INFO] = { "topic_info", zcp_topic_info_fields },
		[ZCP_MESSAGE_ENDPOINTS] = { "endpoints", zcp_endpoints_fields },
		[ZCP_MESSAGE_ENDPOINT_PAGE] = { "endpoint_page", zcp_endpoint_page_fields },
		[ZCP_MESSAGE_AUDIT] = { "audit", zcp_audit_fields },
		[ZCP_MESSAGE_AUDIT_REPORT] = { "audit_report", zcp_audit_report_fields },
		[ZCP_MESSAGE_HAND_BACK] = { "hand_back", zcp_hand_back_fields },
		[ZCP_MESSAGE_HANDED_BACK] = { "handed_back", zcp_handed_back_fields },
		[ZCP_MESSAGE_REPLACE] = { "replace", zcp_replace_fields },
	};

	return &tables[type];
}

void zcp_message_deinit(struct zcp_message *message)
{
	/* Lists hold no lists. */
	if (message->type != ZCP_MESSAGE_NONE) {
		const struct zcp_field *field = zcp_message_table(message->type)->fields;

		for (; field->kind != ZCP_FIELD_END; field++)
			if (field->kind == ZCP_FIELD_LIST)
				free(*(void **)(void *)((char *)&message->u + field->offset));
	}
	memset(message, 0, sizeof(*message));
}
