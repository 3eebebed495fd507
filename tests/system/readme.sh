#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What README.md and docs/{guide,command,configuration}.md show is so. Each block of C has its file's
# name in its first line: programs are compiled as they stand and run, excerpts of examples stand
# there, and other C compiles. Each block of commands is run, but for the quick start, which is run
# by tests/static/quickstart.sh. Each block of TOML is a configuration.
set -u
. "$(dirname "$0")/../support/domain.sh"

cc=${CC:-cc}
command -v "$cc" >/dev/null || { echo "no C compiler $cc"; exit 77; }
cc=$(command -v "$cc")
flags="-std=gnu11 -Wall -Wextra -Werror"
[ "${ZCP_SANITIZE-}" != address ] || flags="$flags -fsanitize=address,undefined"

# The blocks go into files: C by its name, with ':' for '/', others by their document and number.
for document in README guide command configuration; do
	case $document in
	README) file=$ZCP_SOURCE_DIR/README.md ;;
	*) file=$ZCP_SOURCE_DIR/docs/$document.md ;;
	esac
	awk -v dir="$dir" -v document=$document '
		/^```(sh|toml)$/ { inside = 1; file = dir "/" document "." ++n "." substr($0, 4); next }
		/^```c$/ { inside = 1; file = ""; next }
		/^```$/ { inside = 0 }
		inside && file == "" {
			if (NF != 3 || $1 != "/*" || $3 != "*/") {
				print FILENAME ":" FNR ": a block of C without its name"
				exit 1
			}
			name = $2
			gsub("/", ":", name)
			file = dir "/" name
		}
		inside { print > file }' "$file" || fail "$document.md"
done

# The commands of a user who has installed zcp and builds in build/release.
mkdir -p "$dir/build/release" "$dir/installed"
ln -s "$ZCP_BIN_DIR" "$dir/build/release/bin"
ln -s "$ZCP_SOURCE_DIR/config" "$dir/config"
lib=$ZCP_BIN_DIR/../lib
printf '#!/bin/sh\necho "%s -I%s/include -L%s -lzcp -Wl,-rpath,%s"\n' "$flags" "$ZCP_SOURCE_DIR" \
	"$lib" "$lib" >"$dir/installed/pkg-config"
ln -s "$cc" "$dir/installed/cc"
chmod +x "$dir/installed/pkg-config"

# commands DOCUMENT TEXT CHECK [BEFORE]: runs the block of that document with a line that begins with
# TEXT, with zcp installed; then the check; and ends what is left in the background.
commands() {
	block=$(grep -l "^$2" "$dir/$1".[0-9].sh) || { fail "$1.md has no commands with $2"; return; }
	{
		echo "trap 'trap : TERM; kill 0; wait' EXIT"
		echo "PATH=$dir/installed:$ZCP_BIN_DIR:\$PATH"
		[ $# -lt 4 ] || cat "$4"
		cat "$block"
		echo "$3"
	} >"$dir/run"
	(cd "$dir" && setsid -w sh -e ./run) >"$dir/out" 2>"$dir/run.err"
	is "exit code of $1.md's commands with $2" 0 $?
	[ "$failed" -eq 0 ] || tail -n 5 "$dir/out" "$dir/run.err"
	rm "$block"
}

# excerpts NAME: what the guide has of that example, paragraph by paragraph, however indented.
excerpts() {
	[ -e "$dir/examples:$1" ] || fail "guide.md has nothing of examples/$1"
	source=$(sed 's/^[[:space:]]*//' "$ZCP_SOURCE_DIR/examples/$1") awk '
		BEGIN { RS = "" }
		NR == 1 { sub(/^[^\n]*\n/, "") }
		{ gsub(/\n[ \t]+/, "\n") }
		!index("\n" ENVIRON["source"] "\n", "\n" $0 "\n") { print; bad = 1 }
		END { exit bad || NR == 0 }' "$dir/examples:$1" ||
		fail "guide.md: that is not in examples/$1"
	rm "$dir/examples:$1"
}

echo "README.md: a publisher and a subscriber"
# shellcheck disable=SC2016
commands README 'cc ' 'wait $!'
printf 'hello %d\n' 1 2 3 4 5 | cmp - "$dir/out" || fail "subscriber: $(cat "$dir/out")"

echo "README.md: the command"
# shellcheck disable=SC2016
commands README 'zcp echo' 'wait $! || true'
printf 'hello\nworld\n' >"$dir/wanted"
head -n 2 "$dir/out" | cmp - "$dir/wanted" || fail "zcp echo: $(cat "$dir/out")"
has "zcp list" "$dir/out" "greetings"
has "zcp info" "$dir/out" "publishers (1 of at most 8)"
has "zcp audit" "$dir/out" "clean: "

echo "guide.md: code"
for example in edges.c map_history.c recorder.c; do
	excerpts $example
done
# shellcheck disable=SC2086
"$cc" $flags -I "$ZCP_SOURCE_DIR/include" -c "$dir/imu.c" -o "$dir/imu.o" ||
	fail "imu.c does not compile"
rm "$dir/imu.c"

if [ -x "$ZCP_BIN_DIR/png_viewer" ]; then
	echo "guide.md: the examples"
	path=$dir/guide.1.sh
	# The picture may come when the camera has already gone.
	# shellcheck disable=SC2016
	commands guide png_viewer \
		'until find pictures -name "*.png" | grep -q .; do kill -0 $!; done' "$path"
	commands guide map_history '' "$path"
	has "map_history" "$dir/out" "map/hall: map 1, "
	commands guide recorder '' "$path"
	is "bytes recorded" 16384000 "$(wc -c <"$dir/readings")"
	rm "$path"
else
	echo "guide.md: the examples are not built"
	rm "$dir"/guide.*.sh
fi

echo "command.md"
commands command 'zcp echo greetings' wait
cmp "$dir/wanted" "$dir/out" || fail "zcp echo: $(cat "$dir/out")"
# ffplay needs a screen; video.sh has the rest of it.
grep -q ffplay "$dir/command.2.sh" && rm "$dir/command.2.sh"

echo "configuration.md"
commands configuration zcpd ''
for file in "$dir"/configuration.*.toml; do
	"$ZCP_BIN_DIR/zcpd" --check "$file" >"$dir/out" 2>"$dir/run.err" ||
		fail "configuration.md: $(cat "$file" "$dir/run.err")"
	rm "$file"
done

grep -q '^\./dev demo' "$dir/README.1.sh" || fail "README.md does not begin with its quick start"
rm "$dir/README.1.sh" "$dir/publisher.c" "$dir/subscriber.c"
for file in "$dir"/*.sh "$dir"/*.toml "$dir"/*.c "$dir"/*:*; do
	[ ! -e "$file" ] || fail "no check looks at ${file##*/}: $(cat "$file")"
done
exit "$failed"
