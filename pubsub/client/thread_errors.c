/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key whose values free(3) ends: the library may be gone when a thread ends.
 */
#include "pubsub/client/thread_errors.h"

#include <stdlib.h>

static pthread_key_t key;
static bool has_key;

/* When the library is loaded: a refusal of the data path makes no system call for it. */
static __attribute__((constructor(101))) void make_key(void)
{
	has_key = pthread_key_create(&key, free) == 0;
}

struct zcp_thread_errors *zcp_thread_errors(void)
{
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
