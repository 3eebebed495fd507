#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BUILD SECONDS FUZZER...
#
# Runs each fuzzer of a build on its seeds, and then, unless they are none, for so many seconds
# from there and from what it has found before, which it keeps in BUILD/corpus. One line for
# each; fails where one has failed, and says which input it was, which is kept in BUILD/found.
set -u

build=$1
seconds=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)

# What was freed is remembered for a while, but need not fill the memory.
export ASAN_OPTIONS="quarantine_size_mb=16:detect_stack_use_after_return=1:${ASAN_OPTIONS-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS-}"

# As in tests/CMakeLists.txt.
launcher=
bits=/proc/sys/vm/mmap_rnd_bits
if [ -r $bits ] && [ "$(cat $bits)" -gt 28 ] && setarch -R true 2>/dev/null; then
	launcher='setarch -R'
fi

# Seconds for one input: a machine that is busy takes its time, an endless loop more.
timeout=30

# run ARGUMENTS: fails where the fuzzer does, having told all about it.
run() {
	# shellcheck disable=SC2086
	$launcher "$build/tests/fuzz-$name" -timeout=$timeout -rss_limit_mb=2048 -max_len=4096 \
		-artifact_prefix="$found/" "$@" >"$log" 2>&1
}

# number NAME: from the fuzzer's last line, as in "#123 DONE cov: 45 ft: 67 corp: 8/90b".
number() {
	sed -n "s/^#.*DONE.* $1: \([0-9]*\).*/\1/p" "$log" | tail -n 1
}

failed() {
	cat "$log"
	input=$(sed -n 's/.*Test unit written to \(.*\)/\1/p' "$log" | tail -n 1)
	[ -n "$input" ] || input=$(sed -n 's/^Running: //p' "$log" | tail -n 1)
	printf '%-8s FAILED; the input: %s\n' "$name" "${input:-none, see above}"
	[ -z "$input" ] ||
		printf '%-8s again: %s\n' "" "${launcher:+$launcher }$build/tests/fuzz-$name $input"
	status=1
}

status=0
for name in "$@"; do
	corpus=$build/corpus/$name
	found=$build/found/$name
	log=$build/found/$name.log
	mkdir -p "$corpus" "$found"
	dictionary=$here/$name.dict
	[ -e "$dictionary" ] && dictionary=-dict=$dictionary || dictionary=-verbosity=1

	if ! run "$here/seeds/$name"/*; then
		failed
	elif [ "$seconds" -eq 0 ]; then
		printf '%-8s seeds passed\n' "$name"
	elif ! run "$dictionary" -max_total_time="$seconds" "$corpus" "$here/seeds/$name"; then
		failed
	else
		runs=$(sed -n 's/^#\([0-9]*\).*DONE.*/\1/p' "$log" | tail -n 1)
		printf '%-8s %9s runs, %5s places, %6s features covered: passed\n' \
			"$name" "$runs" "$(number cov)" "$(number ft)"
	fi
done
exit $status
