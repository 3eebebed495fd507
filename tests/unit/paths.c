/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the runtime directory is looked for, and what is checked about it.
 */
#include "pubsub/wire/paths.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct zcp_paths paths;
static char text[512];

static void setup(void)
{
	cr_assert_eq(unsetenv("ZCP_RUNTIME_DIR"), 0);
	cr_assert_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
}

TestSuite(paths, .init = setup);

static int init(const char *directory, const char *domain)
{
	memset(text, 0, sizeof(text));
	return zcp_paths_init(&paths, directory, domain, text, sizeof(text));
}

static void expect_socket(const char *directory, const char *socket)
{
	cr_assert_eq(init(directory, "d"), 0, "%s", text);
	cr_assert_str_eq(paths.socket.sun_path, socket);
	cr_assert_eq(paths.socket.sun_family, AF_UNIX);
}

Test(paths, directory_is_found_in_order)
{
	char uid[64];

	if (geteuid() == 0)
		snprintf(uid, sizeof(uid), "/run/zcp/d/zcpd.sock");
	else
		snprintf(uid, sizeof(uid), "/tmp/zcp-%u/d/zcpd.sock", (unsigned int)geteuid());
	expect_socket(NULL, uid);
	setenv("XDG_RUNTIME_DIR", "/xdg", 1);
	expect_socket(NULL, "/xdg/zcp/d/zcpd.sock");
	cr_assert_str_eq(paths.directory, "/xdg/zcp");
	cr_assert_str_eq(paths.domain, "/xdg/zcp/d");
	setenv("ZCP_RUNTIME_DIR", "/own", 1);
	expect_socket(NULL, "/own/d/zcpd.sock");
	expect_socket("/given", "/given/d/zcpd.sock");
	/* What is empty is not set; XDG's must be absolute, as its specification has it. */
	setenv("ZCP_RUNTIME_DIR", "", 1);
	expect_socket(NULL, "/xdg/zcp/d/zcpd.sock");
	setenv("XDG_RUNTIME_DIR", "xdg", 1);
	expect_socket(NULL, uid);
	setenv("XDG_RUNTIME_DIR", "", 1);
	expect_socket(NULL, uid);
}

