/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what is read, how topics are layered, what is printed. */
#include "runtime/config/config.h"

#include <unistd.h>

#include "tests/unit/config_helpers.h"

#define REFERENCE ZCP_SOURCE_DIR "/config/zcp.toml"
#define MS (1000ull * 1000)
#define SECOND (1000 * MS)
#define MIB (1ull << 20)

/* What zcpd_config_print() writes; the caller frees it. */
static char *print(const struct zcpd_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	cr_assert_not_null(file);
	cr_assert_eq(zcpd_config_print(config, file), 0);
	fclose(file);
	return text;
}

static void expect_same(const struct zcpd_config *a, const struct zcpd_config *b)
{
	char *a_text = print(a), *b_text = print(b);

	cr_expect_str_eq(a_text, b_text);
	free(a_text);
	free(b_text);
}

/* Prints, parses that and compares. */
static void expect_round_trip(const char *text)
{
	config_cleanup struct zcpd_config *config = parse(text);
	char *printed = print(config);
	config_cleanup struct zcpd_config *again = parse(printed);

	free(printed);
	expect_same(config, again);
}

Test(config, without_a_file_every_key_has_its_default)
{
	config_cleanup struct zcpd_config *config = NULL;

	cr_assert_eq(zcpd_config_new_default(&config), 0);
	cr_expect_eq(config->runtime.log_level, ZCPD_CONFIG_LOG_INFO);
	cr_expect_eq(config->runtime.idle_timeout_ns, 10 * SECOND);
	cr_expect_eq(config->runtime.fences, ZCPD_CONFIG_FENCES_AUTO);
	cr_expect_eq(config->runtime.max_nodes, 1024);
	cr_expect_eq(config->runtime.max_topics, 1024);
	cr_expect_eq(config->runtime.max_connections_per_user, 1088);
	cr_expect_eq(config->runtime.max_endpoints_per_user, 65536);
	cr_expect_eq(config->runtime.max_memory_per_user, 0);
	cr_expect_eq(config->runtime.hello_timeout_ns, 5 * SECOND);
	cr_expect_eq(config->runtime.return_timeout_ns, SECOND);
	cr_expect_eq(config->defaults.max_publishers, 8);
	cr_expect_eq(config->defaults.max_subscribers, 32);
	cr_expect_eq(config->defaults.depth, 16);
	cr_expect_eq(config->defaults.max_depth, 256);
	cr_expect_eq(config->defaults.loans, 2);
	cr_expect_eq(config->defaults.held, 4);
	cr_expect_eq(config->defaults.on_full, ZCPD_CONFIG_ON_FULL_DROP_OLDEST);
	cr_expect_eq(config->defaults.allow_block, true);
	cr_expect_eq(config->defaults.timestamps, true);
	cr_expect_eq(config->defaults.trim_after_ns, 30 * SECOND);
	cr_expect_eq(config->defaults.alignment, 0);
	cr_expect_eq(config->defaults.user_header, 0);
	cr_expect_eq(config->defaults.max_payload, 0);
	cr_expect_null(config->defaults.type);
	cr_expect_null(config->defaults.pool);
	cr_expect_eq(config->n_topics, 0);
	cr_expect_eq(config->n_pools, 0);
	cr_expect_null(zcpd_config_pool(config, "p"));
}

Test(config, reference_file_gives_exactly_the_defaults)
{
	config_cleanup struct zcpd_config *defaults = NULL;
	config_cleanup struct zcpd_config *config = NULL;
	struct zcpd_config_error error = { 0 };

	cr_assert_eq(zcpd_config_new_default(&defaults), 0);
	cr_assert_eq(zcpd_config_load(&config, REFERENCE, &error), 0, "%s", error.text);
	expect_same(config, defaults);
}

static char *read_reference(size_t *size)
{
	FILE *file = fopen(REFERENCE, "re");
	char *text = calloc(1, 64 * 1024);

	cr_assert(file && text);
	*size = fread(text, 1, 64 * 1024 - 1, file);
	fclose(file);
	return text;
}

/* Whether a line says `key = ...`, as it is or behind "# ". */
static bool says(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n# ");
		if (strncmp(line, key, length) == 0 && strncmp(line + length, " = ", 3) == 0)
			return true;
	}
	return false;
}

