/* SPDX-License-Identifier: Apache-2.0 */
/* What zcp writes to standard output: checked writes, tables, hexadecimal. */
#include "cli/output.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/hexdump.h"
#include "cli/table.h"

static int open_memory(struct cli_output *output)
{
	int fd = memfd_create("output", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cli_output_init(output, fd);
	return fd;
}

static const char *read_all(struct cli_output *output, int fd, char *text, size_t size)
{
	ssize_t n;

	cr_assert_eq(cli_output_flush(output), 0);
	n = pread(fd, text, size - 1, 0);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	(void)close(fd);
	return text;
}

Test(output, pieces_of_every_size_arrive_in_order)
{
	static const size_t sizes[] = {
		0,
		1,
		100,
		CLI_OUTPUT_SIZE - 102,
		1,
		1,
		CLI_OUTPUT_SIZE - 1,
		2,
		CLI_OUTPUT_SIZE,
		CLI_OUTPUT_SIZE + 1,
		7,
	};
	static char piece[CLI_OUTPUT_SIZE + 1], got[8 * CLI_OUTPUT_SIZE];
	struct cli_output output;
	int fd = open_memory(&output);
	size_t n = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(piece, 'a' + (int)i, sizes[i]);
		cr_assert_eq(cli_output_write(&output, piece, sizes[i]), 0);
	}
	read_all(&output, fd, got, sizeof(got));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t k = 0; k < sizes[i]; k++)
			cr_assert_eq(got[n++], 'a' + (int)i, "piece %zu, byte %zu", i, k);
	cr_expect_eq(got[n], '\0');
}

Test(output, first_failure_is_kept_and_nothing_is_written_after_it)
{
	struct cli_output output;
	int pipe_fds[2];
	char byte;

	cr_assert_eq(pipe(pipe_fds), 0);
	cli_output_init(&output, pipe_fds[1]);
	(void)close(pipe_fds[0]);
	cr_expect_eq(cli_output_write(&output, "a", 1), 0);
	/* The signal that goes with it is ignored. */
	cr_expect_eq(cli_output_flush(&output), -EPIPE);

	cr_assert_eq(pipe(pipe_fds), 0);
	output.fd = pipe_fds[1];
	cr_expect_eq(cli_output_printf(&output, "b"), -EPIPE);
	cr_expect_eq(cli_output_flush(&output), -EPIPE);
	(void)close(pipe_fds[1]);
	cr_expect_eq(read(pipe_fds[0], &byte, 1), 0);
	(void)close(pipe_fds[0]);
}

Test(output, full_disk_is_an_error)
{
	struct cli_output output;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		cr_skip_test("no /dev/full");
	cli_output_init(&output, fd);
	cr_expect_eq(cli_output_printf(&output, "%d\n", 7), 0);
	cr_expect_eq(cli_output_flush(&output), -ENOSPC);
	(void)close(fd);
}

Test(table, columns_are_as_wide_as_their_widest_cell)
{
	struct cli_output output;
	struct cli_table table;
	int fd = open_memory(&output);
	char text[512];

	cli_table_init(&table, "lrl");
	cli_table_add_titles(&table, "TOPIC|N|TYPE");
	cli_table_add(&table, "käse/ü");
	cli_table_add(&table, "%d", 12345);
	cli_table_add(&table, "x");
	cli_table_add(&table, "a");
	cli_table_add(&table, "%d", 1);
	cli_table_add(&table, "longer");
	cli_table_print(&table, 2, &output);
	cli_table_deinit(&table);
	cr_expect_str_eq(read_all(&output, fd, text, sizeof(text)), "  TOPIC       N  TYPE\n"
								    "  käse/ü  12345  x\n"
								    "  a           1  longer\n");
}

Test(table, wide_characters_count_for_two_columns_and_accents_for_none)
{
	struct cli_output output;
	struct cli_table table;
	int fd = open_memory(&output);
	char text[512];

	cli_table_init(&table, "lr");
	cli_table_add(&table, "相机/前");
	cli_table_add(&table, "1");
	cli_table_add(&table, "cafe\u0301");
	cli_table_add(&table, "2");
	cli_table_add(&table, "🚗");
	cli_table_add(&table, "前");
	cli_table_print(&table, 0, &output);
	cli_table_deinit(&table);
	cr_expect_str_eq(read_all(&output, fd, text, sizeof(text)), "相机/前   1\n"
								    "cafe\u0301      2\n"
								    "🚗       前\n");
}

Test(table, what_moves_the_cursor_is_replaced)
{
	struct cli_output output;
	struct cli_table table;
	int fd = open_memory(&output);
	char text[64];

	cli_table_init(&table, "l");
	cli_table_add(&table, "%s", "a\x1b[2J\n\xff");
	cli_table_print(&table, 0, &output);
	cli_table_deinit(&table);
	cr_expect_str_eq(read_all(&output, fd, text, sizeof(text)), "a?[2J?\xef\xbf\xbd\n");
}

Test(table, grows_with_its_rows)
{
	struct cli_output output;
	struct cli_table table;
	int fd = open_memory(&output);
	static char text[64 * 1024];
	size_t n_lines = 0;

	cli_table_init(&table, "lr");
	for (int i = 0; i < 1000; i++) {
		cli_table_add(&table, "topic");
		cli_table_add(&table, "%d", i);
	}
	cli_table_print(&table, 0, &output);
	cli_table_deinit(&table);
	for (const char *c = read_all(&output, fd, text, sizeof(text)); *c; c++)
		n_lines += *c == '\n';
	cr_expect_eq(n_lines, 1000);
	cr_expect_not_null(strstr(text, "topic   42\n"));
}

Test(hexdump, shows_sixteen_bytes_a_line_with_their_text)
{
	struct cli_output output;
	int fd = open_memory(&output);
	char text[512];

	cli_hexdump("hello world\n\x00\x7f\xff\x20!", 17, &output);
	cr_expect_str_eq(read_all(&output, fd, text, sizeof(text)),
			 "  00000000: 6865 6c6c 6f20 776f 726c 640a 007f ff20  hello world.... \n"
			 "  00000010: 21                                       !\n");
}

Test(hexdump, of_nothing_is_nothing)
{
	struct cli_output output;
	int fd = open_memory(&output);
	char text[8];

	cli_hexdump("", 0, &output);
	cr_expect_str_eq(read_all(&output, fd, text, sizeof(text)), "");
}
