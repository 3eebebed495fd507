// SPDX-License-Identifier: Apache-2.0
//
// refused: more than any payload is aligned to
#include <zcp/zcp.hpp>

#ifdef ACCEPTED
struct alignas(4096) message {
#else
struct alignas(8192) message {
#endif
	int number;
};
ZCP_TYPE_NAME(message, "message");

bool refused(zcp::node &node)
{
	return zcp::publisher<message>::open(node, "t").has_value(); // says: 4096 bytes at most
}
