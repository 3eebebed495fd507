#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run_sanitized.sh REPORTS COMMAND...
#
# Runs a test of a sanitizer build. It has failed as well if any of its processes leaves a
# report in REPORTS: a leak that Criterion does not notice, a zcpd whose output nobody sees.
set -u

reports=$1
shift
rm -rf "$reports"
mkdir -p "$reports"
export ASAN_OPTIONS="${ASAN_OPTIONS-}:log_path=$reports/asan"
export UBSAN_OPTIONS="${UBSAN_OPTIONS-}:log_path=$reports/ubsan"
export TSAN_OPTIONS="${TSAN_OPTIONS-}:log_path=$reports/tsan"

"$@"
status=$?
for report in "$reports"/*; do
	[ -s "$report" ] || continue
	echo "== ${report##*/}"
	cat "$report"
	status=1
done
exit $status
