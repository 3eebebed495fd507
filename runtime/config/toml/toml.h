/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parser for TOML 1.0, all of it but dates and times, which are refused by name.
 *
 * The result is a tree: a table holds named values, an array holds values, both in the order in
 * which the file gives them. Every value knows the line and the column where it was written, so
 * that a caller that finds it wrong can say where.
 *
 * The input is not trusted: it need not end with a NUL, may hold any bytes, and size, depth and
 * memory are bounded (memory: at worst about 50 times the input, for an array of empty arrays).
 */
#ifndef ZCPD_CONFIG_TOML_TOML_H
#define ZCPD_CONFIG_TOML_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A larger input is refused. */
#define ZCPD_TOML_MAX_SIZE ((size_t)1 << 20)
/* Tables and arrays inside each other, the document itself not counted. */
#define ZCPD_TOML_MAX_DEPTH 64

enum zcpd_toml_kind {
	ZCPD_TOML_BOOLEAN,
	ZCPD_TOML_INTEGER,
	ZCPD_TOML_FLOAT,
	ZCPD_TOML_STRING,
	ZCPD_TOML_ARRAY,
	ZCPD_TOML_TABLE,
};

/* Both from 1. A column is one character (code point), a tab is one column. */
struct zcpd_toml_position {
	uint32_t line;
	uint32_t column;
};

/* What is wrong, as one sentence without a full stop, and where. */
struct zcpd_toml_error {
	struct zcpd_toml_position at;
	char text[384];
};

struct zcpd_toml_list;

/* Only the parser writes it. `kind` says which member of the union is set. */
struct zcpd_toml_value {
	enum zcpd_toml_kind kind;
	uint8_t origin; /* the parser's: how a table or array came to be */
	uint8_t depth;  /* the parser's: 0 for the document */
	uint32_t key_hash;

	struct zcpd_toml_position at;     /* where the value begins; a table's last key part */
	struct zcpd_toml_position key_at; /* in a table: its key, the last part of a dotted one */
	char *key;                        /* in a table; NULL in arrays and for the document */
	size_t key_size;                  /* without the NUL at the end; a key may hold NULs */
	struct zcpd_toml_value *next;     /* the next one in the same table or array */

	union {
		bool boolean;
		int64_t integer;
		double real;
		struct {
			char *data;  /* UTF-8; ends with a NUL that is not counted */
			size_t size; /* the string itself may hold NULs */
		} string;
		struct zcpd_toml_list *list; /* of arrays and tables */
	};
};

struct zcpd_toml_list {
	struct zcpd_toml_value *first;
	struct zcpd_toml_value *last;
	size_t n_values;
	struct zcpd_toml_value **slots; /* hash index of a large table, else NULL */
	size_t n_slots;
};

/*
 * Parses `size` bytes at `text` into a new tree, which the caller frees.
 *
 * Returns 0; -EINVAL when the text is not TOML (or holds a date); -EFBIG when it is larger than
 * ZCPD_TOML_MAX_SIZE; -ENOMEM. `error` is filled for each of them; `*rootp` is left alone then.
 */
__attribute__((warn_unused_result)) int zcpd_toml_parse(struct zcpd_toml_value **rootp,
							const char *text, size_t size,
							struct zcpd_toml_error *error);

/* Frees a tree, or nothing when it is NULL. Returns NULL. */
struct zcpd_toml_value *zcpd_toml_free(struct zcpd_toml_value *root);

static inline void zcpd_toml_freep(struct zcpd_toml_value **rootp)
{
	*rootp = zcpd_toml_free(*rootp);
}

/* The value that `table` has under `key`, or NULL. `table` must be a table. */
const struct zcpd_toml_value *zcpd_toml_get(const struct zcpd_toml_value *table, const char *key);

/* The first value of a table or array, in file order; NULL if it is empty. Go on with `next`. */
const struct zcpd_toml_value *zcpd_toml_first(const struct zcpd_toml_value *list);

/* How many values a table or an array has. */
size_t zcpd_toml_n_values(const struct zcpd_toml_value *list);

/* "a string", "an integer", ...: for messages. */
const char *zcpd_toml_kind_name(enum zcpd_toml_kind kind);

/* Room for a piece of input in a message. */
#define ZCPD_TOML_SHOWN_SIZE 68

/*
 * Makes a piece of input fit for a message: control characters become '?', and what is longer
 * than the room is cut between two characters and gets "..." at its end. Returns `out`.
 */
const char *zcpd_toml_show(char out[ZCPD_TOML_SHOWN_SIZE], const char *text, size_t size);

#endif
