# SPDX-License-Identifier: Apache-2.0
#
# How everything is compiled: language, warnings, visibility, sanitizers.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
# The same objects go into the shared library, the archive and zcpd.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion
	"$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes;-Wvla>"
	# the library's own functions are not interposed: let it inline them
	-fno-semantic-interposition)
# The data path runs through five small files: in libzcp.so they are compiled as one. The
# objects hold machine code too, for whatever links them without.
set(ZCP_LTO_COMPILE "")
set(ZCP_LTO_LINK "")
set(ZCP_LTO_OFF "")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE STREQUAL "Release"
		AND ZCP_SANITIZE STREQUAL "")
	set(ZCP_LTO_COMPILE -flto=auto -ffat-lto-objects)
	set(ZCP_LTO_LINK -flto=auto -O2)
	set(ZCP_LTO_OFF -fno-lto)
endif()
if(ZCP_CRASHPOINTS)
	add_compile_definitions(ZCP_CRASHPOINTS)
endif()
if(ZCP_WERROR)
	add_compile_options(-Werror)
endif()

if(ZCP_SANITIZE STREQUAL "address")
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
		-fno-omit-frame-pointer -O1)
	add_link_options(-fsanitize=address,undefined)
elseif(ZCP_SANITIZE STREQUAL "thread")
	add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -O1)
	add_link_options(-fsanitize=thread)
	# The detector can follow neither a compiler-only fence nor membarrier.
	add_compile_definitions(ZCP_FENCES_SYMMETRIC)
elseif(ZCP_SANITIZE STREQUAL "fuzzer")
	# Loads and stores call tests/fuzz/support/guard.c: no other program can be linked.
	add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
		-fsanitize-coverage=trace-loads,trace-stores -fno-omit-frame-pointer -O1)
	add_link_options(-fsanitize=fuzzer,address,undefined)
elseif(NOT ZCP_SANITIZE STREQUAL "")
	message(FATAL_ERROR
		"ZCP_SANITIZE is '${ZCP_SANITIZE}'; it can be empty, address, thread or fuzzer")
endif()
