/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that are written down: seeds that people can read, and a fuzzer that soon gets
 * behind the first byte.
 *
 *   {"v" 1 "t" "hello" "name" "x"}   a map; colons and commas are blanks
 *   [1 2]  "text"  12  T  F  N       an array, a string, a number, true, false, nil
 *   *64                              a string of so many x
 *   ~3 255                           byte 3 of all that is there becomes 255
 *   anything else                    itself, as one byte
 */
#ifndef ZCP_FUZZ_PACKET_H
#define ZCP_FUZZ_PACKET_H

#include <stddef.h>
#include <stdint.h>

/* Writes at most `room` bytes; returns how many. */
size_t zcp_fuzz_packet(const uint8_t *text, size_t size, uint8_t *packet, size_t room);

#endif