Test(config, reference_file_says_every_key_that_is_printed)
{
	config_cleanup struct zcpd_config *config = parse(
		ONE_POOL "[topic.t]\ntype = 'T'\npool = 'p'\nmax_payload = 1\n");
	char *printed = print(config);
	size_t size, n_keys = 0;
	char *text = read_reference(&size);
	char *rest = printed;

	for (char *line; (line = strsep(&rest, "\n"));) {
		char *end = strstr(line, " = ");

		if (!end || line[0] == '\t')
			continue;
		*end = '\0';
		cr_expect(says(text, line), "%s", line);
		n_keys++;
	}
	cr_expect_gt(n_keys, 20);
	free(printed);
	free(text);
}

Test(config, every_prefix_of_the_reference_file_is_survived)
{
	size_t size;
	char *text = read_reference(&size);

	for (size_t cut = 0; cut <= size; cut++) {
		struct zcpd_config *config = NULL;
		struct zcpd_config_error error = { 0 };
		char *copy = malloc(cut + 1);
		int result;

		cr_assert_not_null(copy);
		memcpy(copy, text, cut);
		copy = realloc(copy, cut > 0 ? cut : 1); /* nothing behind the end */
		result = zcpd_config_parse(&config, copy, cut, "zcp.toml", &error);
		cr_assert(result == 0 || result == -EINVAL);
		cr_assert(result == 0 || strncmp(error.text, "zcp.toml:", 9) == 0, "%s",
			  error.text);
		cr_assert_eq(result == 0, config != NULL);
		zcpd_config_free(config);
		free(copy);
	}
	free(text);
}

Test(config, every_key_is_read)
{
	config_cleanup struct zcpd_config *config = parse(
		"[runtime]\nlog_level = 'debug'\nidle_timeout = '250ms'\nfences = "
		"'symmetric'\nmax_nodes = 7\nmax_topics = 65536\nmax_connections_per_user = 9\n"
		"max_endpoints_per_user = 0\nmax_memory_per_user = '3GiB'\nhello_timeout = '200ms'\nreturn_timeout = '7s'\n[defaults]\nmax_publishers = "
		"64\nmax_subscribers = 256\ndepth = 1\nmax_depth = 2\nloans = 3\nheld = "
		"5\non_full = 'block'\nallow_block = false\ntimestamps = false\ntrim_after = '2min'\nalignment = 128\nuser_header = 16\n[topic.\"a/b\"]\ntype = 'sensor/Image'\nmax_payload = "
		"'6MB'\npool = 'p'\nmax_publishers = 1\nmax_subscribers = 2\ndepth = "
		"100\nmax_depth = 65536\nloans = 1024\nheld = 4096\non_full = "
		"'drop-oldest'\ntimestamps = "
		"true\ntrim_after = 'never'\nalignment = '4KiB'\nuser_header = 100\n[pool.p]\nclasses = [ { size = '8MiB', count = 2 },\n"
		"{ count = 16777215, size = 100 } ]\nalignment = 4096\nuser_header = '1KiB'\ntrim_after = '1ms'\n"
		"prefault = true\nlock = true\nhuge_pages = 'must'\n"
		"[pool.q]\nclasses = [ { size = 1, count = 1 } ]\n");
	const struct zcpd_pool_config *pool = zcpd_config_pool(config, "p");
	struct zcpd_topic_config topic;

	cr_expect_eq(config->runtime.log_level, ZCPD_CONFIG_LOG_DEBUG);
	cr_expect_eq(config->runtime.idle_timeout_ns, 250 * MS);
	cr_expect_eq(config->runtime.fences, ZCPD_CONFIG_FENCES_SYMMETRIC);
	cr_expect_eq(config->runtime.max_nodes, 7);
	cr_expect_eq(config->runtime.max_topics, 65536);
	cr_expect_eq(config->runtime.max_connections_per_user, 9);
	cr_expect_eq(config->runtime.max_endpoints_per_user, 0);
	cr_expect_eq(config->runtime.max_memory_per_user, UINT64_C(3) << 30);
	cr_expect_eq(config->runtime.hello_timeout_ns, 200 * MS);
	cr_expect_eq(config->runtime.return_timeout_ns, 7 * SECOND);

	zcpd_config_topic(config, "other", &topic);
	cr_expect_eq(topic.max_publishers, 64);
	cr_expect_eq(topic.max_subscribers, 256);
	cr_expect_eq(topic.depth, 1);
	cr_expect_eq(topic.max_depth, 2);
	cr_expect_eq(topic.loans, 3);
	cr_expect_eq(topic.held, 5);
	cr_expect_eq(topic.on_full, ZCPD_CONFIG_ON_FULL_BLOCK);
	cr_expect_eq(topic.allow_block, false);
	cr_expect_eq(topic.timestamps, false);
	cr_expect_eq(topic.trim_after_ns, 120 * SECOND);
	cr_expect_eq(topic.alignment, 128);
	cr_expect_eq(topic.user_header, 16);
	cr_expect_null(topic.type);

	zcpd_config_topic(config, "a/b", &topic);
	cr_expect_eq(topic.max_publishers, 1);
	cr_expect_eq(topic.max_subscribers, 2);
	cr_expect_eq(topic.depth, 100);
	cr_expect_eq(topic.max_depth, 65536);
	cr_expect_eq(topic.loans, 1024);
	cr_expect_eq(topic.held, 4096);
	cr_expect_eq(topic.on_full, ZCPD_CONFIG_ON_FULL_DROP_OLDEST);
	cr_expect_eq(topic.timestamps, true);
	cr_expect_eq(topic.trim_after_ns, ZCPD_CONFIG_NEVER);
	cr_expect_eq(topic.alignment, 4096);
	cr_expect_eq(topic.user_header, 100);
	cr_expect_eq(topic.max_payload, 6000000);
	cr_expect_str_eq(topic.type, "sensor/Image");
	cr_expect_str_eq(topic.pool, "p");

	cr_assert_not_null(pool);
	cr_assert_eq(pool->n_classes, 2);
	cr_expect_eq(pool->classes[0].size, 100);
	cr_expect_eq(pool->classes[0].count, 16777215);
	cr_expect_eq(pool->classes[1].size, 8 * MIB);
	cr_expect_eq(pool->classes[1].count, 2);
	cr_expect_eq(pool->alignment, 4096);
	cr_expect_eq(pool->user_header, 1024);
	cr_expect_eq(pool->trim_after_ns, MS);
	cr_expect_eq(pool->prefault, true);
	cr_expect_eq(pool->lock, true);
	cr_expect_eq(pool->huge_pages, ZCPD_CONFIG_HUGE_PAGES_MUST);
	pool = zcpd_config_pool(config, "q");
	cr_assert_not_null(pool);
	cr_expect_eq(pool->alignment, 64);
	cr_expect_eq(pool->user_header, 0);
	cr_expect_eq(pool->trim_after_ns, 30 * SECOND);
	cr_expect_null(zcpd_config_pool(config, "r"));
}

