#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The command among others, as a shell uses it: closed and non-blocking standard descriptors,
# readers that have enough, interrupted loops, timeouts.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

mkfifo "$dir/in" "$dir/out"

# Where the first command was typed can be removed or unmounted afterwards.
mkdir "$dir/disk"
(cd "$dir/disk" && echo hello | "$zcp" pub typed --lines) || fail "pub"
runtime=$(cat "$ZCP_RUNTIME_DIR/default/zcpd.pid")
runtime=${runtime##*/}
for process in $runtime $(cat "/proc/$runtime/task/$runtime/children"); do
	is "the working directory of $(cat "/proc/$process/comm")" / \
		"$(readlink "/proc/$process/cwd")"
done

# What is printed must not land in the domain's memory, nor in its socket.
code=0
"$zcp" echo closed --lines --timeout 20 >&- 2>"$dir/closed.err" || code=$?
is "echo with a closed output" 1 "$code"
has "echo with a closed output" "$dir/closed.err" "standard output is closed"
code=0
"$zcp" list >&- 2>"$dir/closed.err" || code=$?
is "list with a closed output" 1 "$code"
echo hello | "$zcp" pub closed --lines >&- 2>&- || fail "pub with closed output and error"
"$zcp" pub closed --lines <&- 2>"$dir/closed.err" || fail "pub with a closed input"
"$zcp" list >"$dir/list" || fail "the domain is harmed: $(cat "$dir/list")"

# A reader that has what it wanted: echo ends with it, and not with the next message.
exec 4<>"$dir/in"
start pub "$zcp" pub news --lines --wait-subscribers 1 <"$dir/in"
echo first >&4
first=$("$zcp" echo news --lines --quiet 2>"$dir/head.err" | head -n 1)
is "echo into head" first "$first"
is "echo into head says" "" "$(cat "$dir/head.err")"
exec 4>&-
join pub || fail "pub"

# Nobody comes: 124 after the timeout, whether a subscriber is waited for or one is full.
code=0
echo hello | "$zcp" pub nobody --lines --wait-subscribers 2 --timeout 0.2 2>"$dir/nobody.err" ||
	code=$?
is "pub without a subscriber" 124 "$code"
has "pub without a subscriber" "$dir/nobody.err" "'nobody' had 0 of 2 subscribers after 0.2 s"
# This one has given its first message to a pipe that nobody reads, and takes no more.
start full sh -c 'exec "$@" >"$0"' "$dir/out" "$zcp" echo full --raw --on-full block --depth 1
exec 5<"$dir/out"
code=0
"$zcp" pub full --frame-size 1MiB --wait-subscribers 1 --timeout 0.2 </dev/zero \
	2>"$dir/full.err" || code=$?
is "pub into a full queue" 124 "$code"
has "pub into a full queue" "$dir/full.err" "'full' was full for 0.2 s"
exec 5<&-
join full || fail "echo whose reader has gone"

# Stopped before the count: a shell's loop ends as well.
for signal in INT TERM; do
	start count env --default-signal=INT "$zcp" echo counted --lines --count 2
	echo hello | "$zcp" pub counted --lines --wait-subscribers 1 || fail "pub"
	while [ ! -s "$dir/count.out" ]; do
		kill -0 "$(pid count)" 2>/dev/null || break
	done
	kill -"$signal" "$(pid count)"
	code=0
	join count || code=$?
	[ $signal = INT ] && wanted=130 || wanted=143
	is "echo --count 2, SIG$signal after one" "$wanted" "$code"
done

# A rate at which nothing would ever come.
code=0
echo hello | "$zcp" pub rate --lines --rate 1e-11 2>"$dir/rate.err" || code=$?
is "pub --rate 1e-11" 2 "$code"
has "pub --rate 1e-11" "$dir/rate.err" "--rate 1e-11 is less than 1e-06"
exit "$failed"
