#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh CC
#
# zcp/zcp.hpp by g++ and clang++, as C++17, 20 and 23, with exceptions and without: api.cpp is built
# and run, alone and with peer.c. What is in refused/ does not compile, and says why; with ACCEPTED
# it compiles. The programs of docs/cpp.md compile.
set -u
. "$(dirname "$0")/../support/domain.sh"

cc=$1
here=$ZCP_SOURCE_DIR/tests/cpp17
lib=$ZCP_BIN_DIR/../lib
warnings="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
link="-L $lib -lzcp -Wl,-rpath,$lib"
n_compilers=0

# compile CXX STANDARD EXCEPTIONS ARGUMENT...
compile() {
	cxx=$1 standard=$2 exceptions=$3
	shift 3
	# clang++ of before 17 calls it by its working name
	[ "$standard" != 23 ] || standard=2b
	# shellcheck disable=SC2086
	"$cxx" -std=c++$standard $exceptions $warnings -I "$ZCP_SOURCE_DIR/include" "$@" \
		>"$dir/log" 2>&1
}

# refused CXX FILE
refused() {
	says=$(sed -n 's|.*// says: ||p' "$2")
	[ -n "$says" ] || fail "${2##*/}: does not say what it is refused with"
	# One compiler is enough to show that nothing else is wrong with it.
	[ $n_compilers -gt 1 ] || compile "$1" 17 "" -fsyntax-only -DACCEPTED "$2" ||
		fail "$1, ${2##*/}: $(cat "$dir/log")"
	if compile "$1" 17 "" -fsyntax-only "$2"; then
		fail "$1 accepts ${2##*/}"
	else
		grep -qE "$says" "$dir/log" || fail "$1, ${2##*/}: not '$says': $(cat "$dir/log")"
	fi
}

# shellcheck disable=SC2086
"$cc" -std=gnu11 $warnings -I "$ZCP_SOURCE_DIR/include" "$here/peer.c" -o "$dir/peer" $link ||
	fail "peer.c does not compile"
# The blocks of the page, each by the name in its first line.
awk -v dir="$dir" '
	/^```cpp$/ { inside = 1; file = ""; next }
	/^```$/ { inside = 0 }
	inside && file == "" { file = dir "/page-" $2 }
	inside { print > file }' "$ZCP_SOURCE_DIR/docs/cpp.md"
[ "$failed" -eq 0 ] || exit 1

start peer "$dir/peer"
for cxx in g++ clang++; do
	command -v $cxx >/dev/null || { echo "no $cxx"; continue; }
	n_compilers=$((n_compilers + 1))
	for standard in 17 20 23; do
		for exceptions in -fexceptions -fno-exceptions; do
			echo "$cxx, C++$standard, $exceptions"
			# shellcheck disable=SC2086
			compile $cxx $standard $exceptions "$here/api.cpp" -o "$dir/api" $link ||
				fail "api.cpp does not compile: $(cat "$dir/log")"
			for what in alone peer; do
				"$dir/api" $what >"$dir/out" 2>"$dir/err"
				is "exit code of api $what" 0 $?
				[ ! -s "$dir/err" ] || fail "api $what: $(cat "$dir/err")"
			done
		done
	done
	# shellcheck disable=SC2086
	compile $cxx 17 -fno-exceptions "$here/abort.cpp" -o "$dir/abort" $link ||
		fail "abort.cpp does not compile: $(cat "$dir/log")"
	(ulimit -c 0; exec "$dir/abort") >"$dir/out" 2>"$dir/err"
	is "exit code of abort" 134 $?
	has "abort" "$dir/err" "zcp: no room for topic 't': raise its limit (-28)"
	for file in "$here"/refused/*.cpp; do
		refused $cxx "$file"
	done
	for file in "$dir"/page-*.cpp; do
		compile $cxx 17 "" -c "$file" -o "$dir/page.o" ||
			fail "docs/cpp.md, ${file##*/}: $(cat "$dir/log")"
	done
done
[ $n_compilers -gt 0 ] || { echo "no C++ compiler"; exit 77; }
kill -TERM "$(pid peer)"
join peer
is "exit code of the peer" 0 $?
exit "$failed"
