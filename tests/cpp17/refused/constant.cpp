// SPDX-License-Identifier: Apache-2.0
//
// refused: a type that cannot be written
#include <zcp/zcp.hpp>

#ifdef ACCEPTED
using message = float;
#else
using message = const float;
#endif

bool refused(zcp::node &node)
{
	return zcp::publisher<message>::open(node, "t").has_value(); // says: name the bare type
}
