/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zcp: publish/subscribe between the processes of one Linux machine without copying.
 *
 *   node         one thread's connection to a domain   zcp/node.h
 *   publisher    loan, write in place, publish         zcp/publisher.h
 *   subscriber   take or be called back, release       zcp/subscriber.h
 *   typed        the same for one C type               zcp/typed.h
 *   match        the endpoints at the other end        zcp/match.h
 *   errors       what the codes mean                   zcp/errors.h
 *
 * Rules for all of it
 *
 * - Functions return 0 or a negative errno; each declaration lists them. A call that
 *   fails leaves its out-parameters as they were. zcp_strerror() gives a short text,
 *   zcp_node_error() the whole sentence with names, numbers and the remedy.
 * - A node belongs to one thread at a time, with all of its publishers and subscribers. Threads
 *   that work at the same time open a node each; that costs a socket and a few kilobytes.
 *   While a thread is inside a node (it waits, dispatches or is in a callback, opens, sets a match
 *   callback), the same calls and takes of another thread answer -EBUSY. Other threads may at any
 *   time release samples and call zcp_node_interrupt(); and each publisher may be used by a thread
 *   of its own to loan, publish and discard. Closing is not checked: a handle is closed when no
 *   other thread is inside its node or uses it.
 * - The data path (loan, publish, discard, take, release) allocates nothing, takes no lock and
 *   does not need the runtime. It makes no system call but to wake a process that sleeps, and,
 *   where the runtime waits for a chunk to become free so that it can give the memory back later
 *   (trim_after), one to tell it.
 * - After fork() the child's inherited handles answer -EOWNERDEAD; the child opens its
 *   own node.
 * - Times are nanoseconds of CLOCK_MONOTONIC. A timeout of 0 does not wait, one of
 *   ZCP_FOREVER (or any negative one) waits without a limit.
 * - Option structs begin with their size. Initialise them with their _INIT macro; a field
 *   that is left 0 means its default. A field this library does not know and that is not
 *   0 is -E2BIG: the program was built for a newer libzcp.
 * - Open endpoints go on while the runtime is away. A call that waits, in whichever way, notices the
 *   end of the runtime within a tenth of a second and looks for the next one. A node also finds that
 *   at its next call that asks the runtime for something, or publishes to no subscriber or to one
 *   that sleeps; it then hands back what it has, and nothing is lost. The new runtime waits for
 *   its nodes (return_timeout, 1 s) before it opens anything new: a program that makes these calls
 *   less often calls zcp_node_wait(node, 0) now and then. A handle that comes too late, or that the
 *   new runtime cannot take over, answers -ESTALE: close it and open it again. So does, once the
 *   runtime has gone, a handle without anything at its other end in a process that has given up
 *   its user, and with it the right to connect to another runtime.
 */
#ifndef ZCP_ZCP_H
#define ZCP_ZCP_H

#include <zcp/errors.h>
#include <zcp/export.h>
#include <zcp/match.h>
#include <zcp/node.h>
#include <zcp/publisher.h>
#include <zcp/subscriber.h>
#include <zcp/type.h>
#include <zcp/typed.h>
#include <zcp/version.h>

#endif
