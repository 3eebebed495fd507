#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What the README says is so. Each block of C has its file's name in its first line: the first
# program is compiled as it stands and does what the README says, what is said to be of an example
# stands there, and other C compiles. The commands of the section on examples are run.
set -u
. "$(dirname "$0")/../support/domain.sh"

cc=${CC:-cc}
command -v "$cc" >/dev/null || { echo "no C compiler $cc"; exit 77; }
flags="-std=gnu11 -Wall -Wextra -Werror"
[ "${ZCP_SANITIZE-}" != address ] || flags="$flags -fsanitize=address,undefined"

# The blocks go into files: C by its name, with ':' for '/', commands by their number.
awk -v dir="$dir" '
	/^## / { section = $0 }
	/^```c$/ { inside = 1; file = ""; next }
	/^```sh$/ && section == "## Examples" { inside = 1; file = dir "/" ++n ".sh"; next }
	/^```$/ { inside = 0 }
	inside && file == "" {
		if (NF != 3 || $1 != "/*" || $3 != "*/") {
			print "README.md:" FNR ": a block of C without its name"
			exit 1
		}
		name = $2
		gsub("/", ":", name)
		file = dir "/" name
	}
	inside { print > file }' "$ZCP_SOURCE_DIR/README.md" || fail "README.md"

# excerpts NAME: what the README has of that example, paragraph by paragraph, however indented.
excerpts() {
	[ -e "$dir/examples:$1" ] || fail "README.md has nothing of examples/$1"
	source=$(sed 's/^[[:space:]]*//' "$ZCP_SOURCE_DIR/examples/$1") awk '
		BEGIN { RS = "" }
		NR == 1 { sub(/^[^\n]*\n/, "") }
		{ gsub(/\n[ \t]+/, "\n") }
		!index("\n" ENVIRON["source"] "\n", "\n" $0 "\n") { print; bad = 1 }
		END { exit bad || NR == 0 }' "$dir/examples:$1" ||
		fail "README.md: that is not in examples/$1"
	rm "$dir/examples:$1"
}

for example in edges.c map_history.c recorder.c; do
	excerpts $example
done
for file in "$dir"/*:*; do
	[ ! -e "$file" ] || fail "README.md: nobody looks at ${file##*/}"
done

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

# commands PROGRAM CHECK: runs the block that begins with PROGRAM behind the first one, which
# says where programs are; then the check; and ends what is left in the background.
commands() {
	[ -x "$ZCP_BIN_DIR/$1" ] || { echo "$1 is not built"; return; }
	block=$(grep -l "^$1 " "$dir"/[0-9].sh) || fail "README.md has no commands with $1"
	{
		# shellcheck disable=SC2016
		echo 'trap "jobs -p >jobs; kill \$(cat jobs) 2>/dev/null; wait" EXIT'
		cat "$dir/1.sh" "$block"
		echo "$2"
	} >"$dir/run"
	(cd "$dir" && sh -e ./run) >"$dir/out" 2>"$dir/run.err"
	is "exit code of README.md's commands with $1" 0 $?
	rm "$block"
}

mkdir -p "$dir/build/release"
ln -s "$ZCP_BIN_DIR" "$dir/build/release/bin"
# The picture may come when the camera has already gone.
# shellcheck disable=SC2016
commands png_viewer 'until find pictures -name "*.png" | grep -q .; do kill -0 $!; done'
commands map_history ''
has "map_history" "$dir/out" "map/hall: map 1, "
commands recorder ''
is "bytes recorded" 16384000 "$(wc -c <"$dir/readings")"
rm "$dir/1.sh"
for file in "$dir"/[0-9].sh; do
	[ ! -e "$file" ] || [ ! -x "$ZCP_BIN_DIR/png_viewer" ] || fail "README.md: not run: $(cat "$file")"
done
exit "$failed"
