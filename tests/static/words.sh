#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# words.sh DIRECTORY     checks the repository there
# words.sh --self-test   checks that the check can fail
#
# A sentence names its actor: a publisher, a subscriber, the runtime, a peer, the caller. These words
# hide it, or make a person of a process.
set -eu

hides='whoever|whomever|somebody|someone|nobody|anybody|anyone|everybody'
hides="$hides|he|him|his|himself|who comes|who come|to be had|is not there yet"
everywhere="README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs dev cli config examples
common cmake pubsub runtime include"
# The code's own names for the processes of the runtime, in what users read.
internal='keeper|heir'
for_users="README.md CHANGELOG.md SECURITY.md docs cli config examples"

# look DIRECTORY WORDS PLACE...: prints the lines with such words; 1 if there are any.
look() {
	root=$1
	words=$2
	shift 2
	for place in "$@"; do
		[ ! -e "$root/$place" ] || grep -rniwE -- "$words" "$root/$place"
	done | sed "s|^$root/||" | grep . && return 1
	return 0
}

check() {
	found=0
	# shellcheck disable=SC2086
	look "$1" "$hides" $everywhere || found=1
	# shellcheck disable=SC2086
	look "$1" "$internal" $for_users || found=1
	[ $found -eq 0 ] || echo "say which process it is, or use the term of the manual page"
	return $found
}

self_test() {
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	mkdir "$dir/cli" "$dir/pubsub" "$dir/tests"
	echo '/* The keeper wakes the subscriber; see there. Somebody2 */' >"$dir/pubsub/a.c"
	echo '/* Whoever sleeps is woken. */' >"$dir/tests/b.c"
	check "$dir" >/dev/null || { echo "self-test: what is allowed was refused"; return 1; }
	for text in 'Nobody publishes' 'until he has it' 'pages are not to be had' 'the keeper died'; do
		echo "$text" >"$dir/cli/c.c"
		! check "$dir" >/dev/null || { echo "self-test: '$text' was let through"; return 1; }
	done
	echo "the check fails where it must"
}

case ${1-} in
--self-test) self_test ;;
'')
	sed -n 's/^# \(words.sh .*\)/usage: \1/p' "$0" >&2
	exit 2
	;;
*) check "$1" ;;
esac
