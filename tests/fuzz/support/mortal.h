/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of this process that stands for a process of its own, and can end at any moment: at an
 * access to mapped memory, or at a crash point (support/guard.h). What it has then is given back
 * as the kernel would: its memory, its mappings, its descriptors.
 *
 * The linker hands the project's malloc(3) and the like to us, and libuv is told to use ours.
 */
#ifndef ZCP_FUZZ_MORTAL_H
#define ZCP_FUZZ_MORTAL_H

#include <stdbool.h>
#include <stdint.h>

/* Before anything of libuv. */
void zcp_fuzz_mortal_init(void);

/*
 * Runs `act`, until its `after`-th access from now on where that is not ZCP_FUZZ_LIVES. Returns
 * whether it came to its end.
 */
#define ZCP_FUZZ_LIVES UINT32_MAX
bool zcp_fuzz_mortal_run(void (*act)(void *user), void *user, uint32_t after);

/* In the middle of it, what is done is somebody else's; and then what it was before. */
__attribute__((warn_unused_result)) bool zcp_fuzz_mortal_pause(void);
void zcp_fuzz_mortal_go_on(bool was_running);

/* Memory and mappings; its descriptors are for whoever knows which are others'. */
void zcp_fuzz_mortal_bury(void);

/* It has ended in order: whatever it has not freed is a leak. */
void zcp_fuzz_mortal_end(void);

#endif
