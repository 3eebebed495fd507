/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error codes: what they mean, and those that zcp_publisher_open() and zcp_subscriber_open() have
 * in common. Each declaration lists the codes that it returns beyond these; within one function a
 * code has one meaning. zcp_node_error() has the whole sentence, with names, numbers and the
 * remedy.
 *
 * Everywhere
 *
 *   -EAGAIN       nothing to take, or a subscriber's queue has no room: not a failure
 *   -ETIMEDOUT    the time is over
 *   -EINTR        a signal handler ran, or zcp_node_interrupt() was called
 *   -EBUSY        another thread is inside the node, or a callback of it: open a node for each
 *                 thread
 *   -EOWNERDEAD   the handle was inherited over fork(): open a node in the child
 *   -ESTALE       another runtime has come, under which this handle cannot go on: close it and
 *                 open it again
 *   -EMLINK       as many loans are out, or samples held, as the endpoint declared: give one back,
 *                 or declare more
 *   -EMFILE       this process or the runtime is out of descriptors: raise the RLIMIT_NOFILE that
 *                 the sentence names
 *   -ENFILE       the system is out of descriptors
 *
 * When a publisher or a subscriber is opened
 *
 *   -EINVAL       the topic's name or an option is malformed, or a reserved field is not 0; or the
 *                 topic's payloads are aligned to less than is needed; or its pool has no room for
 *                 the user header
 *   -E2BIG        the options have a field that this library does not know
 *   -ENAMETOOLONG the topic's or the type's name is too long
 *   -EPROTOTYPE   the topic has another type, or one of another size or alignment, or another user
 *                 header (both are named in the sentence)
 *   -EUSERS       the topic has as many publishers or subscribers as it may have, the runtime
 *                 max_topics topics, or this user max_endpoints_per_user endpoints: close some, or
 *                 raise the limit that the sentence names
 *   -EDQUOT       the topic could take this user above max_memory_per_user: raise it, or lower the
 *                 topic's limits
 *   -ENOSPC       the pool has too few chunks for what its publishers may have in use at once,
 *                 with their subscribers' depth, held and history; the sentence has the numbers,
 *                 and what to raise or to lower
 *   -EBUSY        the topic's pool is shared, and was taken over from a runtime that was killed;
 *                 the process that the sentence names may have parts of it and has not come back:
 *                 try again when it has, or has ended. Or another thread is inside the node
 *   -ENOTCONN     the runtime is gone, and within the node's timeout none could be started and
 *                 none has come
 *   -ETIMEDOUT    no answer within the node's timeout
 *   -EFBIG        the runtime may not make regions that large: raise its RLIMIT_FSIZE
 *   -EPERM        the pool has lock = true, and this process or the runtime may not lock so much
 *                 memory: raise RLIMIT_MEMLOCK to what the sentence says, or give it CAP_IPC_LOCK
 *   -ENOMEM       out of memory; or what the pool is to have beforehand (prefault = true,
 *                 huge_pages = "must") is not there, and the sentence says how much of it
 *   -EPROTO       the runtime does not speak our protocol: bring zcpd and libzcp to one version
 *   -EOWNERDEAD, -EMFILE, -ENFILE
 */
#ifndef ZCP_ERRORS_H
#define ZCP_ERRORS_H

#include <zcp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What an error code means in zcp, for example zcp_strerror(-ENOBUFS): "no chunk is free".
 * Codes without a meaning of their own get the C library's text. Takes the code as it was
 * returned (negative) or as errno (positive). Static text; any thread, never fails.
 */
ZCP_API const char *zcp_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif
