#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the models: each as it is, which must hold, and with each of its bug switches, which must
# fail. The head of each .pml says what it checks and what each switch breaks.
#
#   run.sh          what is done in about two minutes
#   run.sh deep     and larger configurations, some of which take many minutes and gigabytes
#
# Needs spin and a C compiler. Exit code 77 where spin is not there.
set -u

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
failed=0

if ! command -v spin >/dev/null 2>&1; then
	echo "spin is not installed: ./dev model installs it"
	exit 77
fi

# check MODEL OPTION...: sets $errors, $states and $seconds.
check() {
	model=$1
	shift
	rm -rf "$dir/run"
	mkdir "$dir/run"
	begin=$(date +%s)
	errors=none states=
	(
		cd "$dir/run" && spin -a "$@" "$here/$model.pml" >spin.out 2>&1 &&
			${CC:-cc} -w -O2 -DSAFETY -DCOLLAPSE -DNOFAIR -o pan pan.c &&
			./pan -m200000 >pan.out 2>&1
	)
	if [ -f "$dir/run/pan.out" ]; then
		errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' "$dir/run/pan.out")
		states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$dir/run/pan.out" | head -n 1)
		# Not all was looked at: no result.
		grep -q -e 'max search depth too small' -e 'out of memory' "$dir/run/pan.out" &&
			[ "$errors" = 0 ] && errors=cut
	fi
	seconds=$(($(date +%s) - begin))
}

told() {
	printf '%-8s %-10s %12s states %4d s  %s\n' "$1" "$model" "${states:-?}" "$seconds" "$2"
}

# holds MODEL OPTION...
holds() {
	check "$@"
	shift
	if [ "$errors" = 0 ]; then
		told holds "$*"
	else
		told FAILED "$* ($errors)"
		cat "$dir/run/spin.out" "$dir/run/pan.out" 2>/dev/null
		failed=1
	fi
}

# finds MODEL BUG OPTION...: with that switch the model must fail.
finds() {
	bug=$2
	model=$1
	shift 2
	check "$model" "-D$bug" "$@"
	case $errors in
	0 | none | cut)
		told "MISSED" "$bug $* ($errors)"
		cat "$dir/run/spin.out" 2>/dev/null
		failed=1
		;;
	*) told finds "$bug $*" ;;
	esac
}

holds wake
holds block
holds dataplane
holds dataplane -DNP=2 -DMSGS1=1 -DKILLS=0 -DPNEW=0 -DSNEW=0
holds history -DMSGS=2
holds history -DMSGS=1 -DKILLS=1 -DWKILLS=1
holds history -DMSGS=1 -DKILLS=1 -DWKILLS=1 -DKEEP
holds history -DMSGS=2 -DH=2 -DWKILLS=1

for bug in CLEAR NOEVENTS NORECHECK LATEBIT LATEEPOCH LATEEVENTS LATEMODE LATEDRAIN NODEATH; do
	finds wake BUG_$bug
done
for bug in NOSECOND LATEFLAG LATEROOM NOVERSION NOFENCE NOBUMP NOLEAVE LATECLEAR INSIDE; do
	finds block BUG_$bug
done
finds block BUG_EACH -DTIMEOUTS=1
for bug in ORDER HOLDERS NODROPPED OUTSIDE VERSION NOGRACE NORESET NOFORMER; do
	finds dataplane BUG_$bug
done
finds dataplane BUG_START -DCAP=2 -DNC=4
for bug in CLAIM NOSECOND; do
	finds dataplane BUG_$bug -DNP=2 -DMSGS1=1 -DKILLS=0 -DPNEW=0 -DSNEW=0
done
for bug in NOGRACE NOBIT PUSHEDOUT BEGIN; do
	finds history BUG_$bug
done
finds history BUG_NOPIN -DOTHERS=1 -DMSGS=2
finds history BUG_EARLY -DWAIT=2
finds history BUG_SETTLE -DWAIT=2
finds history BUG_UNKEPT -DKEEP -DKILLS=1
finds history BUG_UNTRIMMED -DKEEP -DKILLS=1
finds history BUG_UNFORGOTTEN -DMSGS=1
finds history BUG_ANYORDER -DH=2 -DMSGS=2 -DWKILLS=1
finds history BUG_GONEFIRST -DMSGS=1 -DWKILLS=1
finds history BUG_PINNED -DMSGS=1 -DWKILLS=1
finds history BUG_STALE -DKEEP -DKILLS=1 -DSPARE -DOTHERS=1 -DMSGS=1

if [ "${1-}" = deep ]; then
	holds history
	holds history -DKEEP -DKILLS=1 -DMSGS=2
	holds history -DKILLS=1 -DMSGS=2 -DH=2 -DWKILLS=1
	holds history -DKILLS=1 -DMSGS=2 -DWKILLS=1 -DKEEP
	holds block -DTIMEOUTS=1
fi
exit "$failed"