Test(paths, directory_is_absolute)
{
	char path[64], small[8];

	cr_assert_eq(chdir("/usr"), 0);
	expect_socket("here", "/usr/here/d/zcpd.sock");
	setenv("ZCP_RUNTIME_DIR", "../there", 1);
	expect_socket(NULL, "/usr/../there/d/zcpd.sock");
	cr_assert_eq(zcp_paths_find(NULL, path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/usr/../there");
	cr_assert_eq(zcp_paths_find(NULL, small, sizeof(small)), -ENAMETOOLONG);
}

Test(paths, domain_names)
{
	static const char *const good[] = { "d", "default", "A-Z_0.9",   "-",
					    "_", "a..b",    "0123456789" };
	static const char *const bad[] = { "",    ".",    "..",  ".d",  "a/b", "a b",
					   "a\n", "\xc3", "a:b", "a*b", "a\tb" };
	char name[80];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert_eq(init("/x", good[i]), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(init("/x", bad[i]), -EINVAL, "%s", bad[i]);
		cr_assert_not_null(strstr(text, "malformed"));
	}
	memset(name, 'n', sizeof(name));
	name[63] = 0;
	cr_assert_eq(init("/x", name), 0);
	name[63] = 'n';
	name[64] = 0;
	cr_assert_eq(init("/x", name), -EINVAL);
	/* A long one is cut in the sentence, too. */
	name[64] = 'n';
	name[79] = 0;
	cr_assert_eq(init("/x", name), -EINVAL);
}

Test(paths, socket_fits_its_address)
{
	static char directory[8192];

	for (size_t n = 80; n < 100; n++) {
		memset(directory, 'x', n);
		directory[0] = '/';
		directory[n] = 0;
		/* "/d/zcpd.sock", and a zero behind it. */
		cr_assert_eq(init(directory, "d"),
			     n + 12 < sizeof(paths.socket.sun_path) ? 0 : -ENAMETOOLONG);
	}
	cr_assert_not_null(strstr(text, "107 bytes"));
	cr_assert_not_null(strstr(text, "ZCP_RUNTIME_DIR"));
	memset(directory, 'x', sizeof(directory) - 1);
	cr_assert_eq(init(directory, "d"), -ENAMETOOLONG);
	directory[4090] = 0;
	cr_assert_eq(init(directory, "d"), -ENAMETOOLONG);
	setenv("XDG_RUNTIME_DIR", "/", 1);
	setenv("ZCP_RUNTIME_DIR", directory, 1);
	cr_assert_eq(init(NULL, "d"), -ENAMETOOLONG);
}

Test(paths, file_in_the_domains_directory)
{
	char path[64];

	cr_assert_eq(init("/x", "d"), 0);
	cr_assert_eq(zcp_paths_file(&paths, "zcpd.pid", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/x/d/zcpd.pid");
	cr_assert_eq(zcp_paths_file(&paths, "zcpd.pid", path, strlen("/x/d/zcpd.pid") + 1), 0);
	cr_assert_eq(zcp_paths_file(&paths, "zcpd.pid", path, strlen("/x/d/zcpd.pid")),
		     -ENAMETOOLONG);
}

/* --- what is there --- */

static char base[64];

static void make_base(void)
{
	(void)strcpy(base, "/tmp/zcp-paths-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
}

static void remove_base(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/run/d", base);
	(void)rmdir(path);
	snprintf(path, sizeof(path), "%s/run", base);
	(void)rmdir(path);
	(void)unlink(path);
	(void)rmdir(base);
}

static int check(bool create)
{
	char directory[128];

	snprintf(directory, sizeof(directory), "%s/run", base);
	cr_assert_eq(init(directory, "d"), 0);
	return zcp_paths_check(&paths, create, text, sizeof(text));
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	cr_assert_eq(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

TestSuite(directories, .init = make_base, .fini = remove_base);

Test(directories, are_made_for_us_alone)
{
	mode_t old = umask(0);

	cr_assert_eq(check(false), -ENOENT);
	cr_assert_eq(check(true), 0, "%s", text);
	cr_assert_eq(mode_of(paths.directory), 0700);
	cr_assert_eq(mode_of(paths.domain), 0700);
	cr_assert_eq(check(true), 0);
	cr_assert_eq(check(false), 0);
	(void)umask(old);
}

Test(directories, may_be_made_by_half)
{
	cr_assert_eq(check(true), 0);
	cr_assert_eq(rmdir(paths.domain), 0);
	cr_assert_eq(check(false), -ENOENT);
	cr_assert_eq(check(true), 0);
}

Test(directories, that_others_may_enter_are_refused)
{
	cr_assert_eq(check(true), 0);
	for (mode_t bit = 01; bit <= 040; bit <<= 1) {
		cr_assert_eq(chmod(paths.domain, 0700 | bit), 0);
		cr_assert_eq(check(true), -EPERM);
		cr_assert_eq(chmod(paths.domain, 0700), 0);
	}
	cr_assert_eq(check(true), 0);
}

Test(directories, runtime_directory_may_be_a_volume)
{
	static const mode_t modes[] = { 0755, 0770, 0777, 01777, 02775 };

	cr_assert_eq(check(true), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		cr_assert_eq(rmdir(paths.domain), 0);
		cr_assert_eq(chmod(paths.directory, modes[i]), 0);
		cr_assert_eq(check(false), -ENOENT);
		cr_assert_eq(check(true), 0, "%s", text);
		/* A setgid bit is inherited. */
		cr_assert_eq(mode_of(paths.domain) & 0777, 0700);
		cr_assert_eq(mode_of(paths.directory), modes[i]);
	}
}

Test(directories, volume_may_be_roots)
{
	if (geteuid() != 0)
		cr_skip_test("only root can become another user");
	cr_assert_eq(chmod(base, 0755), 0);
	cr_assert_eq(check(true), 0);
	cr_assert_eq(rmdir(paths.domain), 0);
	cr_assert_eq(chmod(paths.directory, 0755), 0);
	cr_assert_eq(seteuid(12345), 0);
	cr_assert_eq(check(true), -EACCES);
	cr_assert_not_null(strstr(text, "set ZCP_RUNTIME_DIR to one that you can write to"));
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(chmod(paths.directory, 0777), 0);
	cr_assert_eq(seteuid(12345), 0);
	cr_assert_eq(check(true), 0, "%s", text);
	cr_assert_eq(seteuid(0), 0);
	/* Not for us, whose domain it is not. */
	cr_assert_eq(check(true), -EPERM);
	cr_assert_not_null(strstr(text, "belongs to user 12345 and we are user 0"));
}

Test(directories, may_be_links_of_ours)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "%s/run", base);
	snprintf(target, sizeof(target), "%s/target", base);
	cr_assert_eq(symlink(target, path), 0);
	cr_assert_eq(check(true), -ENOENT);
	cr_assert_not_null(strstr(text, "make it"));
	cr_assert_eq(mkdir(target, 0700), 0);
	cr_assert_eq(check(true), 0, "%s", text);
	cr_assert_eq(check(false), 0, "%s", text);
	if (geteuid() == 0) {
		cr_assert_eq(lchown(path, 12345, 12345), 0);
		cr_assert_eq(check(true), -EPERM);
		cr_assert_not_null(strstr(text, "is a symbolic link of user 12345"));
	}
	cr_assert_eq(rmdir(paths.domain), 0);
	cr_assert_eq(rmdir(target), 0);
}

Test(directories, of_others_are_refused)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give a directory away");
	cr_assert_eq(check(true), 0);
	cr_assert_eq(chown(paths.directory, 12345, 12345), 0);
	cr_assert_eq(check(true), -EPERM);
	cr_assert_not_null(strstr(text, "run belongs to user 12345 and we are user 0"));
	cr_assert_eq(chown(paths.directory, 0, 0), 0);
	cr_assert_eq(chown(paths.domain, 12345, 12345), 0);
	cr_assert_eq(check(true), -EPERM);
	cr_assert_not_null(strstr(text, "belongs to user 12345 and we are user 0"));
}
