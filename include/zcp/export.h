/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every declaration of the public API carries.
 */
#ifndef ZCP_EXPORT_H
#define ZCP_EXPORT_H

/* The function is part of the library's ABI. */
#define ZCP_API __attribute__((visibility("default")))

/* The result says whether it worked; not to look at it is a mistake. */
#define ZCP_MUST_USE __attribute__((warn_unused_result))

#endif
