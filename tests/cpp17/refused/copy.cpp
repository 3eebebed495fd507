// SPDX-License-Identifier: Apache-2.0
//
// refused: a loan that two would publish
#include <utility>
#include <zcp/zcp.hpp>

void refused(zcp::loan<int> &loan)
{
#ifdef ACCEPTED
	zcp::loan<int> other(std::move(loan));
#else
	zcp::loan<int> other(loan); // says: deleted
#endif
	other.discard();
}
