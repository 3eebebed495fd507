#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The benchmark's harness: what it is to show it shows, its rows are whole, and what it cannot do
# it says.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

bench=$ZCP_BIN_DIR/zcp-bench
[ -x "$bench" ] || exit 77
taskset -c 0,1 true 2>/dev/null || exit 77

# run CODE ARGUMENT...: output in $dir/out, messages in $dir/message.
run() {
	wanted=$1 code=0
	shift
	"$bench" "$@" >"$dir/out" 2>"$dir/message" || code=$?
	[ "$code" -ne 77 ] || return 77
	is "zcp-bench $*: exit code" "$wanted" "$code"
	[ "$code" -eq "$wanted" ] || cat "$dir/out" "$dir/message"
}

faults_show() {
	run 0 --check || return 0
	is "check: lines" 5 "$(grep -c '^ok ' "$dir/out")"
	has "check" "$dir/message" "wrong byte"
}

rows_are_whole() {
	run 0 --games stream-drop-1-1,instructions --peers ring,zcp --json "$dir/rows.json"
	is "rows" true "$(jq '.rows | length > 0 and all(
		(.name | type) == "string" and (.unit | type) == "string" and .samples > 0 and
		(.median | type) == "number" and (.spread | length) == 2 and
		((.ratio | type) == "number") == ((.ratio_to | type) == "string"))' "$dir/rows.json")"
	is "blocks" true "$(jq '.games | length == 1 and .[0].blocks > 0' "$dir/rows.json")"
	is "system calls of a hand-over" 0 "$(jq '[.rows[] | select(.game == "instructions" and
		.figure == "system-calls")][0].median' "$dir/rows.json")"
}

what_it_cannot_do_it_says() {
	code=0
	taskset -c 0 "$bench" --games stream-1-1 >"$dir/out" 2>"$dir/message" || code=$?
	is "one processor: exit code" 1 "$code"
	has "one processor" "$dir/message" "two processors are needed"
	run 1 --games stream-drop-1-1 --peers ring --json "$dir/none/rows.json"
	has "a file that cannot be written" "$dir/message" "give another FILE"
}

faults_show
rows_are_whole
what_it_cannot_do_it_says
exit "$failed"
