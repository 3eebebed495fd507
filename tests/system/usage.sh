#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# zcp's command line: help, mistakes and their sentences. No runtime is started by any of it.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

# wrong SENTENCE ARGUMENT...: exit code 2, the sentence on standard error and nothing else.
wrong() {
	sentence=$1
	shift
	code=0
	"$zcp" "$@" >"$dir/out" 2>"$dir/message" </dev/null || code=$?
	is "zcp $*: exit code" 2 "$code"
	is "zcp $*: message" "$sentence" "$(cat "$dir/message")"
	is "zcp $*: output" "" "$(cat "$dir/out")"
}

# shown TEXT ARGUMENT...: exit code 0, the text on standard output.
shown() {
	text=$1
	shift
	code=0
	"$zcp" "$@" >"$dir/out" 2>"$dir/message" </dev/null || code=$?
	is "zcp $*: exit code" 0 "$code"
	has "zcp $*" "$dir/out" "$text"
	is "zcp $*: message" "" "$(cat "$dir/message")"
}

for command in pub echo list info; do
	for way in "$command --help" "$command -h" "help $command"; do
		# shellcheck disable=SC2086
		shown "usage: zcp $command" $way
		has "zcp $way" "$dir/out" "Example:"
		has "zcp $way" "$dir/out" "  zcp $command"
		has "zcp $way" "$dir/out" "--domain NAME"
	done
	shown "  $command" --help
done
shown "usage: zcp COMMAND" help
shown "usage: zcp COMMAND" -h
shown "zcp 0." --version
shown "  --timeout SECONDS" pub --help
# Help is printed wherever it is asked for, and whatever is missing.
shown "usage: zcp pub TOPIC" pub topic --count 3 --help

wrong "zcp: which command? pub, echo, list, info or audit (see zcp --help)"
wrong "zcp: there is no command 'lsit'; did you mean 'list'? (see zcp --help)" lsit
wrong "zcp: there is no command 'publish' (see zcp --help)" publish
wrong "zcp: there is no command 'lst'; did you mean 'list'? (see zcp --help)" help lst
wrong "zcp: the command comes first, before --json (see zcp --help)" --json list

wrong "zcp pub: which topic? Give its name (see zcp pub --help)" pub --lines
wrong "zcp pub: 'b' is one argument too many: it takes one topic (see zcp pub --help)" \
	pub a b --lines
wrong "zcp list: 'a' is one argument too many: it takes none (see zcp list --help)" list a
wrong "zcp info: which topic? Give its name (see zcp info --help)" info --json

wrong "zcp pub: there is no option --frmae-size; did you mean --frame-size? (see zcp pub --help)" \
	pub a --frmae-size 8
wrong "zcp echo: there is no option --xyz (see zcp echo --help)" echo a --xyz
wrong "zcp echo: there is no option -x (see zcp echo --help)" echo a -x
wrong "zcp echo: --d is the beginning of several options (see zcp echo --help)" echo a --d 3
wrong "zcp pub: --lines takes no value (see zcp pub --help)" pub a --lines=yes
wrong "zcp pub: --help takes no value (see zcp pub --help)" pub a --help=yes
wrong "zcp pub: --count wants a value: --count N (see zcp pub --help)" pub a --lines --count

wrong "zcp pub: say how the input is divided: --frame-size BYTES or --lines (see zcp pub --help)" \
	pub a
wrong "zcp pub: --frame-size and --lines exclude each other: leave one out (see zcp pub --help)" \
	pub a --lines --frame-size 8
wrong "zcp echo: --raw and --lines exclude each other: leave one out (see zcp echo --help)" \
	echo a --raw --lines
wrong "zcp echo: --header is for the readable form, and --raw writes payloads alone: leave one out \
(see zcp echo --help)" echo a --raw --header
wrong "zcp pub: --frame-size is larger than --max-payload: 4096 and 1000 bytes; raise \
--max-payload or leave it out (see zcp pub --help)" pub a --frame-size 4KiB --max-payload 1kB

for value in 0 -1 +1 1.5 "" " 1" 1x 18446744073709551616; do
	wrong "zcp echo: --count wants a whole number of 1 or more, not '$value' \
(see zcp echo --help)" echo a --count "$value"
done
wrong "zcp echo: --depth wants a whole number from 1 to 65536, not '65537' (see zcp echo --help)" \
	echo a --depth 65537
wrong "zcp echo: --held wants a whole number from 1 to 4096, not '0' (see zcp echo --help)" \
	echo a --held 0
for value in 0 -1 nan inf "" x 1x 1e10; do
	wrong "zcp pub: --rate wants a number above 0 and up to 1000000000, for example 2.5, not \
'$value' (see zcp pub --help)" pub a --lines --rate "$value"
done
wrong "zcp pub: --timeout wants a number above 0 and up to 1000000000, for example 2.5, not '0' \
(see zcp pub --help)" pub a --lines --timeout 0
wrong "zcp pub: --timeout wants a value: --timeout SECONDS (see zcp pub --help)" \
	pub a --lines --timeout
for value in x "" 8x 8mib -8 1.5MiB; do
	wrong "zcp pub: --frame-size wants bytes, for example 4096, 64KiB or 8MiB, not '$value'; \
units are B, KiB, MiB, GiB, TiB (1024 each), kB, MB, GB, TB (1000 each) (see zcp pub --help)" \
		pub a --frame-size "$value"
done
for value in 0 17GiB 18446744073709551616 99999999TiB; do
	wrong "zcp pub: --frame-size wants 1 to 16GiB, not '$value' (see zcp pub --help)" \
		pub a --frame-size "$value"
done
wrong "zcp echo: --on-full wants drop-oldest or block, not 'drop' (see zcp echo --help)" \
	echo a --on-full drop
wrong "zcp echo: --type wants a NAME, not '' (see zcp echo --help)" echo a --type ""

[ ! -e "$ZCP_RUNTIME_DIR" ] || fail "$ZCP_RUNTIME_DIR was made"
exit "$failed"