Test(config, pool_has_room_for_the_user_headers_of_its_topics)
{
	config_cleanup struct zcpd_config *config = parse(
		ONE_POOL "[pool.q]\nuser_header = 200\nclasses = [ { size = 64, count = 1 } ]\n"
			 "[pool.r]\nclasses = [ { size = 64, count = 1 } ]\n"
			 "[topic.\"*\"]\nuser_header = 500\n[topic.\"a/*\"]\npool = 'p'\n"
			 "user_header = 24\n[topic.\"a/b/*\"]\nuser_header = 48\n"
			 "[topic.\"a/b/c\"]\nuser_header = 8\n"
			 "[topic.\"q\"]\npool = 'q'\nuser_header = 100\n");

	cr_expect_eq(zcpd_config_pool(config, "p")->user_header, 48);
	cr_expect_eq(zcpd_config_pool(config, "q")->user_header, 200);
	cr_expect_eq(zcpd_config_pool(config, "r")->user_header, 0);
}

Test(config, pool_classes_may_be_tables_of_their_own)
{
	config_cleanup struct zcpd_config *config = parse(
		"[[pool.p.classes]]\nsize = 2\ncount = 1\n[[pool.p.classes]]\nsize = 1\ncount = "
		"3\n");

	cr_assert_eq(config->pools[0].n_classes, 2);
	cr_expect_eq(config->pools[0].classes[0].size, 1);
	cr_expect_eq(config->pools[0].classes[0].count, 3);
}

