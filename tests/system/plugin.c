/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libzcp.so in a program that loads it later, as plugins and the bindings of other languages do: it
 * finds room beside other libraries, can go again, and each thread has its own last sentence.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zcp/zcp.h>

#include "tests/support/cases.h"

#define LIBRARY ZCP_BIN_DIR "/../lib/libzcp.so"
#define N_LOADS 3

struct library {
	void *handle;
	int (*open)(struct zcp_node **node, const struct zcp_node_options *options);
	struct zcp_node *(*close)(struct zcp_node *node);
	const char *(*error)(const struct zcp_node *node);
};

static void *symbol(const struct library *library, const char *name)
{
	void *found = dlsym(library->handle, name);

	ZCP_CHECK(found != NULL);
	return found;
}

static void load(struct library *library)
{
	library->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library->handle)
		(void)fprintf(stderr, "%s\n", dlerror());
	ZCP_CHECK(library->handle != NULL);
	*(void **)&library->open = symbol(library, "zcp_node_open");
	*(void **)&library->close = symbol(library, "zcp_node_close");
	*(void **)&library->error = symbol(library, "zcp_node_error");
}

static void check_error(const struct library *library, const char *domain)
{
	const struct zcp_node_options options = { .struct_size = sizeof(options),
						  .domain = domain };
	struct zcp_node *node = NULL;

	ZCP_CHECK(library->error(NULL)[0] == '\0');
	ZCP_CHECK(library->open(&node, &options) == -EINVAL);
	ZCP_CHECK(strstr(library->error(NULL), domain) != NULL);
}

static void *run(void *library)
{
	check_error(library, "/other");
	return NULL;
}

static void library_is_loaded_later_and_goes_again(void)
{
	if (access(LIBRARY, R_OK) < 0)
		zcp_test_skip("there is no shared library in this build");
	for (int i = 0; i < N_LOADS; i++) {
		struct zcp_node *node = NULL;
		struct library library;

		load(&library);
		ZCP_CHECK(library.open(&node, NULL) == 0);
		library.close(node);
		ZCP_CHECK(dlclose(library.handle) == 0);
	}
}

static void each_thread_has_its_own_last_sentence(void)
{
	struct library library;
	pthread_t thread;

	if (access(LIBRARY, R_OK) < 0)
		zcp_test_skip("there is no shared library in this build");
	load(&library);
	check_error(&library, "/first");
	ZCP_CHECK(pthread_create(&thread, NULL, run, &library) == 0);
	ZCP_CHECK(pthread_join(thread, NULL) == 0);
	ZCP_CHECK(strstr(library.error(NULL), "/first") != NULL);
}

static const struct zcp_test_case cases[] = {
	ZCP_TEST_CASE(library_is_loaded_later_and_goes_again),
	ZCP_TEST_CASE(each_thread_has_its_own_last_sentence),
};

int main(int argc, char **argv)
{
	return zcp_test_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
