/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key whose values free(3) ends: the library may be gone when a thread ends.
 */
#include "pubsub/client/thread_errors.h"

#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

static void make_key(void)
{
	has_key = pthread_key_create(&key, free) == 0;
}

struct zcp_thread_errors *zcp_thread_errors(void)
{
	(void)pthread_once(&once, make_key);
	return has_key ? pthread_getspecific(key) : NULL;
}

struct zcp_thread_errors *zcp_thread_errors_make(void)
{
	struct zcp_thread_errors *errors = zcp_thread_errors();

	if (errors || !has_key)
		return errors;
	errors = calloc(1, sizeof(*errors));
	if (errors && pthread_setspecific(key, errors) != 0) {
		free(errors);
		errors = NULL;
	}
	return errors;
}
