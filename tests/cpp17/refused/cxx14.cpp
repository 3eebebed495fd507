// SPDX-License-Identifier: Apache-2.0
//
// refused: before C++17
#ifndef ACCEPTED
#undef __cplusplus
#define __cplusplus 201402L
#endif
#include <zcp/zcp.hpp> // says: needs C..17
