// SPDX-License-Identifier: Apache-2.0
//
// refused: a struct that owns memory of its process
#include <string>
#include <zcp/zcp.hpp>

struct message {
#ifdef ACCEPTED
	char text[8];
#else
	std::string text;
#endif
};
ZCP_TYPE_NAME(message, "message");

bool refused(zcp::node &node)
{
	return zcp::publisher<message>::open(node, "t").has_value(); // says: trivially copyable
}
