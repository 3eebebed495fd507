// SPDX-License-Identifier: Apache-2.0
//
// refused: writing to what was taken
#include <zcp/zcp.hpp>

int refused(zcp::sample<int> &sample)
{
#ifndef ACCEPTED
	*sample = 1; // says: read-only|not assignable
#endif
	return *sample;
}
