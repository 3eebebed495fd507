/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a TOML document to a configuration: config_read.c knows the sections, config_keys.c goes
 * through the keys of one, config_value.c reads the value of a key.
 */
#ifndef ZCPD_CONFIG_READ_H
#define ZCPD_CONFIG_READ_H

#include "runtime/config/config.h"
#include "runtime/config/schema.h"
#include "runtime/config/toml/toml.h"

struct zcpd_config_reader {
	const char *file_name;
	struct zcpd_config_error *error;
};

/* Names of sections in messages: [topic."..."]. */
#define ZCPD_CONFIG_SECTION_SIZE (ZCPD_TOML_SHOWN_SIZE + 16)

/* Fills the error, "file:line:column: " first, and returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int zcpd_config_fail(struct zcpd_config_reader *r,
							   struct zcpd_toml_position at,
							   const char *format, ...);

/* Fills the error with "file: sentence" and returns `code`. */
int zcpd_config_fail_file(struct zcpd_config_reader *r, int code, const char *sentence);

/*
 * Reads the keys of one section into the struct at `base`, and which ones they were into `set`.
 * `section` is for messages; keys with one of the flags in `refused` may not be there.
 */
__attribute__((warn_unused_result)) int
zcpd_config_read_keys(struct zcpd_config_reader *r, const struct zcpd_config_schema *schema,
		      const struct zcpd_toml_value *table, const char *section,
		      unsigned int refused, void *base, uint64_t *set);

/* Reads one value into the member that the key stands for. */
__attribute__((warn_unused_result)) int zcpd_config_read_value(struct zcpd_config_reader *r,
							       const struct zcpd_config_key *key,
							       const struct zcpd_toml_value *value,
							       void *base);

/* Reads a whole document into a configuration of defaults, and checks what belongs together. */
__attribute__((warn_unused_result)) int zcpd_config_read(struct zcpd_config_reader *r,
							 const struct zcpd_toml_value *root,
							 struct zcpd_config *config);

/* A table's key as a C string; "" if it holds a NUL, as no name does. */
const char *zcpd_config_plain_key(const struct zcpd_toml_value *value);

/* For sorting and finding topics and pools by their name, the first member of both. */
int zcpd_config_compare_names(const void *a, const void *b);

/* Puts one layer on top of what those below come to. */
void zcpd_config_apply_layer(struct zcpd_topic_config *topic, const struct zcpd_topic_config *layer,
			     uint64_t set);

/* What the layers below a topic's own come to. */
void zcpd_config_topic_below(const struct zcpd_config *config, const struct zcpd_topic_entry *entry,
			     struct zcpd_topic_config *out);

#endif
