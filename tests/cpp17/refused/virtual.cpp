// SPDX-License-Identifier: Apache-2.0
//
// refused: a class with a table of functions, which lie elsewhere in each process
#include <zcp/zcp.hpp>

struct message {
	int number = 0;
#ifndef ACCEPTED
	virtual void act();
#endif
};
ZCP_TYPE_NAME(message, "message");

bool refused(zcp::node &node)
{
	return zcp::subscriber<message>::open(node, "t").has_value(); // says: trivially copyable
}
