// SPDX-License-Identifier: Apache-2.0
//
// refused: a type that has no name
#include <zcp/zcp.hpp>

struct message {
	int number;
};
#ifdef ACCEPTED
ZCP_TYPE_NAME(message, "message");
#endif

bool refused(zcp::node &node)
{
	return zcp::publisher<message[]>::open(node, "t").has_value(); // says: ZCP_TYPE_NAME
}
