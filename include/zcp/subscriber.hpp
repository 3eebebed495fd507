// SPDX-License-Identifier: Apache-2.0
//
// Subscribers and samples of zcp/zcp.hpp.
#ifndef ZCP_SUBSCRIBER_HPP
#define ZCP_SUBSCRIBER_HPP

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <zcp/message.hpp>
#include <zcp/node.hpp>
#include <zcp/result.hpp>
#include <zcp/subscriber.h>
#include <zcp/typed.h>

namespace zcp
{

template <typename T> class subscriber;

// A message that was taken: read-only, and given back at its end.
template <typename T> class sample
{
      public:
	using element = detail::element<T>;

	sample(sample &&other) noexcept : sample_(zcp_sample_move(&other.sample_))
	{
	}

	sample &operator=(sample &&other) noexcept
	{
		if (this != &other) {
			release();
			sample_ = zcp_sample_move(&other.sample_);
		}
		return *this;
	}

	~sample()
	{
		release();
	}

	// The message: const T *, or for T[] span<const T>. Nothing is there once it is released.
	[[nodiscard]] typename detail::message<T>::const_view get() const noexcept
	{
		return detail::view_of<T>(static_cast<const element *>(sample_.data), sample_.size);
	}

	const element &operator*() const noexcept
	{
		static_assert(!detail::message<T>::is_array, "zcp: use sample[i], or sample.get()");
		return *get();
	}

	const element *operator->() const noexcept
	{
		static_assert(!detail::message<T>::is_array, "zcp: use sample[i], or sample.get()");
		return get();
	}

	const element &operator[](std::size_t i) const
	{
		static_assert(detail::message<T>::is_array, "zcp: use *sample, or sample->member");
		return get()[i];
	}

	template <typename Header> [[nodiscard]] const Header *user_header() const noexcept
	{
		static_assert(std::is_trivially_copyable_v<Header>,
			      "zcp: a user header has to be trivially copyable");
		return sample_.user_header_size >= sizeof(Header) ?
			       static_cast<const Header *>(sample_.user_header) :
			       nullptr;
	}

	[[nodiscard]] std::uint64_t sequence() const noexcept
	{
		return sample_.sequence;
	}

	// Of std::chrono::steady_clock; 0 where the topic has timestamps = false.
	[[nodiscard]] std::chrono::nanoseconds publish_time() const noexcept
	{
		return std::chrono::nanoseconds(sample_.publish_time_ns);
	}

	[[nodiscard]] std::uint64_t publisher_id() const noexcept
	{
		return sample_.publisher_id;
	}

	[[nodiscard]] std::uint64_t lost() const noexcept
	{
		return sample_.lost;
	}

	void release() noexcept
	{
		if (sample_.data)
			(void)zcp_sample_release(&sample_);
		sample_.data = nullptr;
		sample_.size = 0;
	}

      private:
	friend class subscriber<T>;
	zcp_sample sample_;

	explicit sample(const zcp_sample &taken) noexcept : sample_(taken)
	{
	}

	// An untyped publisher sends what it likes.
	[[nodiscard]] bool is_message() const noexcept
	{
		const bool fits = detail::message<T>::is_array ?
					  sample_.size % sizeof(element) == 0 :
					  sample_.size >= sizeof(element);

		return fits &&
		       reinterpret_cast<std::uintptr_t>(sample_.data) % alignof(element) == 0;
	}
};

struct subscriber_options : zcp_subscriber_options {
	subscriber_options() : zcp_subscriber_options ZCP_SUBSCRIBER_OPTIONS_INIT
	{
	}
};

// zcp/subscriber.h for messages T, or T[].
template <typename T> class subscriber
{
      public:
	// The sample is the callback's: it is given back at its end, also where it throws, unless
	// it was moved elsewhere.
	using callback = std::function<void(sample<T>)>;

	subscriber(subscriber &&) = default;

	subscriber &operator=(subscriber &&other) noexcept
	{
		handle_ = std::move(other.handle_);
		state_ = std::move(other.state_);
		node_ = std::move(other.node_);
		return *this;
	}

	// The options' type is T.
	static result<subscriber> open(node &node, const std::string &topic,
				       subscriber_options options = {})
	{
		zcp_subscriber *handle = nullptr;

		detail::set_type<T>(options);
		const int r = zcp_subscriber_open(&handle, node.handle(), topic.c_str(), &options);
		if (r < 0)
			return detail::make_error(r, node.handle());
		return subscriber(node.handle_, handle);
	}

	// As zcp_subscriber_take(); -EBADMSG, beside its errors: an untyped publisher has sent
	// what is no T. That message is given back.
	result<sample<T>> take()
	{
		zcp_sample taken = ZCP_SAMPLE_INIT;

		return check(zcp_subscriber_take(handle(), &taken), taken);
	}

	// Waits for one; -EAGAIN where none has come.
	result<sample<T>> take(std::chrono::nanoseconds timeout)
	{
		zcp_sample taken = ZCP_SAMPLE_INIT;

		return check(zcp_subscriber_take_timed(handle(), &taken, timeout.count()), taken);
	}

	// The newest, and gives back those before it.
	result<sample<T>> latest()
	{
		zcp_sample taken = ZCP_SAMPLE_INIT;

		return check(zcp_subscriber_latest(handle(), &taken), taken);
	}

	// Has `on_sample` called by the node's dispatch() and run(); {} ends that. It may do what
	// a callback of C may, see zcp_node_dispatch(): close or move its subscriber, set another
	// callback. What is no T is passed over, and counted.
	void on_sample(callback on_sample)
	{
		state_->on_sample = on_sample ? std::make_shared<callback>(std::move(on_sample)) :
						nullptr;
		zcp_subscriber_on_sample(handle(), state_->on_sample ? call : nullptr,
					 state_.get());
	}

	// Messages that were no T.
	[[nodiscard]] std::uint64_t n_refused() const noexcept
	{
		return state_->n_refused;
	}

	[[nodiscard]] unsigned int n_publishers() const noexcept
	{
		return zcp_subscriber_n_publishers(handle());
	}

	result<void> wait_publishers(unsigned int n, std::chrono::nanoseconds timeout = forever)
	{
		const int r = zcp_subscriber_wait_publishers(handle(), n, timeout.count());

		if (r < 0)
			return detail::make_error(r, node_.get());
		return {};
	}

	[[nodiscard]] zcp_subscriber *handle() const noexcept
	{
		return handle_.get();
	}

      private:
	struct closer {
		void operator()(zcp_subscriber *handle) const
		{
			zcp_subscriber_close(handle);
		}
	};
	// What its callback finds, wherever the subscriber is moved to.
	struct state {
		// shared with the call that it is in, which may set another one
		std::shared_ptr<callback> on_sample;
		std::uint64_t n_refused = 0;
	};
	// in this order, and assigned the other way round: it is closed before its state and node
	std::shared_ptr<zcp_node> node_;
	std::unique_ptr<state> state_;
	std::unique_ptr<zcp_subscriber, closer> handle_;

	subscriber(std::shared_ptr<zcp_node> node, zcp_subscriber *handle)
	    : node_(std::move(node)), state_(std::make_unique<state>()), handle_(handle)
	{
	}

	result<sample<T>> check(int r, const zcp_sample &taken)
	{
		if (r < 0)
			return detail::make_error(r, node_.get());
		sample<T> message(taken);
		if (message.is_message())
			return result<sample<T>>(std::move(message));
		state_->n_refused++;
		return zcp::error(-EBADMSG, "a message of " + std::to_string(taken.size) +
						    " bytes is not of the subscriber's type");
	}

	static void call(const zcp_sample *taken, void *user)
	{
		state *state = static_cast<struct state *>(user);
		const std::shared_ptr<callback> on_sample = state->on_sample;

		// From here on it is given back by its destructor.
		if (zcp_sample_keep(taken) < 0)
			return;
		sample<T> message(*taken);
		if (message.is_message())
			(*on_sample)(std::move(message));
		else
			state->n_refused++;
	}
};

} // namespace zcp

#endif
