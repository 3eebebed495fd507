/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a topic's messages are, for the options of publishers and subscribers: the name of a
 * type, its size and its alignment, which the runtime compares when an endpoint opens.
 */
#ifndef ZCP_TYPE_H
#define ZCP_TYPE_H

#ifdef __cplusplus
#define ZCP_ALIGNOF(...) alignof(__VA_ARGS__)
#else
#define ZCP_ALIGNOF(...) _Alignof(__VA_ARGS__)
#endif

/*
 * Sets an options struct's `type`, `type_size` and `type_alignment` from a C or C++ type; for
 * designated initialisers (C11, C++20), right behind struct_size:
 *
 *   struct zcp_publisher_options options = {
 *           .struct_size = sizeof(options),
 *           ZCP_TYPE(struct imu),
 *           .loans = 4,
 *   };
 *
 * A type's own commas need nothing around them: ZCP_TYPE(std::array<float, 3>).
 *
 * The name is the one that is written here: write "struct imu" in C++ too, where both meet.
 * (With -Wextra, g++ warns of members that such an initialiser leaves out, as C does not:
 * -Wno-missing-field-initializers.)
 */
#define ZCP_TYPE(...)                                                                              \
	.type = #__VA_ARGS__, .type_size = sizeof(__VA_ARGS__),                                    \
	.type_alignment = ZCP_ALIGNOF(__VA_ARGS__)

#endif
