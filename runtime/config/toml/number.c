/* SPDX-License-Identifier: Apache-2.0 */
/* Booleans and numbers: values that are written without quotes or brackets. */
#include "runtime/config/toml/reader.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A word as it stands in the input, and where. */
struct word {
	const char *data;
	size_t size;
	struct zcpd_toml_position at;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Everything up to what can end a value; more than numbers are made of, for a better message. */
static struct word read_word(struct zcpd_toml_reader *r)
{
	struct word word = { .data = r->at, .at = zcpd_toml_reader_here(r) };

	while (zcpd_toml_peek(r) > ' ' && zcpd_toml_peek(r) != 0x7f &&
	       !strchr(",]}#=\"'[{", *r->at))
		r->at++;
	word.size = (size_t)(r->at - word.data);
	return word;
}

static bool is(const struct word *word, const char *what)
{
	return word->size == strlen(what) && memcmp(word->data, what, word->size) == 0;
}

/* 1979-05-27... and 07:32... */
static bool is_date(const struct word *word)
{
	size_t n_digits = 0;

	while (n_digits < word->size && is_digit(word->data[n_digits]))
		n_digits++;
	return n_digits < word->size && ((n_digits == 4 && word->data[n_digits] == '-') ||
					 (n_digits == 2 && word->data[n_digits] == ':'));
}

/* The value of a digit in that base, or -1. */
static int digit_value(char c, int base)
{
	int value = -1;

	if (is_digit(c))
		value = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		value = (c | 0x20) - 'a' + 10;
	return value < base ? value : -1;
}

/* How many characters from `from` on are digits, with single underscores between them. */
static size_t digits_length(const struct word *word, size_t from, int base)
{
	size_t i = from;

	for (; i < word->size; i++) {
		bool between = word->data[i] == '_' && i > from && word->data[i - 1] != '_' &&
			       i + 1 < word->size && digit_value(word->data[i + 1], base) >= 0;

		if (!between && digit_value(word->data[i], base) < 0)
			break;
	}
	return i - from;
}

static int fail_number(struct zcpd_toml_reader *r, const struct word *word)
{
	char shown[ZCPD_TOML_SHOWN_SIZE];

	return zcpd_toml_fail(r, word->at, "'%s' is not a number as TOML writes them",
			      zcpd_toml_show(shown, word->data, word->size));
}

static int read_integer(struct zcpd_toml_reader *r, const struct word *word, size_t from, int base,
			struct zcpd_toml_value *value)
{
	bool negative = word->data[0] == '-';
	char shown[ZCPD_TOML_SHOWN_SIZE];
	int64_t integer = 0;

	for (size_t i = from; i < word->size; i++) {
		int digit = digit_value(word->data[i], base);

		if (word->data[i] == '_')
			continue;
		if (__builtin_mul_overflow(integer, base, &integer) ||
		    __builtin_add_overflow(integer, negative ? -digit : digit, &integer))
			return zcpd_toml_fail(r, word->at, "%s does not fit in 64 bits",
					      zcpd_toml_show(shown, word->data, word->size));
	}
	value->kind = ZCPD_TOML_INTEGER;
	value->integer = integer;
	return 0;
}

/* The form has been checked; strtod() gets it without underscores. The locale must be "C". */
static int read_float(struct zcpd_toml_reader *r, const struct word *word,
		      struct zcpd_toml_value *value)
{
	char shown[ZCPD_TOML_SHOWN_SIZE];
	char *plain = malloc(word->size + 1);
	size_t size = 0;
	double real;

	if (!plain)
		return zcpd_toml_fail_memory(r);
	for (size_t i = 0; i < word->size; i++)
		if (word->data[i] != '_')
			plain[size++] = word->data[i];
	plain[size] = '\0';
	real = strtod(plain, NULL);
	free(plain);
	if (isinf(real))
		return zcpd_toml_fail(r, word->at, "%s is too large for a float",
				      zcpd_toml_show(shown, word->data, word->size));
	value->kind = ZCPD_TOML_FLOAT;
	value->real = real;
	return 0;
}

/* Behind the integer part of a float, at `i`: ".5", "e9", ".5e-9". */
static bool is_float_tail(const struct word *word, size_t i)
{
	size_t length;

	if (word->data[i] == '.') {
		length = digits_length(word, i + 1, 10);
		i += 1 + length;
		if (length == 0)
			return false;
	}
	if (i < word->size && (word->data[i] | 0x20) == 'e') {
		i++;
		if (i < word->size && (word->data[i] == '+' || word->data[i] == '-'))
			i++;
		length = digits_length(word, i, 10);
		i += length;
		if (length == 0)
			return false;
	}
	return i == word->size;
}

static int read_number(struct zcpd_toml_reader *r, const struct word *word,
		       struct zcpd_toml_value *value)
{
	size_t sign = word->data[0] == '+' || word->data[0] == '-';
	const char *digits = word->data + sign;
	size_t length;
	int base;

	if (sign == 0 && word->size > 2 && digits[0] == '0' && strchr("xob", digits[1])) {
		base = digits[1] == 'x' ? 16 : digits[1] == 'o' ? 8 : 2;
		if (digits_length(word, 2, base) != word->size - 2)
			return fail_number(r, word);
		return read_integer(r, word, 2, base, value);
	}
	length = digits_length(word, sign, 10);
	if (length == 0)
		return fail_number(r, word);
	if (length > 1 && digits[0] == '0')
		return zcpd_toml_fail(r, word->at,
				      "a number cannot start with a zero: remove it, or write 0o "
				      "for octal");
	if (sign + length == word->size)
		return read_integer(r, word, sign, 10, value);
	if (is_float_tail(word, sign + length))
		return read_float(r, word, value);
	return fail_number(r, word);
}

int zcpd_toml_read_word(struct zcpd_toml_reader *r, struct zcpd_toml_value *value)
{
	const struct word word = read_word(r);
	struct word unsigned_word = word;
	char shown[ZCPD_TOML_SHOWN_SIZE];

	if (word.size == 0)
		return zcpd_toml_fail_found(r, "expected a value");
	if (is(&word, "true") || is(&word, "false")) {
		value->kind = ZCPD_TOML_BOOLEAN;
		value->boolean = is(&word, "true");
		return 0;
	}
	if (word.data[0] == '+' || word.data[0] == '-') {
		unsigned_word.data++;
		unsigned_word.size--;
	}
	if (is(&unsigned_word, "inf") || is(&unsigned_word, "nan")) {
		value->kind = ZCPD_TOML_FLOAT;
		value->real = is(&unsigned_word, "inf") ? (double)INFINITY : (double)NAN;
		if (word.data[0] == '-')
			value->real = -value->real;
		return 0;
	}
	if (is_date(&word))
		return zcpd_toml_fail(r, word.at, "dates are not supported here: write a string");
	if (unsigned_word.size > 0 && is_digit(unsigned_word.data[0]))
		return read_number(r, &word, value);
	return zcpd_toml_fail(r, word.at, "'%s' is not a value: a string needs quotes",
			      zcpd_toml_show(shown, word.data, word.size));
}
