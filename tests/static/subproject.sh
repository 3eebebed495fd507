#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# subproject.sh SOURCE CMAKE GENERATOR CC
#
# zcp as a part of another project: that one's build type, flags and install stay its own, and its
# program finds zcpd in the build tree.
set -eu

[ $# -eq 4 ] || { sed -n 's/^# \(subproject.sh .*\)/usage: \1/p' "$0" >&2; exit 2; }
source=$1 cmake=$2 generator=$3 cc=$4

dir=$(mktemp -d)
runtime=
finish() {
	# The one that our program has started.
	if [ -s "$dir/z/default/zcpd.pid" ]; then
		runtime=$(cat "$dir/z/default/zcpd.pid")
		runtime=${runtime##*/}
		[ "$(cat "/proc/$runtime/comm" 2>/dev/null)" = zcpd ] && kill -TERM "$runtime"
		timeout 30 tail -s 0.05 --pid="$runtime" -f /dev/null
	fi
	rm -rf "$dir"
}
trap finish EXIT

fail() {
	echo "failed: $*"
	exit 1
}

mkdir "$dir/source"
mkdir -m 0700 "$dir/z"
cat >"$dir/source/CMakeLists.txt" <<-END
	cmake_minimum_required(VERSION 3.25)
	project(app C)
	add_subdirectory("$source" zcp)
	add_executable(app main.c)
	target_link_libraries(app PRIVATE zcp::zcp)
	install(TARGETS app)
END
cat >"$dir/source/main.c" <<-'END'
	#include <assert.h>
	#include <stdio.h>
	#include <zcp/zcp.h>

	int main(void)
	{
		struct zcp_node *node;
		int is_checked = 0;

		assert((is_checked = 1) == 1);
		if (!is_checked)
			return fprintf(stderr, "the assertions are gone\n"), 1;
		if (zcp_node_open(&node, NULL) < 0)
			return fprintf(stderr, "%s\n", zcp_node_error(NULL)), 1;
		zcp_node_close(node);
		return 0;
	}
END
"$cmake" -S "$dir/source" -B "$dir/build" -G "$generator" -DCMAKE_C_COMPILER="$cc" \
	>"$dir/log" 2>&1 || { cat "$dir/log"; fail "configure"; }
cached() {
	sed -n "s/^$1:[A-Z]*=//p" "$dir/build/CMakeCache.txt"
}
[ -z "$(cached CMAKE_BUILD_TYPE)" ] || fail "build type '$(cached CMAKE_BUILD_TYPE)'"
[ "$(cached CMAKE_C_FLAGS_RELEASE)" = "-O3 -DNDEBUG" ] ||
	fail "release flags '$(cached CMAKE_C_FLAGS_RELEASE)'"
"$cmake" --build "$dir/build" >"$dir/log" 2>&1 || { cat "$dir/log"; fail "build"; }
"$cmake" --install "$dir/build" --prefix "$dir/prefix" >"$dir/log" 2>&1 ||
	{ cat "$dir/log"; fail "install"; }
[ "$(cd "$dir/prefix" && find . -type f)" = ./bin/app ] ||
	fail "installs $(cd "$dir/prefix" && find . -type f)"
env -u ZCP_ZCPD -u ZCP_DOMAIN PATH=/usr/bin:/bin ZCP_RUNTIME_DIR="$dir/z" "$dir/build/app" ||
	fail "the program"
