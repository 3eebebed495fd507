#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the models: each as it is, which must hold, and with each of its bug switches, which must
# fail. The head of each .pml says what it checks and what each switch breaks.
#
#   run.sh          what is done in about two minutes
#   run.sh deep     and larger configurations, some of which take many minutes and gigabytes
#
# Needs spin and a C compiler. Exit code 77 where spin is not there. Two checks run at a time, each
# as "run.sh --check holds MODEL OPTION..." or "run.sh --check finds MODEL BUG OPTION...".
set -u

here=$(cd "$(dirname "$0")" && pwd)

# check MODEL OPTION...: sets $errors, $states and $seconds.
check() {
	model=$1
	shift
	dir=$(mktemp -d) || exit 1
	trap 'rm -rf "$dir"' EXIT
	trap 'exit 130' INT TERM
	begin=$(date +%s)
	errors=none states=
	(
		cd "$dir" && spin -a "$@" "$here/$model.pml" >spin.out 2>&1 &&
			${CC:-cc} -w $optimise -DSAFETY -DCOLLAPSE -DNOFAIR -o pan pan.c &&
			./pan -m400000 >pan.out 2>&1
	)
	if [ -f "$dir/pan.out" ]; then
		errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' "$dir/pan.out")
		states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$dir/pan.out" | head -n 1)
		# Not all was looked at: no result.
		grep -q -e 'max search depth too small' -e 'out of memory' "$dir/pan.out" &&
			[ "$errors" = 0 ] && errors=cut
		[ -n "$errors" ] || errors=none
	fi
	seconds=$(($(date +%s) - begin))
}

told() {
	printf '%-8s %-6s %12s states %4d s  %s\n' "$1" "$model" "${states:-?}" "$seconds" "$2"
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
		cat "$dir/spin.out" "$dir/pan.out" 2>/dev/null
		return 1
	fi
}

# finds MODEL BUG OPTION...: with that switch the model must fail, by an assertion.
finds() {
	bug=$2
	model=$1
	shift 2
	# Most fail at once: to compile would take longer.
	optimise=-O0
	check "$model" "-D$bug" "$@"
	if grep -q "^#.*\<$bug\>" "$here/$model.pml" &&
		grep -q -e 'assertion violated' -e 'invalid end state' "$dir/pan.out" 2>/dev/null; then
		told finds "$bug $*"
	else
		told MISSED "$bug $* ($errors)"
		cat "$dir/spin.out" "$dir/pan.out" 2>/dev/null
		return 1
	fi
}

