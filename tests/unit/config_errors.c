/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence and the place for each thing that can be wrong in a configuration. */
#include "common/units.h"
#include "tests/unit/config_helpers.h"

Test(config, file_cut_inside_something_is_refused)
{
	static const struct refused cases[] = {
		{ "[runtime]\nlog_level = \"inf",
		  "2:13: the string is not closed: expected \" on the same line" },
		{ "[pool.p]\nclasses = [ { size = 64, count = 1 },\n",
		  "3:1: expected a value, found the end of the file" },
		{ "[pool.p]\nclasses = [ { size = 64, ",
		  "2:26: expected a key, found the end of the file" },
		{ "[topic.\"camera",
		  "1:8: the string is not closed: expected \" on the same line" },
		{ "[topic.\"camera\"",
		  "1:16: expected ']' at the end of the header, found the end of the file" },
		{ "[runtime]\nmax_nodes", "2:10: expected '=' behind the key, found the end of "
					  "the file" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, unknown_keys_and_sections_are_refused_with_the_nearest_right_one)
{
	static const struct refused cases[] = {
		{ "[defaults]\n\n dpeth = 3",
		  "3:2: unknown key 'dpeth' in [defaults]; did you mean 'depth'?" },
		{ "[runtime]\nlog-level = 'info'",
		  "2:1: unknown key 'log-level' in [runtime]; did you mean 'log_level'?" },
		{ "[topic.\"camera/*\"]\nmax_subscriber = 1",
		  "2:1: unknown key 'max_subscriber' in [topic.\"camera/*\"]; did you mean "
		  "'max_subscribers'?" },
		{ "[runtime]\ncolour = 1",
		  "2:1: unknown key 'colour' in [runtime]: it has log_level, idle_timeout, fences, "
		  "max_nodes, max_topics, max_connections_per_user, max_endpoints_per_user, "
		  "max_memory_per_user, hello_timeout, return_timeout" },
		{ "[pool.p]\nclass = []",
		  "2:1: unknown key 'class' in [pool.\"p\"]; did you mean 'classes'?" },
		{ "[pool.p]\nclasses = [ { size = 1, cuont = 2 } ]",
		  "2:25: unknown key 'cuont' in a size class; did you mean 'count'?" },
		{ "[topics.t]", "1:2: unknown section 'topics'; did you mean 'topic'?" },
		{ "[Runtime]", "1:2: unknown section 'Runtime'; did you mean 'runtime'?" },
		{ "[network]", "1:2: unknown section 'network': there are [runtime], [defaults], "
			       "[pool.NAME] and [topic.\"NAME\"]" },
		{ "[[nodes]]", "1:3: unknown section 'nodes': there are [runtime], [defaults], "
			       "[pool.NAME] and [topic.\"NAME\"]" },
		{ "depth = 3", "1:1: 'depth' stands in front of the first section: move it below "
			       "[runtime] or [defaults]" },
		{ "[runtime]\n\"fences\\u0000\" = 1",
		  "2:1: unknown key 'fences?' in [runtime]: it has log_level, idle_timeout, fences, "
		  "max_nodes, max_topics, max_connections_per_user, max_endpoints_per_user, "
		  "max_memory_per_user, hello_timeout, return_timeout" },
		{ "[topic.camera.front]\ndepth = 1",
		  "1:15: unknown section 'front' in [topic.\"camera\"]: a name with dots needs "
		  "quotes" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, wrong_types_are_refused)
{
	static const struct refused cases[] = {
		{ "[defaults]\ndepth = '3'", "2:9: depth must be an integer, not a string" },
		{ "[defaults]\ndepth = 3.0", "2:9: depth must be an integer, not a float" },
		{ "[defaults]\ntimestamps = 1",
		  "2:14: timestamps must be true or false, not an integer" },
		{ "[topic.t]\ntype = 3", "2:8: type must be a string, not an integer" },
		{ "[topic.t]\nmax_payload = 1.5", "2:15: max_payload must be a size, as in 4096 or "
						  "\"8MiB\", not a float" },
		{ "[runtime]\nidle_timeout = [1]", "2:16: idle_timeout must be a time, as in "
						   "\"10ms\" or nanoseconds, not an array" },
		{ "[runtime]\nmax_memory_per_user = true",
		  "2:23: max_memory_per_user must be a size, as in 4096 or \"8MiB\", not a boolean" },
		{ "[runtime]\nlog_level = 2", "2:13: log_level must be one of \"error\", "
					      "\"warning\", \"info\", \"debug\", not an integer" },
		{ "[defaults]\non_full = true",
		  "2:11: on_full must be one of \"drop-oldest\", \"block\", not a boolean" },
		{ ONE_POOL "prefault = 'yes'",
		  "3:12: prefault must be true or false, not a string" },
		{ ONE_POOL "lock = 1", "3:8: lock must be true or false, not an integer" },
		{ ONE_POOL "huge_pages = true",
		  "3:14: huge_pages must be one of \"no\", \"try\", \"must\", not a boolean" },
		{ ONE_POOL "huge_pages = 'yes'",
		  "3:14: huge_pages = \"yes\" is none of \"no\", \"try\", \"must\"" },
		{ "[pool.p]\nclasses = 'many'",
		  "2:11: classes must be an array, as in [ { size = \"8MiB\", count = 64 } ], not "
		  "a string" },
		{ "[pool.p]\nclasses = [ 64 ]", "2:13: a size class must be a table, as in "
						"{ size = \"8MiB\", count = 64 }, not an integer" },
		{ "runtime = 1", "1:1: 'runtime' is a section, not a key" },
		{ "[[defaults]]", "1:3: 'defaults' is no list: write single brackets" },
		{ "[topic]\ndepth = 1", "2:1: 'depth' in [topic] is an integer: topics are written "
					"[topic.\"NAME\"], what holds for all [defaults]" },
		{ "[pool]\nclasses = []", "2:1: 'classes' in [pool] is an array: pools are written "
					  "[pool.NAME]" },
		{ "[defaults]\ntype = 'T'",
		  "2:1: type does not belong in [defaults]: set it in a [topic.\"NAME\"]" },
		{ "[defaults]\npool = 'p'",
		  "2:1: pool does not belong in [defaults]: set it in a [topic.\"NAME\"]" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, values_out_of_range_are_refused)
{
	static const struct refused cases[] = {
		{ "[defaults]\ndepth = 0", "2:9: depth = 0 is out of range: 1 to 65536" },
		{ "[defaults]\ndepth = -1", "2:9: depth = -1 is out of range: 1 to 65536" },
		{ "[defaults]\nmax_depth = 65537",
		  "2:13: max_depth = 65537 is out of range: 1 to 65536" },
		{ "[defaults]\nmax_publishers = 65",
		  "2:18: max_publishers = 65 is out of range: 1 to 64" },
		{ "[defaults]\nmax_subscribers = 257",
		  "2:19: max_subscribers = 257 is out of range: 1 to 256" },
		{ "[defaults]\nloans = 1025", "2:9: loans = 1025 is out of range: 1 to 1024" },
		{ "[defaults]\nheld = 4097", "2:8: held = 4097 is out of range: 1 to 4096" },
		{ "[runtime]\nmax_nodes = 4294967297",
		  "2:13: max_nodes = 4294967297 is out of range: 1 to 65536" },
		{ "[runtime]\nmax_topics = 0", "2:14: max_topics = 0 is out of range: 1 to 65536" },
		{ "[runtime]\nmax_connections_per_user = 1048577",
		  "2:28: max_connections_per_user = 1048577 is out of range: 0 to 1048576" },
		{ "[runtime]\nmax_endpoints_per_user = -1",
		  "2:26: max_endpoints_per_user = -1 is out of range: 0 to 16777216" },
		{ "[runtime]\nmax_memory_per_user = '1048577TiB'",
		  "2:23: max_memory_per_user = \"1048577TiB\" is out of range: 0 to 1048576TiB" },
		{ "[runtime]\nhello_timeout = 0",
		  "2:17: hello_timeout = 0 is out of range: 1ms to 1h" },
		{ "[runtime]\nhello_timeout = '61min'",
		  "2:17: hello_timeout = \"61min\" is out of range: 1ms to 1h" },
		{ "[runtime]\nidle_timeout = 999999",
		  "2:16: idle_timeout = 999999 is out of range: 1ms to 8760h" },
		{ "[runtime]\nidle_timeout = -1",
		  "2:16: idle_timeout = -1 is out of range: 1ms to 8760h" },
		{ "[defaults]\ntrim_after = 0",
		  "2:14: trim_after = 0 is out of range: 1ms to 8760h" },
		{ "[pool.p]\ntrim_after = '8761h'",
		  "2:14: trim_after = \"8761h\" is out of range: 1ms to 8760h" },
		{ "[topic.t]\nmax_payload = '17GiB'",
		  "2:15: max_payload = \"17GiB\" is out of range: 0 to 16GiB" },
		{ "[pool.p]\nclasses = [ { size = 0, count = 1 } ]",
		  "2:22: size = 0 is out of range: 1 to 16GiB" },
		{ "[pool.p]\nclasses = [ { size = 1, count = 16777216 } ]",
		  "2:33: count = 16777216 is out of range: 1 to 16777215" },
		{ "[defaults]\nalignment = 8192",
		  "2:13: alignment = 8192 is out of range: 0 to 4KiB" },
		{ "[defaults]\nalignment = 96",
		  "2:13: alignment = 96 is not a power of two, as 64, 128 and 4096 are" },
		{ "[topic.t]\nalignment = '3KiB'",
		  "2:13: alignment = \"3KiB\" is not a power of two, as 64, 128 and 4096 are" },
		{ "[pool.p]\nalignment = 32", "2:13: alignment = 32 is out of range: 64 to 4KiB" },
		{ "[pool.p]\nalignment = 65",
		  "2:13: alignment = 65 is not a power of two, as 64, 128 and 4096 are" },
		{ "[defaults]\nuser_header = 4097",
		  "2:15: user_header = 4097 is out of range: 0 to 4KiB" },
		{ "[pool.p]\nuser_header = '1MiB'",
		  "2:15: user_header = \"1MiB\" is out of range: 0 to 4KiB" },
		{ "[pool.p]\nclasses = []", "2:11: a pool has 1 to 64 size classes, not 0" },
		{ "[topic.t]\ntype = ''", "2:8: type has 0 bytes: 1 to 127 are allowed" },
		{ "[topic.t]\ntype = \"a\\tb\"", "2:8: type holds a control character: remove it" },
		{ "[runtime]\nlog_level = 'loud'",
		  "2:13: log_level = \"loud\" is none of \"error\", \"warning\", \"info\", "
		  "\"debug\"" },
		{ "[runtime]\nlog_level = 'inof'",
		  "2:13: log_level = \"inof\" is none of \"error\", \"warning\", \"info\", "
		  "\"debug\"; did you mean \"info\"?" },
		{ "[runtime]\nfences = 'none'", "2:10: fences = \"none\" is none of \"auto\", "
						"\"symmetric\"" },
		{ "[defaults]\non_full = 'drop'",
		  "2:11: on_full = \"drop\" is none of \"drop-oldest\", \"block\"" },
		{ "[topic.\"a/*\"]\non_full = 'blok'",
		  "2:11: on_full = \"blok\" is none of \"drop-oldest\", \"block\"; did you mean "
		  "\"block\"?" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, sizes_and_times_in_wrong_form_are_refused)
{
	static const struct refused cases[] = {
		{ "[topic.t]\nmax_payload = '8MX'", "2:15: max_payload = \"8MX\" has an unknown "
						    "unit: use " ZCP_UNITS_SIZES },
		{ "[topic.t]\nmax_payload = \"8\\u0000\"", "2:15: max_payload = \"8?\" has an "
							   "unknown unit: use " ZCP_UNITS_SIZES },
		{ "[topic.t]\nmax_payload = 'big'", "2:15: max_payload = \"big\" is not a size: "
						    "write an integer and a unit, as in \"8MiB\"" },
		{ "[topic.t]\nmax_payload = ''", "2:15: max_payload = \"\" is not a size: write an "
						 "integer and a unit, as in \"8MiB\"" },
		{ "[topic.t]\nmax_payload = '99999999TiB'", "2:15: max_payload = \"99999999TiB\" "
							    "does not fit in 64 bits" },
		{ "[runtime]\nidle_timeout = '10'",
		  "2:16: idle_timeout = \"10\" needs a unit: ns, us, ms, s, min, h" },
		{ "[runtime]\nidle_timeout = '10sec'", "2:16: idle_timeout = \"10sec\" has an "
						       "unknown unit: use ns, us, ms, s, min, h" },
		{ "[runtime]\nidle_timeout = '-1s'",
		  "2:16: idle_timeout = \"-1s\" is not a time: write an integer and a unit, as in "
		  "\"10ms\"" },
		{ "[runtime]\nidle_timeout = 'never'",
		  "2:16: idle_timeout = \"never\" is not a time: write an integer and a unit, as in "
		  "\"10ms\"" },
		{ "[defaults]\ntrim_after = 'always'",
		  "2:14: trim_after = \"always\" is not a time: write an integer and a unit, as in "
		  "\"10ms\", or \"never\"" },
		{ "[defaults]\ntrim_after = \"never\\u0000\"",
		  "2:14: trim_after = \"never?\" has an unknown unit: use " ZCP_UNITS_TIMES },
		{ "[runtime]\nidle_timeout = 07:32:00",
		  "2:16: dates are not supported here: write a string" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, duplicate_tables_keys_and_classes_are_refused)
{
	static const struct refused cases[] = {
		{ "[runtime]\n[defaults]\n[runtime]",
		  "3:2: table 'runtime' is defined twice: first on line 1" },
		{ "[topic.\"a\"]\n[topic.a]", "2:8: table 'a' is defined twice: first on line 1" },
		{ "[runtime]\nmax_nodes = 1\nmax_nodes = 1",
		  "3:1: 'max_nodes' is set twice: first on line 2" },
		{ "[pool.p]\nclasses = [ { size = '1KiB', count = 1 }, { size = 2, count = 1 },\n"
		  "  { count = 1, size = 1024 } ]",
		  "3:23: there are two classes of size 1KiB: add up their counts" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, missing_keys_and_pools_are_named)
{
	static const struct refused cases[] = {
		{ "[pool.p]", "1:7: [pool.\"p\"] needs 'classes': size and count of each size "
			      "class" },
		{ "[pool.p]\nclasses = [ { size = 1 } ]",
		  "2:13: a size class needs 'count': chunks of this size" },
		{ "[pool.p]\nclasses = [ { count = 1 } ]",
		  "2:13: a size class needs 'size': payload that fits into a chunk" },
		{ "[topic.t]\npool = 'q'",
		  "2:8: there is no pool 'q': add a section [pool.\"q\"]" },
		{ ONE_POOL "[topic.t]\npool = 'q'",
		  "4:8: there is no pool 'q': add a section [pool.\"q\"]" },
		{ "[topic.t]\npool = 'cameras'\n[pool.camera]\n"
		  "classes = [ { size = 1, count = 1 } ]",
		  "2:8: there is no pool 'cameras'; did you mean 'camera'?" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, topic_that_needs_more_than_its_pool_has_is_refused)
{
	static const struct refused cases[] = {
		{ ONE_POOL "[topic.t]\npool = 'p'\nalignment = 128",
		  "5:13: alignment = 128 is more than pool 'p' has, 64: raise alignment in "
		  "[pool.\"p\"]" },
		{ ONE_POOL "alignment = 512\n[topic.\"a/*\"]\nalignment = 1024\n"
			   "[topic.\"*\"]\npool = 'p'",
		  "5:13: alignment = 1024 is more than pool 'p' has, 512: raise alignment in "
		  "[pool.\"p\"]" },
		{ ONE_POOL "user_header = 63\n[topic.t]\npool = 'p'\nuser_header = 64",
		  "6:15: user_header = 64 is more than pool 'p' has, 63: raise user_header in "
		  "[pool.\"p\"]" },
		/* Set nowhere here: then the pool is. */
		{ "[defaults]\nalignment = 4096\n" ONE_POOL "[topic.t]\npool = 'p'",
		  "6:8: alignment = 4096 is more than pool 'p' has, 64: raise alignment in "
		  "[pool.\"p\"]" },
		{ ONE_POOL "[topic.\"a/b\"]\npool = 'p'\n[topic.\"a/*\"]\nalignment = 256",
		  "4:8: alignment = 256 is more than pool 'p' has, 64: raise alignment in "
		  "[pool.\"p\"]" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, topic_names_in_wrong_form_are_refused)
{
	static const struct refused cases[] = {
		{ "[topic.\"\"]", "1:8: the name of a topic cannot be empty" },
		{ "[topic.\"a\\nb\"]",
		  "1:8: topic name 'a?b' holds a control character: remove it" },
		{ "[topic.\"a\\u007f\"]",
		  "1:8: topic name 'a?' holds a control character: remove it" },
		{ "[topic.\"a\\u0000b\"]",
		  "1:8: topic name 'a?b' holds a control character: remove it" },
		{ "[topic.\"a*\"]",
		  "1:8: '*' in topic name 'a*' must be the end, behind a '/', or all of it" },
		{ "[topic.\"*/a\"]",
		  "1:8: '*' in topic name '*/a' must be the end, behind a '/', or all of it" },
		{ "[topic.\"a/*/*\"]",
		  "1:8: '*' in topic name 'a/*/*' must be the end, behind a '/', or all of it" },
		{ "[topic.\"**\"]",
		  "1:8: '*' in topic name '**' must be the end, behind a '/', or all of it" },
		{ "[topic.camera/front]",
		  "1:14: expected ']' (a name of more than letters, digits, '_' and '-' needs "
		  "quotes), found '/'" },
		{ "[pool.\"\"]", "1:7: the name of a pool cannot be empty" },
		{ "[pool.\"\\u0001\"]", "1:7: pool name '?' holds a control character: remove it" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, max_depth_below_depth_is_refused)
{
	static const struct refused cases[] = {
		{ "[defaults]\ndepth = 8\nmax_depth = 7",
		  "3:13: max_depth = 7 is smaller than depth = 8: raise max_depth or lower depth" },
		{ "[defaults]\nmax_depth = 15",
		  "2:13: max_depth = 15 is smaller than depth = 16, which holds here without being "
		  "set: raise max_depth or lower depth" },
		{ "[topic.\"a/b\"]\nmax_depth = 20\n[topic.\"a/*\"]\ndepth = 32",
		  "2:13: max_depth = 20 is smaller than depth = 32, which holds here without being "
		  "set: raise max_depth or lower depth" },
		{ "[topic.\"a/*\"]\nmax_depth = 4",
		  "2:13: max_depth = 4 is smaller than depth = 16, which holds here without being "
		  "set: raise max_depth or lower depth" },
	};

	EXPECT_REFUSED(cases);
}

Test(config, file_that_cannot_be_read_is_told_by_its_errno)
{
	struct zcpd_config *config = NULL;
	struct zcpd_config_error error = { 0 };

	cr_expect_eq(zcpd_config_load(&config, "/nowhere/zcp.toml", &error), -ENOENT);
	cr_expect_str_eq(error.text, "/nowhere/zcp.toml: cannot read the configuration: "
				     "No such file or directory");
	cr_expect_eq(error.line, 0);
	cr_expect_eq(zcpd_config_load(&config, "/", &error), -EISDIR);
	cr_expect_str_eq(error.text, "/: cannot read the configuration: Is a directory");
	cr_expect_eq(zcpd_config_load(&config, "/dev/zero", &error), -EFBIG);
	cr_expect_str_eq(error.text,
			 "/dev/zero:1:1: larger than 1048576 bytes: no configuration is");
	cr_expect_null(config);
}

Test(config, long_file_name_leaves_room_for_the_sentence)
{
	struct zcpd_config *config = NULL;
	struct zcpd_config_error error = { 0 };
	char name[2000];

	memset(name, 'd', sizeof(name));
	strcpy(name + sizeof(name) - 10, "/zcp.toml");
	cr_expect_eq(zcpd_config_parse(&config, "x", 1, name, &error), -EINVAL);
	cr_expect_eq(strncmp(error.text, "...ddd", 6), 0);
	cr_expect_not_null(strstr(error.text,
				  "d/zcp.toml:1:2: expected '=' behind the key, found the end of "
				  "the file"));
}
