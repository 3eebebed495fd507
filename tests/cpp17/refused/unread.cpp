// SPDX-License-Identifier: Apache-2.0
//
// refused, with -Werror: a result that nothing looks at
#include <zcp/zcp.hpp>

void refused(zcp::node &node)
{
#ifdef ACCEPTED
	node.dispatch().value();
#else
	node.dispatch(); // says: nodiscard
#endif
}
