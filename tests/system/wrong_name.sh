#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A topic's name that is not the one where the others are: the commands say so after a second, and
# name the one that there is; zcp list shows what is only waited for apart.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

# No other runtime is told of.
ZCP_DOMAIN=names$$
export ZCP_DOMAIN
mkfifo "$dir/in" "$dir/said"
exec 4<>"$dir/in"
start camera "$zcp" pub camera/front --lines --quiet <"$dir/in"
# What has a message is there.
start first "$zcp" echo camera/front --lines --count 1 --quiet
while kill -0 "$(pid first)" 2>/dev/null; do
	echo hello >&4
done
join first || fail "first viewer ended with $?"

# told WHAT COMMAND...: what the command first says; it need not end by itself.
told() {
	what=$1
	shift
	# shellcheck disable=SC2016
	start waiter sh -c 'exec "$@" 2>"$0"' "$dir/said" "$@"
	said=
	exec 5<"$dir/said"
	read -r said <&5
	kill "$(pid waiter)"
	join waiter
	exec 5<&-
	is "$*" "$what" "$said"
}

for wrong in /camera/front //camera///front// Camera/Front camera/fornt; do
	told "zcp echo: topic '$wrong' has no publisher; there is 'camera/front'" \
		"$zcp" echo "$wrong" --lines
done
# A Cyrillic letter.
wrong=$(printf 'camer\320\260/front')
told "zcp echo: topic '$wrong' has no publisher; there is 'camera/front' (they differ from byte 6 on)" \
	"$zcp" echo "$wrong" --lines
told "zcp echo: topic 'lidar' has no publisher" "$zcp" echo lidar --lines

# One that gives up before.
"$zcp" echo /camera/front --timeout 0.1 2>"$dir/short.err" && fail "echo --timeout: 0"
has "echo --timeout" "$dir/short.err" "topic '/camera/front' has no publisher; there is 'camera/front'"
"$zcp" echo /camera/front --timeout 1.2 --quiet 2>"$dir/short.err" && fail "echo --timeout: 0"
is "echo --quiet" "zcp echo: nothing came on topic '/camera/front' for 1.2 s" \
	"$(cat "$dir/short.err")"

# What is waited for is no topic.
start viewer "$zcp" echo /camera/front --lines --quiet
until "$zcp" list --json | jq -e 'length == 2' >"$dir/length"; do
	kill -0 "$(pid viewer)" || break
done
is "list --json" '[["/camera/front",true],["camera/front",false]]' \
	"$("$zcp" list --json | jq -c 'map([.name, .waited_for])')"
"$zcp" list 2>"$dir/list.err" | tr -s ' ' '|' >"$dir/table"
is "list" "TOPIC|TYPE|PUBLISHERS|SUBSCRIBERS|MESSAGES
camera/front|-|1|0|

WAITED|FOR|SUBSCRIBERS
/camera/front|1" "$(sed 's/|0|[0-9]*$/|0|/' "$dir/table")"
"$zcp" info /camera/front >"$dir/page" 2>"$dir/info.err" || fail "info: $?"
has "info" "$dir/info.err" "topic '/camera/front' has no publisher; there is 'camera/front'"
"$zcp" info Camera/Front 2>"$dir/info.err" && fail "info of no topic: 0"
is "info of no topic" "zcp info: there is no topic 'Camera/Front'; there is 'camera/front'" \
	"$(cat "$dir/info.err")"

# The other way round: it is the publisher that has the wrong name.
for options in "--wait-subscribers 1" "--rate 20"; do
	# shellcheck disable=SC2086
	told "zcp pub: topic 'camera/front/' has no subscriber; there are subscribers of '/camera/front'" \
		"$zcp" pub camera/front/ --frame-size 8 $options </dev/zero
done
told "zcp pub: topic 'lidar' has no subscriber" \
	"$zcp" pub lidar --frame-size 8 --wait-subscribers 1 </dev/zero

exec 4>&-
join camera || fail "camera ended with $?"
kill "$(pid viewer)"
join viewer || fail "viewer ended with $?"
exit "$failed"
