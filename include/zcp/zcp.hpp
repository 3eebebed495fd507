// SPDX-License-Identifier: Apache-2.0
//
// zcp in C++17: header-only, over the C functions of zcp/zcp.h, whose rules hold here as well.
//
//   struct imu { double acceleration[3], rotation[3]; };
//   ZCP_TYPE_NAME(imu, "struct imu");
//
//   zcp::node node = zcp::node::open().value();
//   auto publisher = zcp::publisher<imu>::open(node, "imu").value();
//   auto loan = publisher.loan().value();
//   loan->acceleration[2] = 9.80665;
//   loan.publish().value();
//
// - A message is a T, or any number of them: publisher<T[]>, subscriber<T[]>, seen as span<T>.
//   T is trivially copyable and has a name by ZCP_TYPE_NAME(), the one that C programs give it.
// - What can fail returns a result<>: has_value(), error(), value_or(); value() throws
//   zcp::exception, or, without exceptions, says why on standard error and aborts.
// - Handles are moved, not copied. A node stays open as long as something of it is. A loan ends
//   before its publisher, a sample before its subscriber: the memory goes with these.
// - handle() gives the C handle, for what is not here.
#ifndef ZCP_ZCP_HPP
#define ZCP_ZCP_HPP

#if __cplusplus < 201703L
#error "zcp/zcp.hpp needs C++17; zcp/zcp.h and zcp/typed.h are for C++11"
#endif

#include <zcp/message.hpp>
#include <zcp/node.hpp>
#include <zcp/publisher.hpp>
#include <zcp/result.hpp>
#include <zcp/subscriber.hpp>
#include <zcp/zcp.h>

#endif
