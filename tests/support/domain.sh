# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
#
# shellcheck disable=SC2034
# For the scripts in tests/system: a domain of their own, and an end to all that they start.
#
#   . "$(dirname "$0")/../support/domain.sh"
#
#   $dir                    a directory that goes away with the script
#   $zcp                    the command
#   start NAME COMMAND...   in the background; output in $dir/NAME.out and NAME.err
#   join NAME               waits for its end; returns its exit code
#   pid NAME                prints its process id
#   ends PID                whether that process ends within 30 seconds
#   fail TEXT...            says what is wrong; the script goes on and ends with 1
#   is WHAT WANTED GOT      fails unless they are equal
#   has WHAT FILE TEXT      fails unless a line of the file has the text
#   said FILE               prints what a command has said there, but for the lines that come
#                           when the other end is not there within a second, and of runtimes
#                           elsewhere
#
# Its own variables begin with d_, but for these.
#
# Nothing here waits for time to pass: only for processes to end and for pipes.
: "${ZCP_BIN_DIR:?is to name the directory of zcp and zcpd}"

dir=$(mktemp -d)
zcp=$ZCP_BIN_DIR/zcp
export ZCP_RUNTIME_DIR="$dir/runtime" ZCP_ZCPD="${ZCP_ZCPD-$ZCP_BIN_DIR/zcpd}"
unset ZCP_DOMAIN ZCP_AUTO_START
started=
failed=0

fail() {
	echo "failed: $*"
	failed=1
}

is() {
	[ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
}

has() {
	grep -qF -- "$3" "$2" || fail "$1: no line with '$3' in: $(cat "$2")"
}

said() {
	grep -v -e "^zcp [a-z]*: nobody " -e " has another runtime at " -e " more runtimes of " "$1"
}

pid() {
	cat "$dir/$1.pid"
}

# Standard input is the script's, unless it is redirected. By way of another descriptor, as
# what a shell puts in the background has none by itself. Pipes that the script holds open
# (4 to 6) are not for the process.
start() {
	d_name=$1
	shift
	{
		"$@" <&3 3<&- 4<&- 5<&- 6<&- >"$dir/$d_name.out" 2>"$dir/$d_name.err" &
	} 3<&0
	echo $! >"$dir/$d_name.pid"
	started="$started $d_name"
}

join() {
	wait "$(pid "$1")"
	d_code=$?
	d_rest=
	for d_name in $started; do
		[ "$d_name" = "$1" ] || d_rest="$d_rest $d_name"
	done
	started=$d_rest
	return $d_code
}

# Whether process $1 ends in time. `wait` is for children, and would wait for ever.
ends() {
	timeout 30 tail -s 0.05 --pid="$1" -f /dev/null
}

# Ends the runtimes of all our domains, whoever started them, and waits until they are gone.
stop_runtimes() {
	for d_file in "$ZCP_RUNTIME_DIR"/*/zcpd.pid; do
		[ -s "$d_file" ] || continue
		d_runtime=$(cat "$d_file")
		d_runtime=${d_runtime##*/}
		# A number that has gone to another program by now is not ours to end.
		[ "$(cat "/proc/$d_runtime/comm" 2>/dev/null)" = zcpd ] || continue
		kill -TERM "$d_runtime" 2>/dev/null || continue
		ends "$d_runtime" || fail "zcpd ($d_runtime) does not end"
	done
}

finish() {
	d_status=$?
	trap - EXIT HUP INT TERM
	for d_name in $started; do
		kill -KILL "$(pid "$d_name")" 2>/dev/null
	done
	wait
	stop_runtimes
	if [ $d_status -ne 0 ] || [ $failed -ne 0 ]; then
		for d_file in "$dir"/*.err; do
			[ ! -s "$d_file" ] || { echo "== ${d_file##*/}"; tail -n 20 "$d_file"; }
		done
		[ $d_status -ne 0 ] || d_status=1
	fi
	rm -rf "$dir"
	exit $d_status
}

trap finish EXIT
trap 'echo "failed: stopped from outside"; exit 1' HUP INT TERM
