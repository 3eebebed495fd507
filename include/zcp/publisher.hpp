// SPDX-License-Identifier: Apache-2.0
//
// Publishers and loans of zcp/zcp.hpp.
#ifndef ZCP_PUBLISHER_HPP
#define ZCP_PUBLISHER_HPP

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <zcp/message.hpp>
#include <zcp/node.hpp>
#include <zcp/publisher.h>
#include <zcp/result.hpp>

namespace zcp
{

template <typename T> class publisher;

// A message that is being written: published, or discarded at its end.
template <typename T> class loan
{
      public:
	using element = detail::element<T>;

	loan(loan &&other) noexcept
	    : node_(other.node_), publisher_(std::exchange(other.publisher_, nullptr)),
	      loan_(other.loan_)
	{
	}

	loan &operator=(loan &&other) noexcept
	{
		if (this != &other) {
			discard();
			node_ = other.node_;
			publisher_ = std::exchange(other.publisher_, nullptr);
			loan_ = other.loan_;
		}
		return *this;
	}

	~loan()
	{
		discard();
	}

	// The message: T *, or for T[] span<T>. Nothing is there once it is published.
	[[nodiscard]] typename detail::message<T>::view get() const noexcept
	{
		return detail::view_of<T>(publisher_ ? static_cast<element *>(loan_.data) : nullptr,
					  publisher_ ? loan_.size : 0);
	}

	element &operator*() const noexcept
	{
		static_assert(!detail::message<T>::is_array, "zcp: use loan[i], or loan.get()");
		return *get();
	}

	element *operator->() const noexcept
	{
		static_assert(!detail::message<T>::is_array, "zcp: use loan[i], or loan.get()");
		return get();
	}

	element &operator[](std::size_t i) const
	{
		static_assert(detail::message<T>::is_array, "zcp: use *loan, or loan->member");
		return get()[i];
	}

	// What stands before the message, where the topic has that many bytes for it; or nullptr.
	template <typename Header> [[nodiscard]] Header *user_header() const noexcept
	{
		static_assert(std::is_trivially_copyable_v<Header>,
			      "zcp: a user header has to be trivially copyable");
		return loan_.user_header_size >= sizeof(Header) ?
			       static_cast<Header *>(loan_.user_header) :
			       nullptr;
	}

	// For T[]: publishes less than was loaned.
	void shrink(std::size_t count) noexcept
	{
		static_assert(detail::message<T>::is_array, "zcp: a T has one size");
		if (count * sizeof(element) < loan_.size)
			loan_.size = count * sizeof(element);
	}

	// As zcp_publisher_publish_timed(); where it fails the loan is there still.
	result<void> publish(std::chrono::nanoseconds timeout = forever)
	{
		if (!publisher_)
			return zcp::error(-EINVAL, "this loan was published or moved before");
		const int r = zcp_publisher_publish_timed(publisher_, &loan_, timeout.count());
		if (r < 0)
			return detail::make_error(r, node_);
		publisher_ = nullptr;
		return {};
	}

	// Of a loan that was published, nothing.
	void discard() noexcept
	{
		if (publisher_ && zcp_publisher_discard(publisher_, &loan_) < 0)
			loan_.data = nullptr;
		publisher_ = nullptr;
	}

      private:
	friend class publisher<T>;
	const zcp_node *node_;
	// nullptr: nothing is on loan
	zcp_publisher *publisher_;
	zcp_loan loan_;

	loan(const zcp_node *node, zcp_publisher *publisher, const zcp_loan &lent)
	    : node_(node), publisher_(publisher), loan_(lent)
	{
		// Runs what initialises members, and for most types nothing.
		std::uninitialized_default_construct_n(static_cast<element *>(loan_.data),
						       loan_.size / sizeof(element));
	}
};

struct publisher_options : zcp_publisher_options {
	publisher_options() : zcp_publisher_options ZCP_PUBLISHER_OPTIONS_INIT
	{
	}
};

// zcp/publisher.h for messages T, or T[].
template <typename T> class publisher
{
      public:
	using element = detail::element<T>;

	publisher(publisher &&) = default;

	publisher &operator=(publisher &&other) noexcept
	{
		handle_ = std::move(other.handle_);
		node_ = std::move(other.node_);
		return *this;
	}

	// The options' type is T; max_payload is in bytes, and for T[] as much as is ever sent.
	static result<publisher> open(node &node, const std::string &topic,
				      publisher_options options = {})
	{
		zcp_publisher *handle = nullptr;

		detail::set_type<T>(options);
		const int r = zcp_publisher_open(&handle, node.handle(), topic.c_str(), &options);
		if (r < 0)
			return detail::make_error(r, node.handle());
		return publisher(node.handle_, handle);
	}

	// A message to write into.
	result<zcp::loan<T>> loan()
	{
		static_assert(!detail::message<T>::is_array, "zcp: loan how many? loan(n)");
		return loan_bytes(sizeof(element));
	}

	result<zcp::loan<T>> loan(std::size_t count)
	{
		static_assert(detail::message<T>::is_array, "zcp: a T is loaned alone: loan()");
		if (count > SIZE_MAX / sizeof(element))
			return zcp::error(-EMSGSIZE);
		return loan_bytes(count * sizeof(element));
	}

	// Copies and publishes.
	template <typename Message> result<void> send(const Message &message)
	{
		int r;

		if constexpr (detail::message<T>::is_array) {
			const span<const element> from(message);

			r = zcp_publisher_send(handle(), from.data(),
					       from.size() * sizeof(element));
		} else {
			const element &from = message;

			r = zcp_publisher_send(handle(), &from, sizeof(from));
		}
		if (r < 0)
			return detail::make_error(r, node_.get());
		return {};
	}

	[[nodiscard]] unsigned int n_subscribers() const noexcept
	{
		return zcp_publisher_n_subscribers(handle());
	}

	result<void> wait_subscribers(unsigned int n, std::chrono::nanoseconds timeout = forever)
	{
		const int r = zcp_publisher_wait_subscribers(handle(), n, timeout.count());

		if (r < 0)
			return detail::make_error(r, node_.get());
		return {};
	}

	[[nodiscard]] zcp_publisher *handle() const noexcept
	{
		return handle_.get();
	}

      private:
	struct closer {
		void operator()(zcp_publisher *handle) const
		{
			zcp_publisher_close(handle);
		}
	};
	// in this order, and assigned the other way round: it is closed before its node
	std::shared_ptr<zcp_node> node_;
	std::unique_ptr<zcp_publisher, closer> handle_;

	publisher(std::shared_ptr<zcp_node> node, zcp_publisher *handle)
	    : node_(std::move(node)), handle_(handle)
	{
	}

	result<zcp::loan<T>> loan_bytes(std::size_t size)
	{
		zcp_loan loan = ZCP_LOAN_INIT;
		const int r = zcp_publisher_loan(handle(), size, &loan);

		if (r < 0)
			return detail::make_error(r, node_.get());
		return zcp::loan<T>(node_.get(), handle(), loan);
	}
};

} // namespace zcp

#endif
