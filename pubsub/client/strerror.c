/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short texts for errors, and the version.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <zcp/errors.h>
#include <zcp/version.h>

const char *zcp_strerror(int error)
{
	static const struct {
		int code;
		const char *text;
	} texts[] = {
		{ 0, "no error" },
		{ EAGAIN, "nothing to take, or a subscriber's queue is full" },
		{ ENOBUFS, "no chunk is free" },
		{ EMLINK,
		  "as many loans are out, or samples held, as were declared: give one back" },
		{ EMFILE,
		  "this process or the runtime is out of descriptors: raise RLIMIT_NOFILE" },
		{ EMSGSIZE, "larger than the publisher's max_payload, or than its chunk" },
		{ EOWNERDEAD, "the handle was inherited over fork: open a node in this process" },
		{ EPROTOTYPE, "the topic has another type" },
		{ EPROTO, "another protocol version or memory layout" },
		{ EUSERS,
		  "no more nodes, publishers or subscribers are allowed here, or to this user" },
		{ EDQUOT, "more memory than this user's topics may take" },
		{ ENOSPC, "the pool is too small for what its endpoints may use" },
		{ ECONNREFUSED, "no runtime answers: start zcpd" },
		{ EBUSY,
		  "in use: by another thread, a callback, or a process that has not come back" },
		{ ENOTCONN, "the runtime is gone" },
		{ ESTALE,
		  "another runtime has come, which does not take this over: open it again" },
		{ ETIMEDOUT, "timed out" },
		{ E2BIG, "the program was built for a newer libzcp" },
		{ ENOTSUP, "membarrier(2) is unavailable: set fences = \"symmetric\"" },
		{ EDEADLK, "the publisher would have to wait for a subscriber of its own node" },
		{ EPERM, "the runtime directory is not ours alone, or memory may not be locked" },
		{ ERANGE, "more than the topic's limit" },
	};

	if (error < 0)
		error = -error;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == error)
			return texts[i].text;
#ifdef __GLIBC__
	/* Static text, unlike this library's strerror(). */
	return strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error";
#else
	/* musl's is static text. */
	return strerror(error);
#endif
}

unsigned int zcp_version(void)
{
	return ZCP_VERSION;
}

const char *zcp_version_string(void)
{
	return ZCP_VERSION_STRING;
}
