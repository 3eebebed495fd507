// SPDX-License-Identifier: Apache-2.0
//
// The node of zcp/zcp.hpp.
#ifndef ZCP_NODE_HPP
#define ZCP_NODE_HPP

#include <chrono>
#include <memory>

#include <zcp/node.h>
#include <zcp/result.hpp>

namespace zcp
{

// As a timeout: without a limit. A timeout of 0 only looks.
inline constexpr std::chrono::nanoseconds forever{ ZCP_FOREVER };

template <typename T> class publisher;
template <typename T> class subscriber;

struct node_options : zcp_node_options {
	node_options() : zcp_node_options ZCP_NODE_OPTIONS_INIT
	{
	}
};

// One thread's connection to a domain: zcp/node.h.
class node
{
      public:
	static result<node> open(const node_options &options = {})
	{
		zcp_node *handle = nullptr;
		const int r = zcp_node_open(&handle, &options);

		if (r < 0)
			return detail::make_error(r, nullptr);
		return node(handle);
	}

	result<void> wait(std::chrono::nanoseconds timeout = forever)
	{
		return said(zcp_node_wait(handle(), timeout.count()));
	}

	// An exception that leaves a callback leaves these two; the node can be used as before.
	result<void> dispatch(std::chrono::nanoseconds timeout = forever)
	{
		return said(zcp_node_dispatch(handle(), timeout.count()));
	}

	result<void> run()
	{
		return said(zcp_node_run(handle()));
	}

	// Any thread, any signal handler.
	void interrupt() noexcept
	{
		zcp_node_interrupt(handle());
	}

	result<int> fd()
	{
		const int fd = zcp_node_fd(handle());

		if (fd < 0)
			return detail::make_error(fd, handle());
		return fd;
	}

	[[nodiscard]] zcp_node *handle() const noexcept
	{
		return handle_.get();
	}

      private:
	template <typename T> friend class publisher;
	template <typename T> friend class subscriber;
	struct closer {
		void operator()(zcp_node *handle) const
		{
			zcp_node_close(handle);
		}
	};
	// shared with its endpoints
	std::shared_ptr<zcp_node> handle_;

	explicit node(zcp_node *handle) : handle_(handle, closer())
	{
	}

	// A callback may have closed the node, which then has not failed.
	result<void> said(int r) const
	{
		if (r < 0)
			return detail::make_error(r, handle());
		return {};
	}
};

} // namespace zcp

#endif
