#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The README's first program does what the README says, and its other C compiles: each block of
# C, whose first line is its file's name in a comment, is compiled as it stands.
set -u
. "$(dirname "$0")/../support/domain.sh"

cc=${CC:-cc}
command -v "$cc" >/dev/null || { echo "no C compiler $cc"; exit 77; }
flags="-std=gnu11 -Wall -Wextra -Werror"
[ "${ZCP_SANITIZE-}" != address ] || flags="$flags -fsanitize=address,undefined"

awk -v dir="$dir" '
	/^```c$/ { inside = 1; file = ""; next }
	/^```$/ { inside = 0 }
	inside && file == "" {
		if (NF != 3 || $1 != "/*" || $3 != "*/") {
			print "README.md:" FNR ": a block of C without its name"
			exit 1
		}
		file = dir "/" $2
	}
	inside { print > file }' "$ZCP_SOURCE_DIR/README.md" || fail "README.md"

# shellcheck disable=SC2086
"$cc" $flags -I "$ZCP_SOURCE_DIR/include" -c "$dir/imu.c" -o "$dir/imu.o" ||
	fail "imu.c does not compile"
lib=$ZCP_BIN_DIR/../lib
for program in publisher subscriber; do
	# shellcheck disable=SC2086
	"$cc" $flags -I "$ZCP_SOURCE_DIR/include" "$dir/$program.c" -o "$dir/$program" \
		-L "$lib" -lzcp -Wl,-rpath,"$lib" || fail "$program.c does not compile"
done
[ "$failed" -eq 0 ] || exit 1

start subscriber "$dir/subscriber"
start publisher "$dir/publisher"
for program in publisher subscriber; do
	join $program
	is "exit code of $program" 0 $?
done
printf 'hello %d\n' 1 2 3 4 5 >"$dir/wanted"
cmp "$dir/wanted" "$dir/subscriber.out" || fail "subscriber: $(cat "$dir/subscriber.out")"
