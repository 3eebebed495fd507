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
			${CC:-cc} -w $optimise -DSAFETY -DCOLLAPSE -DNOFAIR -o pan pan.c &&
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
	optimise=-O2
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
	# Most fail at once: to compile would take longer.
	optimise=-O0
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
holds plane -DMSGS=3
holds plane -DMSGS=2 -DHIST=1 -DHINTS=1 -DHNEW=0 -DKEEP=1
holds plane -DLATE=1 -DHIST=1 -DLATEOPENS=1
holds plane -DWKILLS=1 -DLATE=1 -DMSGS=1
holds plane -DCUTS=1
holds plane -DNP=2 -DMSGS=1 -DPNEW=0 -DSNEW=0
holds plane -DNS=2 -DMSGS=1 -DPNEW=0 -DSNEW=0

for bug in CLEAR NOEVENTS NORECHECK LATEBIT LATEEPOCH LATEEVENTS LATEMODE LATEDRAIN NODEATH; do
	finds wake BUG_$bug
done
for bug in NOSECOND LATEFLAG LATEROOM NOVERSION NOFENCE NOBUMP NOLEAVE LATECLEAR INSIDE; do
	finds block BUG_$bug
done
finds block BUG_EACH -DTIMEOUTS=1
for bug in ORDER NORESET WORD REREAD HELD LOOK NORESYNC GIVEN; do
	finds plane BUG_$bug
done
for bug in OUTSIDE VERSION NOGRACE START; do
	finds plane BUG_$bug -DLATE=1
done
for bug in FLOOR PUBBASE; do
	finds plane BUG_$bug -DLATE=1 -DHIST=1 -DMSGS=3
done
finds plane BUG_HISTORY -DLATE=1 -DHIST=1 -DHNEW=0 -DMSGS=3
finds plane BUG_ROTATES -DLATE=1 -DASK=1 -DMSGS=3
finds plane BUG_NOBEGIN -DLATE=1 -DMSGS=3
finds plane BUG_RELEASED -DLATE=1 -DHIST=1 -DHINTS=1 -DMSGS=3
finds plane BUG_COPY -DHIST=1 -DHINTS=1 -DMSGS=4 -DPKILLS=0 -DPNEW=0
finds plane BUG_NOFLOOR -DLATE=1 -DHIST=1 -DLATEOPENS=1
finds plane BUG_REJOIN -DLATE=1 -DWKILLS=1 -DMSGS=1
for bug in ABSENT PASTEND LATEEND ENDBEFORE INACTIVE; do
	finds plane BUG_$bug -DCUTS=1
done
finds plane BUG_NOEND -DCUTS=1 -DMSGS=3 -DKILLS=0 -DPNEW=0
finds plane BUG_PRESENT -DCUTS=1 -DLATE=1 -DKILLS=0 -DPNEW=0
finds plane BUG_TWICE -DCUTS=2 -DNS=2 -DMSGS=1 -DKILLS=0 -DPNEW=0

if [ "${1-}" = deep ]; then
	holds plane -DMSGS=3 -DKILLS=2 -DHIST=1 -DHINTS=1
	holds block -DTIMEOUTS=1
fi
exit "$failed"
