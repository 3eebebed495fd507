/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands and numbers out of bytes.
 */
#include "tests/fuzz/support/input.h"

#include <string.h>

static int peek(const struct zcp_fuzz_input *input)
{
	return input->at < input->end ? *input->at : -1;
}

uint8_t zcp_fuzz_byte(struct zcp_fuzz_input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static void skip_blanks(struct zcp_fuzz_input *input)
{
	for (int c = peek(input); c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#';
	     c = peek(input)) {
		if (c == '#')
			while (peek(input) >= 0 && peek(input) != '\n')
				input->at++;
		else
			input->at++;
	}
}

char zcp_fuzz_command(struct zcp_fuzz_input *input, const char *letters)
{
	uint8_t c;

	skip_blanks(input);
	if (peek(input) < 0)
		return 0;
	c = zcp_fuzz_byte(input);
	return c && strchr(letters, c) ? (char)c : letters[c % strlen(letters)];
}

bool zcp_fuzz_begins_with(struct zcp_fuzz_input *input, char letter)
{
	skip_blanks(input);
	if (peek(input) != letter)
		return false;
	input->at++;
	return true;
}

/* The value of a digit, or `base` where the next byte is none. */
static uint32_t digit(const struct zcp_fuzz_input *input, uint32_t base)
{
	int c = peek(input);
	uint32_t value = base;

	if (c >= '0' && c <= '9')
		value = (uint32_t)c - '0';
	else if (c >= 'a' && c <= 'f')
		value = (uint32_t)c - 'a' + 10;
	return value < base ? value : base;
}

static uint64_t digits(struct zcp_fuzz_input *input, uint32_t base)
{
	uint64_t n = 0;

	for (uint32_t d = digit(input, base); d < base; d = digit(input, base)) {
		n = n * base + d;
		input->at++;
	}
	return n;
}

uint64_t zcp_fuzz_number(struct zcp_fuzz_input *input)
{
	uint64_t n = 0;

	skip_blanks(input);
	if (digit(input, 10) < 10)
		return digits(input, 10);
	switch (zcp_fuzz_byte(input)) {
	case '-':
		return -digits(input, 10);
	case 'x':
		return digits(input, 16);
	case 'w':
		for (unsigned int i = 0; i < 64; i += 8)
			n |= (uint64_t)zcp_fuzz_byte(input) << i;
		return n;
	default:
		return input->at < input->end ? input->at[-1] : 0;
	}
}

uint32_t zcp_fuzz_below(struct zcp_fuzz_input *input, uint32_t n)
{
	return (uint32_t)(zcp_fuzz_number(input) % n);
}