list() {
	echo holds wake
	echo holds wake -DNP=1 -DKEEPERS=1
	echo holds wake -DNP=1 -DMSGS=1 -DKEEPERS=2
	echo holds block
	echo holds block -DNS=1 -DMSGS=3 -DLATE=1 -DLATEOPENS=1
	echo holds block -DBLOCKERS=1 -DCUTS=1 -DKILLS=0
	echo holds block -DNS=1 -DWKILLS=1
	# Two subscribers, one of which is killed and comes again; one that loses its connection.
	echo holds plane -DMSGS=3
	echo holds plane -DCUTS=1
	echo holds plane -DFREES=1
	echo holds plane -DNS=2 -DMSGS=2 -DPKILLS=0 -DPNEW=0 -DSNEW=0
	# Two publishers that share a pool, with a kill.
	echo holds plane -DNP=2 -DMSGS=1 -DPNEW=0 -DSNEW=0
	# History: of a publisher that goes on, of one that is followed by another, of one that is gone.
	echo holds plane -DHIST=1 -DHINTS=1 -DMSGS=3 -DPNEW=0
	echo holds plane -DHIST=1 -DHNEW=0
	echo holds plane -DHIST=1 -DKEEP=1
	echo holds plane -DHIST=1 -DLATE=1 -DLATEOPENS=1
	# The worker is killed too.
	echo holds plane -DHIST=1 -DLATE=1 -DMSGS=1 -DWKILLS=1
	echo holds plane -DCUTS=1 -DMSGS=1 -DWKILLS=1

	for bug in CLEAR NOWOKEN NORECHECK LATEBIT LATEEPOCH LATESETTLE LATEMODE LATEDRAIN NODEATH; do
		echo finds wake BUG_$bug
	done
	echo finds wake BUG_NOMARK -DNP=1 -DKEEPERS=1
	echo finds wake BUG_NOLOOK -DNP=1 -DKEEPERS=1
	for bug in NOSECOND LATEFLAG LATEWAITED LATEROOM NOVERSION NOFENCE LATEFENCE NOBUMP NOLEAVE \
		LATECLEAR INSIDE; do
		echo finds block BUG_$bug
	done
	echo finds block BUG_OLDTAIL -DNS=1 -DLATE=1
	echo finds block BUG_BEGIN -DNS=1 -DLATE=1 -DBLOCKERS=0 -DMSGS=3
	echo finds block BUG_EACH -DTIMEOUTS=1
	for bug in ORDER NORESET WORD REREAD HELD LOOK NORESYNC GIVEN; do
		echo finds plane BUG_$bug
	done
	for bug in OUTSIDE VERSION NOGRACE START; do
		echo finds plane BUG_$bug -DLATE=1
	done
	for bug in FLOOR PUBBASE; do
		echo finds plane BUG_$bug -DLATE=1 -DHIST=1 -DMSGS=3
	done
	echo finds plane BUG_HISTORY -DLATE=1 -DHIST=1 -DHNEW=0 -DMSGS=3
	echo finds plane BUG_ROTATES -DLATE=1 -DASK=1 -DMSGS=3
	echo finds plane BUG_NOBEGIN -DLATE=1 -DMSGS=3
	echo finds plane BUG_RELEASED -DLATE=1 -DHIST=1 -DHINTS=1 -DMSGS=3
	echo finds plane BUG_COPY -DHIST=1 -DHINTS=1 -DMSGS=4 -DPKILLS=0 -DPNEW=0
	echo finds plane BUG_NOFLOOR -DLATE=1 -DHIST=1 -DLATEOPENS=1
	echo finds plane BUG_REJOIN -DLATE=1 -DWKILLS=1 -DMSGS=1
	for bug in ABSENT PASTEND LATEEND ENDBEFORE INACTIVE; do
		echo finds plane BUG_$bug -DCUTS=1
	done
	echo finds plane BUG_FREE -DNP=2 -DMSGS=1 -DMSGS1=2 -DFREES=1 -DSKILLS=0 -DPNEW=0 -DSNEW=0
	echo finds plane BUG_NOEND -DCUTS=1 -DMSGS=3 -DKILLS=0 -DPNEW=0
	echo finds plane BUG_PRESENT -DCUTS=1 -DLATE=1 -DKILLS=0 -DPNEW=0
	echo finds plane BUG_TWICE -DCUTS=2 -DNS=2 -DMSGS=1 -DKILLS=0 -DPNEW=0
}

list_deep() {
	echo holds block -DTIMEOUTS=1
	echo holds block -DCUTS=1 -DSTOPS=1
	echo holds block -DWKILLS=1 -DKILLS=0
	echo holds block -DCAP=2 -DMSGS=3
	echo holds plane -DMSGS=3 -DKILLS=2 -DHIST=1 -DHINTS=1
	echo holds plane -DMSGS=3 -DKILLS=2 -DCAP=2
	echo holds plane -DMSGS=3 -DLATE=1 -DHIST=2 -DHINTS=1
	echo holds plane -DMSGS=2 -DKILLS=2 -DCUTS=1
	echo holds plane -DMSGS=2 -DCUTS=1 -DHIST=1 -DLATE=1 -DLATEOPENS=1
	echo holds plane -DMSGS=2 -DCUTS=1 -DHIST=1 -DWKILLS=1
	echo holds plane -DMSGS=2 -DHIST=1 -DKEEP=1 -DLATE=1 -DWKILLS=1
	echo holds plane -DNS=2 -DMSGS=2 -DPKILLS=0 -DPNEW=0
	echo holds plane -DNS=2 -DMSGS=1 -DCUTS=2 -DKILLS=0 -DPNEW=0
	echo holds plane -DNP=2 -DMSGS=2 -DMSGS1=1 -DPNEW=0 -DSNEW=0
}

case ${1-} in
--check)
	shift
	"$@"
	exit
	;;
esac
if ! command -v spin >/dev/null 2>&1; then
	echo "spin is not installed: ./dev model installs it"
	exit 77
fi
{
	list
	[ "${1-}" != deep ] || list_deep
} | xargs -P 2 -L 1 "$here/run.sh" --check || exit 1