Test(config, topic_names_are_taken_to_255_bytes_and_refused_beyond)
{
	char name[257], text[1024], sentence[256];
	struct refused too_long = { text, sentence };
	struct zcpd_topic_config topic;

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	snprintf(text, sizeof(text), "[topic.%s]\ndepth = 3\n[topic.\"%.253s/*\"]", name, name);
	config_cleanup struct zcpd_config *config = parse(text);
	zcpd_config_topic(config, name, &topic);
	cr_expect_eq(topic.depth, 3);

	name[255] = 'n';
	name[256] = '\0';
	snprintf(text, sizeof(text), "[topic.%s]", name);
	snprintf(sentence, sizeof(sentence),
		 "1:8: topic name '%.64s...' has 256 bytes: at most 255 are allowed", name);
	expect_refused(&too_long, 1);
	/* Nobody may be called so, but asking does no harm. */
	zcpd_config_topic(config, name, &topic);
	cr_expect_eq(topic.depth, 16);
}

static struct zcpd_topic_config topic_of(const struct zcpd_config *config, const char *name)
{
	struct zcpd_topic_config topic;

	zcpd_config_topic(config, name, &topic);
	return topic;
}

Test(config, topics_are_layered_from_defaults_over_wildcards_to_the_exact_name)
{
	config_cleanup struct zcpd_config *config = parse(
		"[topic.\"a/b/c\"]\nheld = 5\n[topic.\"a/b/*\"]\nloans = 4\ntype = "
		"'B'\n[topic.\"*\"]\nmax_publishers = 2\nloans = 2\nheld = "
		"2\n[topic.\"a/*\"]\nmax_publishers = 3\nloans = 3\ntype = "
		"'A'\n[defaults]\nmax_publishers = 1\nloans = 1\nheld = 1\ntimestamps = false\n");
	struct zcpd_topic_config topic = topic_of(config, "other");

	cr_expect(topic.max_publishers == 2 && topic.loans == 2 && topic.held == 2);
	cr_expect_null(topic.type);
	topic = topic_of(config, "a/x");
	cr_expect(topic.max_publishers == 3 && topic.loans == 3 && topic.held == 2);
	cr_expect_str_eq(topic.type, "A");
	topic = topic_of(config, "a/b/x/y");
	cr_expect(topic.max_publishers == 3 && topic.loans == 4 && topic.held == 2);
	cr_expect_str_eq(topic.type, "B");
	topic = topic_of(config, "a/b/c");
	cr_expect(topic.max_publishers == 3 && topic.loans == 4 && topic.held == 5);
	cr_expect_eq(topic.timestamps, false);
	cr_expect_eq(topic.max_subscribers, 32);
}

/* A word like any other value: what is not set does not override what is. */
Test(config, on_full_is_layered_like_the_numbers)
{
	config_cleanup struct zcpd_config *config = parse(
		"[defaults]\non_full = 'block'\n[topic.\"a/*\"]\non_full = 'drop-oldest'\n"
		"[topic.\"a/b/*\"]\ndepth = 2\n[topic.\"a/b/c\"]\non_full = 'block'\n");

	cr_expect_eq(topic_of(config, "x").on_full, ZCPD_CONFIG_ON_FULL_BLOCK);
	cr_expect_eq(topic_of(config, "a/x").on_full, ZCPD_CONFIG_ON_FULL_DROP_OLDEST);
	cr_expect_eq(topic_of(config, "a/b/x").on_full, ZCPD_CONFIG_ON_FULL_DROP_OLDEST);
	cr_expect_eq(topic_of(config, "a/b/c").on_full, ZCPD_CONFIG_ON_FULL_BLOCK);
}

Test(config, wildcards_match_whole_parts_of_a_name)
{
	config_cleanup struct zcpd_config *config = parse(
		"[topic.\"a/*\"]\nheld = 7\n[topic.\"/*\"]\nheld = 8\n[topic.\"\xc3\xa9/*\"]\n"
		"held = 9\n[topic.\"b\"]\nheld = 10");

	cr_expect_eq(topic_of(config, "a/x").held, 7);
	cr_expect_eq(topic_of(config, "a/").held, 7);
	cr_expect_eq(topic_of(config, "a//x").held, 7);
	cr_expect_eq(topic_of(config, "a").held, 4);
	cr_expect_eq(topic_of(config, "ab/x").held, 4);
	cr_expect_eq(topic_of(config, "x/a/y").held, 4);
	cr_expect_eq(topic_of(config, "/x").held, 8);
	cr_expect_eq(topic_of(config, "\xc3\xa9/x").held, 9);
	cr_expect_eq(topic_of(config, "b").held, 10);
	cr_expect_eq(topic_of(config, "b/x").held, 4);
	cr_expect_eq(topic_of(config, "").held, 4);
}

