#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# zcp echo and zcp pub were stopped while all of the runtime was killed, and another one serves
# others by now: they open anew what they have lost, say so once, and go on.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

mkfifo "$dir/in" "$dir/out"
# The next runtime waits for nobody.
printf '[runtime]\nreturn_timeout = "1ms"\n' >"$dir/zcp.toml"
export ZCP_CONFIG="$dir/zcp.toml"

# open_on TOPIC: until the topic is there.
open_on() {
	until "$zcp" list 2>/dev/null | grep -q "$1"; do :; done
}

# lose NAME: it is stopped; its runtime is killed, and another one has another node when it goes on.
lose() {
	keeper=$(cat "$ZCP_RUNTIME_DIR/default/zcpd.pid")
	worker=$(cat "/proc/$keeper/task/$keeper/children")
	kill -STOP "$(pid "$1")"
	# shellcheck disable=SC2086
	kill -KILL "$keeper" $worker
	for process in $keeper $worker; do
		ends "$process" || fail "$what: process $process of the runtime does not end"
	done
	echo x >"$dir/x"
	start holder "$zcp" pub other --lines --history 1 --stay <"$dir/x"
	"$zcp" echo other --lines --history 1 --count 1 --quiet >"$dir/other"
	is "$what: the other node" x "$(cat "$dir/other")"
	kill -CONT "$(pid "$1")"
}

# subscribed TOPIC: until it has a subscriber.
subscribed() {
	"$zcp" pub "$1" --lines --wait-subscribers 1 </dev/null || fail "$what: pub to ask"
}

# said_once NAME TOPIC: and ends with 0; ends the other node as well.
said_once() {
	join "$1" || fail "$what: exit code of $1: $?"
	is "$what: $1 says so once" 1 "$(grep -c "topic '$2' was lost .* opened anew" "$dir/$1.err")"
	kill -TERM "$(pid holder)"
	join holder
}

what="echo"
# shellcheck disable=SC2016
start echo sh -c 'exec "$@" >"$0"' "$dir/out" "$zcp" echo news --lines --count 2
exec 5<"$dir/out"
echo one | "$zcp" pub news --lines --wait-subscribers 1 || fail "$what: pub"
read -r line <&5
is "$what" one "$line"
lose echo
echo two | "$zcp" pub news --lines --wait-subscribers 1 || fail "$what: pub to the next"
read -r line <&5
is "$what" two "$line"
said_once echo news
exec 5<&-

for form in "--lines" "--lines --rate 1000" "--frame-size 5"; do
	what="pub $form that waits for its input"
	exec 4<>"$dir/in"
	start echo "$zcp" echo news --raw --count 1
	# shellcheck disable=SC2086
	start pub "$zcp" pub news $form --wait-subscribers 1 --count 2 <"$dir/in"
	case $form in --frame*) write=%s ;; *) write='%s\n' ;; esac
	# shellcheck disable=SC2059
	printf "$write" first >&4
	join echo || fail "$what: echo"
	is "$what" first "$(cat "$dir/echo.out")"
	lose pub
	start echo "$zcp" echo news --raw --count 1
	subscribed news
	# shellcheck disable=SC2059
	printf "$write" again >&4
	join echo || fail "$what: echo of the next"
	is "$what" again "$(cat "$dir/echo.out")"
	said_once pub news
	exec 4<&-
done

what="pub that waits for its next turn"
start echo "$zcp" echo news --raw --count 1
printf 'first\nagain\n' >"$dir/lines"
start pub "$zcp" pub news --lines --rate 0.0001 --wait-subscribers 1 <"$dir/lines"
join echo || fail "$what: echo"
lose pub
open_on news
kill -TERM "$(pid pub)"
said_once pub news

what="pub that waits for subscribers"
start pub "$zcp" pub news --lines --wait-subscribers 1 <"$dir/x"
open_on news
lose pub
start echo "$zcp" echo news --raw --count 1
join echo || fail "$what: echo"
is "$what" x "$(cat "$dir/echo.out")"
said_once pub news

what="pub that stays"
start pub "$zcp" pub news --lines --history 1 --stay <"$dir/x"
"$zcp" echo news --lines --history 1 --count 1 --quiet >"$dir/news"
lose pub
open_on news
kill -TERM "$(pid pub)"
said_once pub news
