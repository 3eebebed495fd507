/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of the header that was compiled against, and of the library that runs.
 */
#ifndef ZCP_VERSION_H
#define ZCP_VERSION_H

#include <zcp/export.h>

#define ZCP_VERSION_MAJOR 0
#define ZCP_VERSION_MINOR 1
#define ZCP_VERSION_PATCH 0

/* One number that grows with the version: 0x00MMmmpp. */
#define ZCP_VERSION ((ZCP_VERSION_MAJOR << 16) | (ZCP_VERSION_MINOR << 8) | ZCP_VERSION_PATCH)

/* The same as text: "0.1.0". */
#define ZCP_VERSION_TEXT_OF(x) #x
#define ZCP_VERSION_TEXT(x) ZCP_VERSION_TEXT_OF(x)
#define ZCP_VERSION_STRING                                                                         \
	ZCP_VERSION_TEXT(ZCP_VERSION_MAJOR)                                                        \
	"." ZCP_VERSION_TEXT(ZCP_VERSION_MINOR) "." ZCP_VERSION_TEXT(ZCP_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The library's ZCP_VERSION; differs from the macro when another libzcp.so is loaded
 * than was compiled against. Any thread, never fails.
 */
ZCP_API unsigned int zcp_version(void);

/** The library's version as text, for example "0.1.0"; static. Any thread, never fails. */
ZCP_API const char *zcp_version_string(void);

#ifdef __cplusplus
}
#endif

#endif
