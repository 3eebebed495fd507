#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# docs.sh DIRECTORY     checks every document of the repository there
# docs.sh --self-test   checks that the check can fail
#
# Each link leads to a file, and its anchor to a heading of that file; each path in `quotes` that
# begins with a folder of the repository exists; and each `./dev COMMAND` is one.
set -eu

# Prints "LINE KIND TARGET" for each link, quoted path and command of a document, outside of blocks.
# shellcheck disable=SC2016
targets='
function each(text, pattern, kind, skip, tail,    rest) {
	for (rest = text; match(rest, pattern); rest = substr(rest, RSTART + RLENGTH))
		print FNR, kind, substr(rest, RSTART + skip, RLENGTH - skip - tail)
}
/^```/ { inside = !inside }
inside { next }
{
	each($0, "\\]\\([^) ]+\\)", "link", 2, 1)
	each($0, "`(" folders ")/[^` ]*`", "path", 1, 1)
	each($0, "`\\./dev [a-z]+", "dev", 7, 0)
}'

# Prints the anchor of each heading, as web pages make it.
# shellcheck disable=SC2016
anchors='
/^```/ { inside = !inside }
inside || !/^#+ / { next }
{
	sub(/^#+ +/, "")
	gsub(/\[|\]\([^)]*\)/, "")
	$0 = tolower($0)
	gsub(/[^a-z0-9 _-]/, "")
	gsub(/ /, "-")
	print $0 (n[$0]++ ? "-" n[$0] - 1 : "")
}'

# exists PATTERN: whether a file is there whose name the shell makes of it.
exists() {
	# shellcheck disable=SC2086
	set -- $1
	[ -e "$1" ]
}

# check DIRECTORY: says what is wrong and returns 1, or how much was looked at.
check() {
	failed=0
	n=0
	folders=$(cd "$1" && for name in */; do [ "$name" = build/ ] || printf '%s|' "${name%/}"; done)
	list=$(mktemp)
	for file in "$1"/*.md "$1"/docs/*.md; do
		[ -e "$file" ] || continue
		awk -v folders="${folders%|}" "$targets" "$file" >"$list"
		while read -r line kind target; do
			n=$((n + 1))
			why=
			case $kind:$target in
			link:http://* | link:https://*) ;;
			link:*)
				path=${target%%#*}
				[ -n "$path" ] && path=${file%/*}/$path || path=$file
				if [ ! -e "$path" ]; then
					why="there is no such file"
				elif [ "$target" != "${target#*#}" ] &&
					! awk "$anchors" "$path" | grep -qxF -- "${target#*#}"; then
					why="there is no such heading"
				fi
				;;
			path:*) exists "$1/$target" || why="there is no such file" ;;
			dev:*) "$1/dev" help | grep -q "^  $target\\>" || why="./dev has no such command" ;;
			esac
			if [ -n "$why" ]; then
				echo "${file#"$1"/}:$line: $target: $why"
				failed=1
			fi
		done <"$list"
	done
	rm -f "$list"
	[ $failed -ne 0 ] || [ $n -gt 0 ] || { echo "no link found below $1"; failed=1; }
	[ $failed -ne 0 ] || echo "$n links, paths and commands"
	return $failed
}

# finds WORD COUNT TEXT: the check of a document with that text complains COUNT times, by WORD.
finds() {
	printf '%s\n' "$3" >"$dir/docs/page.md"
	found=$(check "$dir" || true)
	if [ "$(printf '%s\n' "$found" | grep -c "$1")" -ne "$2" ]; then
		printf 'self-test: wanted %s of "%s" for:\n%s\ngot:\n%s\n' "$2" "$1" "$3" "$found"
		bad=1
	fi
}

# shellcheck disable=SC2016
self_test() {
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	bad=0
	mkdir "$dir/docs" "$dir/code"
	printf '#!/bin/sh\necho "  build  builds"\n' >"$dir/dev"
	chmod +x "$dir/dev"
	touch "$dir/code/a.c"
	printf '# A title\n\n## Links, `code` and more\n\n## Twice\n\n## Twice\n' >"$dir/README.md"
	finds 'links, paths and commands' 1 \
		'[a](../README.md#links-code-and-more) [b](../README.md#twice-1) `code/a.[ch]` `./dev build`'
	finds 'links, paths and commands' 1 "$(printf '[here](#here)\n\n```\n[in](a/block)\n```\n# Here')"
	finds 'no such file' 1 '[a](../code/b.c)'
	finds 'no such file' 2 '[a](b.md) and [c](../README.md) and ![d](d.svg)'
	finds 'no such heading' 1 '[a](../README.md#links)'
	finds 'no such heading' 1 '[a](#nowhere)'
	finds 'no such file' 1 'see `code/b.c`'
	finds 'no such command' 1 'run `./dev guess 5`'
	[ $bad -ne 0 ] || echo "the check fails where it must"
	return $bad
}

case ${1-} in
--self-test) self_test ;;
'')
	sed -n 's/^# \(docs.sh .*\)/usage: \1/p' "$0" >&2
	exit 2
	;;
*) check "$1" ;;
esac
