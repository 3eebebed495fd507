#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# zcp pub and zcp echo are stopped: by signals wherever they wait, and by readers that go.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

mkfifo "$dir/in" "$dir/out"

# into PIPE NAME COMMAND...: like start, with standard output into a pipe.
into() {
	pipe=$1 name_into=$2
	shift 2
	# shellcheck disable=SC2016
	start "$name_into" sh -c 'exec "$@" >"$0"' "$pipe" "$@"
}

# ended NAME: waits for its end, and makes one where none comes; the exit code is $code.
ended() {
	ends "$(pid "$1")" || {
		fail "$what: $1 does not end"
		kill -KILL "$(pid "$1")"
	}
	code=0
	join "$1" || code=$?
}

# stopped NAME CODE: it ends, and with this exit code.
stopped() {
	ended "$1"
	is "$what: exit code of $1" "$2" "$code"
}

# A shell's background ignores SIGINT; who is asked to end by it does not.
for signal in TERM INT; do
	what="echo that waits, SIG$signal"
	into "$dir/out" echo env --default-signal=INT "$zcp" echo news --lines
	exec 5<"$dir/out"
	echo hello | "$zcp" pub news --lines --wait-subscribers 1 || fail "$what: pub"
	read -r line <&5
	is "$what" hello "$line"
	kill -"$signal" "$(pid echo)"
	stopped echo 0
	is "$what" "zcp echo: received 1 messages, lost 0" "$(said "$dir/echo.err")"
	exec 5<&-

	what="pub that reads, SIG$signal"
	start echo "$zcp" echo news --lines --count 1
	exec 4<>"$dir/in"
	start pub env --default-signal=INT "$zcp" pub news --lines --wait-subscribers 1 <"$dir/in"
	echo hello >&4
	stopped echo 0
	kill -"$signal" "$(pid pub)"
	stopped pub 0
	is "$what" "zcp pub: stopped; published 1 messages" "$(said "$dir/pub.err")"
	exec 4>&-

	what="pub that waits for its next turn, SIG$signal"
	start echo "$zcp" echo news --lines --count 1
	start pub env --default-signal=INT "$zcp" pub news --frame-size 1 --rate 0.001 \
		--wait-subscribers 1 </dev/zero
	stopped echo 0
	kill -"$signal" "$(pid pub)"
	stopped pub 0
done

what="pub that waits for subscribers"
start pub "$zcp" pub lonely --lines --wait-subscribers 2 </dev/null
# Where the runtime knows of it, it also knows of signals.
until "$zcp" list --json 2>/dev/null | grep -q '"name": "lonely"'; do
	kill -0 "$(pid pub)" || break
done
kill -TERM "$(pid pub)"
stopped pub 0
is "$what" "zcp pub: stopped; published 0 messages" "$(said "$dir/pub.err")"

for timeout in "" "--timeout 1000"; do
	what="pub whose subscriber takes nothing more $timeout"
	into "$dir/out" echo "$zcp" echo flood --raw --on-full block --depth 1
	# shellcheck disable=SC2086
	start pub "$zcp" pub flood --frame-size 64KiB --wait-subscribers 1 $timeout </dev/zero
	exec 5<"$dir/out"
	# Two messages, of which the pipe holds one.
	head -c 131072 <&5 >/dev/null
	kill -TERM "$(pid pub)"
	stopped pub 0
	# The last echo is for what comes next.
	[ -z "$timeout" ] || break
	kill -TERM "$(pid echo)"
	ended echo
	exec 5<&-
done
what="echo whose reader takes nothing more"
kill -TERM "$(pid echo)"
ended echo
# 1: it was stopped inside a message, and says so.
[ $code -le 1 ] || fail "$what: exit code $code"
exec 5<&-

what="echo whose reader has gone"
into "$dir/out" echo "$zcp" echo flood --raw --on-full block
start pub "$zcp" pub flood --frame-size 64KiB --wait-subscribers 1 </dev/zero
head -c 1 <"$dir/out" >/dev/null
stopped echo 0
has "$what" "$dir/echo.err" "zcp echo: received "
kill -TERM "$(pid pub)"
stopped pub 0

what="full disk"
start echo sh -c 'exec "$@" >/dev/full' "$zcp" "$zcp" echo news --lines --count 1
echo hello | "$zcp" pub news --lines --wait-subscribers 1 || fail "$what: pub"
stopped echo 1
has "$what" "$dir/echo.err" "cannot write to standard output: No space left on device"
"$zcp" --help >/dev/full 2>"$dir/message"
is "$what: exit code of help" 1 $?
has "$what: help" "$dir/message" "zcp: cannot write to standard output"
exit "$failed"