Test(config, max_depth_follows_a_depth_that_is_set_above_it)
{
	config_cleanup struct zcpd_config *config = parse(
		"[defaults]\ndepth = 300\n[topic.\"a/*\"]\ndepth = "
		"1000\n[topic.\"a/small\"]\ndepth = 2\n[topic.\"a/both\"]\ndepth = 8\nmax_depth = "
		"9\n[topic.other]\nmax_depth = 300");

	cr_expect_eq(config->defaults.max_depth, 300);
	cr_expect_eq(topic_of(config, "x").max_depth, 300);
	cr_expect_eq(topic_of(config, "a/x").max_depth, 1000);
	cr_expect_eq(topic_of(config, "a/small").max_depth, 1000);
	cr_expect_eq(topic_of(config, "a/small").depth, 2);
	cr_expect_eq(topic_of(config, "a/both").max_depth, 9);
	cr_expect_eq(topic_of(config, "other").max_depth, 300);
}

Test(config, printed_configuration_parses_to_the_same_again)
{
	expect_round_trip("");
	expect_round_trip("[runtime]\nlog_level = 'error'\nidle_timeout = 1500001\n"
			  "fences = 'symmetric'\n[defaults]\ndepth = 5000\ntimestamps = false\n"
			  "on_full = 'block'\n[topic.\"a\"]\non_full = 'drop-oldest'\n");
	expect_round_trip(ONE_POOL
			  "[pool.\"q \\\"\\\\ \xc3\xa9\"]\nclasses = [ { size = '1GB', count = "
			  "2 }, { size = '1GiB', count = 3 } ]\n");
	expect_round_trip(ONE_POOL "[topic.\"a/*\"]\npool = 'p'\nuser_header = 100\n");
	expect_round_trip("[defaults]\ntrim_after = 'never'\n" ONE_POOL "trim_after = '1500us'\n"
			  "[topic.\"*\"]\ntrim_after = '8760h'\n");
	expect_round_trip(ONE_POOL "trim_after = 'never'\n");
	expect_round_trip("[defaults]\nreserve = true\n" ONE_POOL "reserve = true\n");
	expect_round_trip(ONE_POOL "prefault = true\nlock = true\nhuge_pages = 'try'\n");
	expect_round_trip(ONE_POOL
			  "[topic.\"a \\\"quoted\\\\ \xc3\xa9.dotted\"]\ntype = 'T \"x\" \\'\n"
			  "[topic.\"*\"]\npool = 'p'\nmax_payload = 1000\n[topic.\"a/*\"]\ndepth = "
			  "4096\n[topic.\"a/b\"]\nmax_payload = '8MiB'\n");
}

Test(config, printed_configuration_shows_what_holds)
{
	config_cleanup struct zcpd_config *config = parse(
		ONE_POOL "[topic.\"*\"]\npool = 'p'\n[topic.\"a/*\"]\ndepth = 512\n"
			 "[topic.\"a/b\"]\nmax_payload = 8388608\n");
	char *text = print(config);

	cr_expect_not_null(strstr(text,
				  "[runtime]\nlog_level = \"info\"              # how much is "
				  "logged\nidle_timeout = \"10s\""));
	cr_expect_not_null(strstr(
		text,
		"\n[pool.\"p\"]\nclasses = [\n\t{ size = \"64\", "
		"count = 1 },\n]\nalignment = \"64\"\n"
		"user_header = \"0\"\nreserve = false\ntrim_after = \"30s\"\nprefault = false\nlock = false\n"
		"huge_pages = \"no\"\n"));
	cr_expect_not_null(strstr(text, "\n[topic.\"a/b\"]\nmax_publishers = 8\n"
					"max_subscribers = 32\ndepth = 512\nmax_depth = 512\n"));
	cr_expect_not_null(strstr(text, "\ntimestamps = true\n"));
	cr_expect_not_null(strstr(text, "\nmax_payload = \"8MiB\"\npool = \"p\"\n"));
	free(text);
}

