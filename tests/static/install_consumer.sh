#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install_consumer.sh BUILD CMAKE GENERATOR CC CXX
#
# Installs BUILD to a fresh prefix, moves that elsewhere, and builds and runs small programs
# against it the way users do: by pkg-config and find_package, in C and C++, with the shared
# library and the archive.
set -eu

[ $# -eq 5 ] || { sed -n 's/^# \(install_consumer.sh .*\)/usage: \1/p' "$0" >&2; exit 2; }
build=$1 cmake=$2 generator=$3 cc=$4 cxx=$5
source=$(cd "$(dirname "$0")/consumer" && pwd)

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

step() {
	name=$1
	shift
	if "$@" >"$dir/log" 2>&1; then
		echo "ok      $name"
	else
		echo "failed  $name: $*"
		cat "$dir/log"
		exit 1
	fi
}

step "install" "$cmake" --install "$build" --prefix "$dir/first"
mv "$dir/first" "$dir/prefix"
prefix=$dir/prefix

pc=$(find "$prefix" -name zcp.pc)
libdir=$(dirname "$(dirname "$pc")")
for file in "$libdir/libzcp.so" "$libdir/libzcp.so.0" "$libdir/libzcp.a" "$prefix/include/zcp/zcp.h"; do
	step "has ${file#"$prefix"/}" test -e "$file"
done
# The version is 0.x.y in the header, the library's file name, zcp.pc and the package.
export PKG_CONFIG_PATH="${pc%/*}"
version=$(pkg-config --modversion zcp)
step "has libzcp.so.$version" test -e "$libdir/libzcp.so.$version"

# The installed programs find the installed library, and not the one of the build tree.
for program in "$prefix"/bin/*; do
	[ -x "$program" ] || continue
	used=$(LD_LIBRARY_PATH='' ldd "$program" | sed -n 's/.*libzcp.* => \(.*\) (.*/\1/p')
	[ -z "$used" ] || step "bin/${program##*/} uses ../lib" test "$(readlink -f "$used")" = \
		"$(readlink -f "$libdir/libzcp.so")"
done

# Every public header stands on its own, in the oldest language it promises and without
# _GNU_SOURCE, which only libuv's own header asks for.
strict="-Wall -Wextra -Wpedantic -Werror"
for header in "$prefix"/include/zcp/*.h; do
	name=${header##*/}
	printf '#include <zcp/%s>\n#include <zcp/%s>\nint consumer_unit;\n' "$name" "$name" \
		>"$dir/header.c"
	cp "$dir/header.c" "$dir/header.cpp"
	define=-DZCP_HEADER_ALONE
	[ "$name" != uv.h ] || define=-D_GNU_SOURCE
	# shellcheck disable=SC2086
	step "$name as C11" "$cc" -std=c11 $define $strict -I "$prefix/include" -fsyntax-only "$dir/header.c"
	# shellcheck disable=SC2086
	step "$name as C++11" "$cxx" -std=c++11 $define $strict -I "$prefix/include" -fsyntax-only \
		"$dir/header.cpp"
done

for header in "$prefix"/include/zcp/*.hpp; do
	name=${header##*/}
	printf '#include <zcp/%s>\n#include <zcp/%s>\nint consumer_unit;\n' "$name" "$name" \
		>"$dir/header.cpp"
	# shellcheck disable=SC2086
	step "$name as C++17" "$cxx" -std=c++17 $strict -I "$prefix/include" -fsyntax-only \
		"$dir/header.cpp"
done

flags=$(pkg-config --cflags --libs zcp)
static_flags=$(pkg-config --static --cflags --libs zcp)
# shellcheck disable=SC2086
{
	step "C, pkg-config" "$cc" -std=c11 $strict "$source/consumer.c" $flags -o "$dir/c"
	step "C++, pkg-config" "$cxx" -std=c++11 $strict "$source/consumer.cpp" $flags -o "$dir/cxx"
	step "C, pkg-config --static" "$cc" -std=c11 $strict "$source/consumer.c" \
		-static $static_flags -o "$dir/c-static"
}
for program in c cxx c-static; do
	step "run $program" env LD_LIBRARY_PATH="$libdir" "$dir/$program" "$version"
done

step "find_package, configure" "$cmake" -S "$source" -B "$dir/build" -G "$generator" \
	-DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx"
step "find_package, build" "$cmake" --build "$dir/build"
for program in c cxx c-static; do
	step "run $program" "$dir/build/consumer-$program" "$version"
done
