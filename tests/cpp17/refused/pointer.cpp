// SPDX-License-Identifier: Apache-2.0
//
// refused: an address
#include <zcp/zcp.hpp>

#ifdef ACCEPTED
using message = int;
#else
using message = const char *;
ZCP_TYPE_NAME(message, "message");
#endif

bool refused(zcp::node &node)
{
	return zcp::publisher<message>::open(node, "t")
		.has_value(); // says: means nothing in another process
}
