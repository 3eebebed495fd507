// SPDX-License-Identifier: Apache-2.0
//
// refused: an array of a fixed number
#include <zcp/zcp.hpp>

#ifdef ACCEPTED
using message = float[];
#else
using message = float[3];
#endif

bool refused(zcp::node &node)
{
	return zcp::subscriber<message>::open(node, "t").has_value(); // says: an array is sent as
}
