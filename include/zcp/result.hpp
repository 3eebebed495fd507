// SPDX-License-Identifier: Apache-2.0
//
// Results of zcp/zcp.hpp: a value, or why there is none. With and without exceptions.
#ifndef ZCP_RESULT_HPP
#define ZCP_RESULT_HPP

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <zcp/node.h>

#if defined(__cpp_exceptions)
#include <stdexcept>
#endif

namespace zcp
{

// Why something failed: a code of zcp/errors.h, negative as the C functions return it, and the
// sentence with names, numbers and the remedy.
class error
{
      public:
	explicit error(int code, std::string sentence = {})
	    : code_(code), sentence_(std::move(sentence))
	{
	}

	[[nodiscard]] int code() const noexcept
	{
		return code_;
	}

	[[nodiscard]] std::string message() const
	{
		return sentence_.empty() ? zcp_strerror(code_) : sentence_;
	}

      private:
	int code_;
	std::string sentence_;
};

#if defined(__cpp_exceptions)
// What value() throws where there is none.
class exception : public std::runtime_error
{
      public:
	explicit exception(const zcp::error &error)
	    : std::runtime_error(error.message()), code_(error.code())
	{
	}

	[[nodiscard]] int code() const noexcept
	{
		return code_;
	}

      private:
	int code_;
};
#endif

namespace detail
{

[[noreturn]] inline void fail(const zcp::error &error)
{
#if defined(__cpp_exceptions)
	throw zcp::exception(error);
#else
	std::fprintf(stderr, "zcp: %s (%d)\n", error.message().c_str(), error.code());
	std::abort();
#endif
}

// `node` has the sentence (nullptr: of zcp_node_open()); a normal day's codes have none.
inline zcp::error make_error(int code, const zcp_node *node)
{
	if (code == -EAGAIN || code == -ETIMEDOUT || code == -EINTR)
		return zcp::error(code);
	return zcp::error(code, zcp_node_error(node));
}

} // namespace detail

// A T, or why there is none.
template <typename T> class [[nodiscard]] result
{
      public:
	result(T value) : content_(std::in_place_index<0>, std::move(value))
	{
	}

	result(zcp::error error) : content_(std::in_place_index<1>, std::move(error))
	{
	}

	[[nodiscard]] bool has_value() const noexcept
	{
		return content_.index() == 0;
	}

	explicit operator bool() const noexcept
	{
		return has_value();
	}

	T &value() &
	{
		return checked();
	}

	T value() &&
	{
		return std::move(checked());
	}

	T value_or(T other) &&
	{
		return has_value() ? std::move(*std::get_if<0>(&content_)) : std::move(other);
	}

	T &operator*() &
	{
		return checked();
	}

	T *operator->()
	{
		return &checked();
	}

	// Where there is a value: code 0, "no error".
	[[nodiscard]] zcp::error error() const
	{
		return has_value() ? zcp::error(0) : *std::get_if<1>(&content_);
	}

      private:
	std::variant<T, zcp::error> content_;

	T &checked()
	{
		if (!has_value())
			detail::fail(*std::get_if<1>(&content_));
		return *std::get_if<0>(&content_);
	}
};

// Done, or why not.
template <> class [[nodiscard]] result<void>
{
      public:
	result() = default;

	result(zcp::error error) : error_(std::move(error))
	{
	}

	[[nodiscard]] bool has_value() const noexcept
	{
		return !error_;
	}

	explicit operator bool() const noexcept
	{
		return has_value();
	}

	void value() const
	{
		if (error_)
			detail::fail(*error_);
	}

	[[nodiscard]] zcp::error error() const
	{
		return error_ ? *error_ : zcp::error(0);
	}

      private:
	std::optional<zcp::error> error_;
};

} // namespace zcp

#endif