Test(config, printing_into_a_full_file_is_an_error)
{
	config_cleanup struct zcpd_config *config = parse("");

	for (int buffered = 0; buffered < 2; buffered++) {
		FILE *file = fopen("/dev/full", "we");

		cr_assert_not_null(file);
		if (!buffered)
			setvbuf(file, NULL, _IONBF, 0);
		cr_expect_eq(zcpd_config_print(config, file), -EIO);
		fclose(file);
	}
}

Test(config, who_allows_more_nodes_lets_one_user_have_them_all)
{
	config_cleanup struct zcpd_config *more = parse("[runtime]\nmax_nodes = 5000\n");
	config_cleanup struct zcpd_config *said = parse(
		"[runtime]\nmax_connections_per_user = 10\nmax_nodes = 5000\n");
	config_cleanup struct zcpd_config *none = parse(
		"[runtime]\nmax_nodes = 5000\nmax_connections_per_user = 0\n");

	cr_expect_eq(more->runtime.max_connections_per_user, 5064);
	cr_expect_eq(said->runtime.max_connections_per_user, 10);
	cr_expect_eq(none->runtime.max_connections_per_user, 0);
}

Test(config, configuration_is_read_from_a_pipe)
{
	config_cleanup struct zcpd_config *config = NULL;
	struct zcpd_config_error error = { 0 };
	char path[64];
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], "[runtime]\nmax_nodes = 3", 23), 23);
	close(fds[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	cr_assert_eq(zcpd_config_load(&config, path, &error), 0, "%s", error.text);
	close(fds[0]);
	cr_expect_eq(config->runtime.max_nodes, 3);
}

Test(config, copy_of_a_file_stays_what_the_file_was)
{
	config_cleanup struct zcpd_config *config = NULL, *again = NULL;
	struct zcpd_config_error error = { 0 };
	char path[] = "/tmp/zcp-config-XXXXXX";
	int file = mkstemp(path), copy;

	cr_assert_eq(write(file, "[runtime]\nmax_nodes = 3", 23), 23);
	copy = zcpd_config_copy(path, &error);
	cr_assert_geq(copy, 0, "%s", error.text);
	cr_assert_eq(ftruncate(file, 0), 0);
	close(file);
	unlink(path);
	cr_assert_eq(zcpd_config_load_fd(&config, copy, path, &error), 0, "%s", error.text);
	cr_expect_eq(config->runtime.max_nodes, 3);
	/* As often as it is wanted. */
	cr_assert_eq(zcpd_config_load_fd(&again, copy, path, &error), 0, "%s", error.text);
	expect_same(config, again);
	cr_expect_eq(write(copy, "x", 1), -1);
	cr_expect_eq(ftruncate(copy, 0), -1);
	close(copy);
}

Test(config, copy_of_no_file_is_the_defaults)
{
	config_cleanup struct zcpd_config *config = NULL, *defaults = NULL;
	struct zcpd_config_error error = { 0 };
	int copy = zcpd_config_copy(NULL, &error);

	cr_assert_geq(copy, 0, "%s", error.text);
	cr_assert_eq(zcpd_config_load_fd(&config, copy, "", &error), 0, "%s", error.text);
	cr_assert_eq(zcpd_config_new_default(&defaults), 0);
	expect_same(config, defaults);
	close(copy);
}

Test(config, copy_names_the_file)
{
	struct zcpd_config_error error = { 0 };
	struct zcpd_config *config = NULL;
	char path[] = "/tmp/zcp-config-XXXXXX";
	int file = mkstemp(path), copy;

	cr_assert_eq(write(file, "\n[runtime]\nmax_nodes = 0", 24), 24);
	copy = zcpd_config_copy(path, &error);
	cr_assert_geq(copy, 0, "%s", error.text);
	cr_expect_eq(zcpd_config_load_fd(&config, copy, path, &error), -EINVAL);
	cr_expect(strstr(error.text, path) == error.text && strstr(error.text, ":3:13: "), "%s",
		  error.text);
	close(copy);
	close(file);
	unlink(path);
	cr_expect_eq(zcpd_config_copy(path, &error), -ENOENT);
	cr_expect(strstr(error.text, path) == error.text, "%s", error.text);
}

Test(config, freeing_nothing_gives_nothing)
{
	cr_expect_null(zcpd_config_free(NULL));
}
