/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What callers hand in: option structs of other versions, and names.
 */
#include <errno.h>
#include <string.h>

#include "pubsub/client/node.h"
#include "pubsub/wire/name.h"

int zcp_options_copy(void *ours, size_t our_size, const void *theirs)
{
	const unsigned char *bytes = theirs;
	size_t their_size;

	memcpy(&their_size, theirs, sizeof(their_size));
	if (their_size < sizeof(their_size) || their_size > 65536)
		return -EINVAL;
	for (size_t i = our_size; i < their_size; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(ours, theirs, their_size < our_size ? their_size : our_size);
	memcpy(ours, &our_size, sizeof(our_size));
	return 0;
}

int zcp_node_check_topic(struct zcp_node *node, const char *name)
{
	size_t n = name ? strnlen(name, ZCP_TOPIC_NAME_MAX + 1) : 0;
	const char *control;

	if (n == 0)
		return zcp_node_fail(node, -EINVAL, "the topic's name is empty: give it one");
	if (n > ZCP_TOPIC_NAME_MAX)
		return zcp_node_fail(
			node, -ENAMETOOLONG,
			"the topic's name '%.32s…' is longer than %d bytes: shorten it", name,
			ZCP_TOPIC_NAME_MAX);
	control = zcp_name_find_control(name, &n);
	if (control)
		return zcp_node_fail(node, -EINVAL,
				     "the topic's name has a control character (0x%02x) at byte "
				     "%zu: remove it",
				     (unsigned int)(unsigned char)control[n - 1],
				     (size_t)(control - name) + 1);
	if (strchr(name, '*'))
		return zcp_node_fail(node, -EINVAL,
				     "the topic's name '%s' has a '*': wildcards are for the "
				     "configuration; open each topic by its name",
				     name);
	if (!zcp_name_is_utf8(name))
		return zcp_node_fail(node, -EINVAL, "the topic's name is not UTF-8: encode it so");
	return 0;
}

int zcp_node_copy_type(struct zcp_node *node, char *to, const char *type)
{
	size_t n = type ? strnlen(type, ZCP_TYPE_NAME_MAX + 1) : 0;

	if (n > ZCP_TYPE_NAME_MAX)
		return zcp_node_fail(node, -ENAMETOOLONG,
				     "the type's name '%.32s…' is longer than %d bytes: shorten it",
				     type, ZCP_TYPE_NAME_MAX);
	if (n > 0)
		memcpy(to, type, n);
	to[n] = 0;
	return 0;
}
