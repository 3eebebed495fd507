// SPDX-License-Identifier: Apache-2.0
//
// Without exceptions value() says what is the matter, and aborts.
#include <zcp/zcp.hpp>

int main()
{
	zcp::result<int> result(zcp::error(-ENOSPC, "no room for topic 't': raise its limit"));

	return result.value();
}
