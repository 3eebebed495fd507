/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration's life, from a file or from nothing, and the look-up of topics and pools. */
#include "runtime/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/config/read.h"
#include "zcp/node.h"

static void free_bytes(char **bytesp)
{
	free(*bytesp);
}

static void close_fd(int *fdp)
{
	if (*fdp >= 0)
		close(*fdp);
}

int zcpd_config_new_default(struct zcpd_config **out)
{
	struct zcpd_config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	zcpd_config_schema_init(&zcpd_config_runtime_schema, &config->runtime);
	zcpd_config_schema_init(&zcpd_config_topic_schema, &config->defaults);
	*out = config;
	return 0;
}

struct zcpd_config *zcpd_config_free(struct zcpd_config *config)
{
	if (!config)
		return NULL;
	for (size_t i = 0; i < config->n_topics; i++) {
		zcpd_config_schema_deinit(&zcpd_config_topic_schema, &config->topics[i].own);
		free(config->topics[i].name);
	}
	for (size_t i = 0; i < config->n_pools; i++) {
		free(config->pools[i].classes);
		free(config->pools[i].name);
	}
	free(config->topics);
	free(config->pools);
	free(config);
	return NULL;
}

int zcpd_config_parse(struct zcpd_config **out, const char *text, size_t size,
		      const char *file_name, struct zcpd_config_error *error)
{
	__attribute__((cleanup(zcpd_toml_freep))) struct zcpd_toml_value *root = NULL;
	__attribute__((cleanup(zcpd_config_freep))) struct zcpd_config *config = NULL;
	struct zcpd_config_reader reader = { .file_name = file_name, .error = error };
	struct zcpd_toml_error toml_error;
	int result;

	result = zcpd_toml_parse(&root, text, size, &toml_error);
	if (result < 0) {
		zcpd_config_fail(&reader, toml_error.at, "%s", toml_error.text);
		return result;
	}
	result = zcpd_config_new_default(&config);
	if (result < 0)
		return zcpd_config_fail_file(&reader, result, "out of memory");
	result = zcpd_config_read(&reader, root, config);
	if (result < 0)
		return result;
	*out = config;
	config = NULL;
	return 0;
}

/* All of a file, but no more than one byte over what the parser takes. */
static ssize_t read_all(int fd, char **bytesp)
{
	const size_t room = ZCPD_TOML_MAX_SIZE + 1;
	__attribute__((cleanup(free_bytes))) char *bytes = malloc(room);
	size_t size = 0;

	if (!bytes)
		return -ENOMEM;
	while (size < room) {
		ssize_t n = read(fd, bytes + size, room - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	*bytesp = bytes;
	bytes = NULL;
	return (ssize_t)size;
}

static int fail_to_read(const char *path, int r, struct zcpd_config_error *error)
{
	struct zcpd_config_reader reader = { .file_name = path, .error = error };
	char sentence[128];

	snprintf(sentence, sizeof(sentence), "cannot read the configuration: %s", strerror(-r));
	return zcpd_config_fail_file(&reader, r, sentence);
}

int zcpd_config_load_fd(struct zcpd_config **out, int fd, const char *path,
			struct zcpd_config_error *error)
{
	__attribute__((cleanup(free_bytes))) char *bytes = NULL;
	ssize_t size;

	/* A pipe has only one beginning. */
	if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
		return fail_to_read(path, -errno, error);
	size = read_all(fd, &bytes);
	if (size < 0)
		return fail_to_read(path, (int)size, error);
	return zcpd_config_parse(out, bytes, (size_t)size, path, error);
}

int zcpd_config_load(struct zcpd_config **out, const char *path, struct zcpd_config_error *error)
{
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return fail_to_read(path, -errno, error);
	return zcpd_config_load_fd(out, fd, path, error);
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int zcpd_config_copy(const char *path, struct zcpd_config_error *error)
{
	__attribute__((cleanup(close_fd))) int file = -1;
	__attribute__((cleanup(close_fd))) int copy = -1;
	__attribute__((cleanup(free_bytes))) char *bytes = NULL;
	ssize_t size = 0;
	int r;

	if (path) {
		file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		size = file < 0 ? -errno : read_all(file, &bytes);
		if (size < 0)
			return fail_to_read(path, (int)size, error);
	}
	copy = memfd_create("zcpd-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = copy < 0 ? -errno : write_all(copy, bytes, (size_t)size);
	if (r == 0 &&
	    fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0)
		return fail_to_read(path ? path : "the defaults", r, error);
	r = copy;
	copy = -1;
	return r;
}

int zcpd_config_compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static const struct zcpd_topic_entry *find_topic(const struct zcpd_config *config, const char *name)
{
	if (config->n_topics == 0)
		return NULL;
	return bsearch(&name, config->topics, config->n_topics, sizeof(*config->topics),
		       zcpd_config_compare_names);
}

/*
 * A layer that sets a depth above the max_depth of a layer below it is to have that depth, so
 * max_depth follows. That the two do not contradict each other otherwise has been checked.
 */
void zcpd_config_apply_layer(struct zcpd_topic_config *topic, const struct zcpd_topic_config *layer,
			     uint64_t set)
{
	zcpd_config_schema_overlay(&zcpd_config_topic_schema, topic, layer, set);
	if (topic->max_depth < topic->depth)
		topic->max_depth = topic->depth;
}

/* The defaults and, from short to long, each wildcard that matches, but not `self`. */
static void apply_wildcards(const struct zcpd_config *config, const char *name,
			    const struct zcpd_topic_entry *self, struct zcpd_topic_config *out)
{
	char pattern[ZCP_TOPIC_NAME_MAX + 1];
	size_t i = 0;

	*out = config->defaults;
	for (;;) {
		const struct zcpd_topic_entry *entry;

		/* The pattern is what stands in front of name[i], and a '*'. */
		memcpy(pattern + i, "*", 2);
		entry = find_topic(config, pattern);
		if (entry && entry != self)
			zcpd_config_apply_layer(out, &entry->own, entry->set);
		do {
			if (name[i] == '\0' || i + 2 == sizeof(pattern))
				return;
			pattern[i] = name[i];
		} while (name[i++] != '/');
	}
}

void zcpd_config_topic_below(const struct zcpd_config *config, const struct zcpd_topic_entry *entry,
			     struct zcpd_topic_config *out)
{
	apply_wildcards(config, entry->name, entry, out);
}

void zcpd_config_topic(const struct zcpd_config *config, const char *name,
		       struct zcpd_topic_config *out)
{
	const struct zcpd_topic_entry *entry = find_topic(config, name);

	apply_wildcards(config, name, entry, out);
	if (entry)
		zcpd_config_apply_layer(out, &entry->own, entry->set);
}

const struct zcpd_pool_config *zcpd_config_pool(const struct zcpd_config *config, const char *name)
{
	if (config->n_pools == 0)
		return NULL;
	return bsearch(&name, config->pools, config->n_pools, sizeof(*config->pools),
		       zcpd_config_compare_names);
}
