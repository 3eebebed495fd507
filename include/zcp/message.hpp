// SPDX-License-Identifier: Apache-2.0
//
// Messages of zcp/zcp.hpp: what a type has to be to be one, how C declares it, and many of one
// type.
#ifndef ZCP_MESSAGE_HPP
#define ZCP_MESSAGE_HPP

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace zcp
{

// The name that a type has in a topic, compared when endpoints open; see ZCP_TYPE_NAME().
template <typename T> struct type_name {
	static constexpr const char *value = nullptr;
};

// Many of one type, one after the other, in memory that is another's.
template <typename T> class span
{
      public:
	constexpr span() noexcept = default;

	constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size)
	{
	}

	template <std::size_t n> constexpr span(T (&array)[n]) noexcept : data_(array), size_(n)
	{
	}

	// From a std::vector, a std::array and the like.
	template <typename Container,
		  typename = decltype(static_cast<T *>(std::declval<Container &>().data()))>
	constexpr span(Container &container) noexcept
	    : data_(container.data()), size_(container.size())
	{
	}

	[[nodiscard]] constexpr T *data() const noexcept
	{
		return data_;
	}

	[[nodiscard]] constexpr std::size_t size() const noexcept
	{
		return size_;
	}

	[[nodiscard]] constexpr bool empty() const noexcept
	{
		return size_ == 0;
	}

	constexpr T &operator[](std::size_t i) const
	{
		return data_[i];
	}

	[[nodiscard]] constexpr T *begin() const noexcept
	{
		return data_;
	}

	[[nodiscard]] constexpr T *end() const noexcept
	{
		return data_ + size_;
	}

      private:
	T *data_ = nullptr;
	std::size_t size_ = 0;
};

namespace detail
{

// T of a message T or T[], and how C declares it. What cannot be a message does not compile.
template <typename T> struct message {
	using element = T;
	using view = T *;
	using const_view = const T *;
	static constexpr bool is_array = false;

	static_assert(!std::is_array_v<T>,
		      "zcp: an array is sent as T[], or as std::array in a struct");
	static_assert(!std::is_reference_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T>,
		      "zcp: name the bare type: no reference, no const, no volatile");
	static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T>,
		      "zcp: a pointer means nothing in another process");
	static_assert(std::is_trivially_copyable_v<T>,
		      "zcp: other processes read a message as it lies in memory: it has to be "
		      "trivially copyable, without strings, vectors or virtual functions");
	static_assert(std::is_default_constructible_v<T>,
		      "zcp: a loan constructs its message: give it a default constructor");
	static_assert(alignof(T) <= 4096, "zcp: payloads are aligned to 4096 bytes at most");
	static_assert(type_name<T>::value != nullptr,
		      "zcp: give the type the name that others know it by: ZCP_TYPE_NAME(T, "
		      "\"...\")");
};

template <typename T> struct message<T[]> : message<T> {
	using view = span<T>;
	using const_view = span<const T>;
	static constexpr bool is_array = true;
};

template <typename T> using element = typename message<T>::element;

// Sets what the runtime compares.
template <typename T, typename Options> void set_type(Options &options)
{
	options.type = type_name<element<T>>::value;
	options.type_size = sizeof(element<T>);
	options.type_alignment = alignof(element<T>);
}

template <typename T, typename Element> auto view_of(Element *first, std::size_t size)
{
	if constexpr (message<T>::is_array)
		return span<Element>(first, size / sizeof(Element));
	else
		return first;
}

} // namespace detail

} // namespace zcp

// At global scope, once for each type: the name that others give it. In C that is what
// ZCP_TYPE() or zcp/typed.h is told, "struct imu" for example.
#define ZCP_TYPE_NAME(type, name)                                                                  \
	template <> struct zcp::type_name<type> {                                                  \
		static constexpr const char *value = name;                                         \
	}

ZCP_TYPE_NAME(char, "char");
ZCP_TYPE_NAME(float, "float");
ZCP_TYPE_NAME(double, "double");
ZCP_TYPE_NAME(std::int8_t, "int8_t");
ZCP_TYPE_NAME(std::uint8_t, "uint8_t");
ZCP_TYPE_NAME(std::int16_t, "int16_t");
ZCP_TYPE_NAME(std::uint16_t, "uint16_t");
ZCP_TYPE_NAME(std::int32_t, "int32_t");
ZCP_TYPE_NAME(std::uint32_t, "uint32_t");
ZCP_TYPE_NAME(std::int64_t, "int64_t");
ZCP_TYPE_NAME(std::uint64_t, "uint64_t");

#endif
