#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The example of back-pressure: every block is in the file, whatever holds up the recorder.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

recorder=$ZCP_BIN_DIR/recorder
[ -x "$recorder" ] || { echo "the examples are not built"; exit 77; }

# ended NAME CODE
ended() {
	join "$1"
	is "exit code of $1" "$2" $?
}

# recorded FILE BLOCKS: it has these, and each reading follows the one before.
recorded() {
	is "readings in $1" $((4096 * $2)) "$(od -An -v -tu4 -w4 "$dir/$1" |
		awk '$1 != NR - 1 { print "the one at " NR - 1 " is " $1; exit } END { print NR }')"
}

echo "as fast as the file takes them"
start record "$recorder" record --summary "$dir/fast"
start publish "$recorder" publish --wait-subscribers 1 --count 500 --summary
ended publish 0
has "publish" "$dir/publish.out" "summary topic=encoder/readings sent=500 bytes=8192000"
# All that was published is in the queue at the latest.
kill -TERM "$(pid record)"
ended record 0
has "record" "$dir/record.out" "summary topic=encoder/readings received=500 bytes=8192000"
has "record" "$dir/record.out" "lost=0 damaged=0 copied=0"
recorded fast 500

echo "a recorder that is stopped for a while"
mkfifo "$dir/pipe"
start record "$recorder" record "$dir/stopped"
until "$zcp" list --json 2>/dev/null | grep -q '"name": "encoder/readings"'; do
	kill -0 "$(pid record)" || break
done
kill -STOP "$(pid record)"
# shellcheck disable=SC2016
start publish sh -c 'exec "$@" 2>"$0"' "$dir/pipe" \
	"$recorder" publish --wait-subscribers 1 --count 200 --summary
exec 5<"$dir/pipe"
read -r line <&5
is "publish" "recorder: block 64 waits: a recorder of encoder/readings has taken nothing for 1 s;\
 \`zcp info encoder/readings\` says which" "$line"
kill -CONT "$(pid record)"
ended publish 0
exec 5<&-
has "publish" "$dir/publish.out" "sent=200 "
grep -q ' waits=[1-9]' "$dir/publish.out" || fail "publish: $(cat "$dir/publish.out")"
kill -INT "$(pid record)"
ended record 0
recorded stopped 200

echo "a sensor that is asked to end while it waits"
start record "$recorder" record "$dir/ended"
until "$zcp" list --json 2>/dev/null | grep -q '"name": "encoder/readings"'; do
	kill -0 "$(pid record)" || break
done
kill -STOP "$(pid record)"
# shellcheck disable=SC2016
start publish sh -c 'exec "$@" 2>"$0"' "$dir/pipe" "$recorder" publish --wait-subscribers 1 \
	--summary
exec 5<"$dir/pipe"
read -r line <&5
kill -TERM "$(pid publish)"
ended publish 0
exec 5<&-
has "publish" "$dir/publish.out" "sent=64 "
# In this order it finds all 64 when it has been asked to end.
kill -TERM "$(pid record)"
kill -CONT "$(pid record)"
ended record 0
recorded ended 64

echo "as many as were asked for"
start publish "$recorder" publish --wait-subscribers 1 --rate 1000
"$recorder" record --count 10 "$dir/ten" 2>"$dir/err"
is "exit code of record" 0 $?
recorded ten 10
kill -TERM "$(pid publish)"
ended publish 0

# With RLIMIT_FSIZE, as a full disk needs root. The sensor's zcpd is to be without.
echo "a disk that takes no more"
start publish "$recorder" publish --wait-subscribers 1 --count 200
until "$zcp" list --json 2>/dev/null | grep -q '"name": "encoder/readings"'; do
	kill -0 "$(pid publish)" || break
done
(
	trap '' XFSZ
	ulimit -f 100
	exec "$recorder" record "$dir/full"
) 2>"$dir/err"
is "exit code of record" 1 $?
has "record" "$dir/err" "recorder: cannot write $dir/full: File too large"
is "what fits" 51200 "$(wc -c <"$dir/full")"
# Who has gone holds up nobody.
ended publish 0

"$recorder" record --duration 0.1 "$dir/full" 2>"$dir/err"
is "exit code of record" 1 $?
has "record" "$dir/err" "recorder: cannot create $dir/full: File exists"
for arguments in "" record publish\ file record\ file\ file; do
	# shellcheck disable=SC2086
	"$recorder" $arguments 2>"$dir/err"
	is "exit code of recorder $arguments" 2 $?
	has "recorder $arguments" "$dir/err" "usage: recorder record"
done
exit "$failed"
