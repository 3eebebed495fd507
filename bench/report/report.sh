#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# report.sh FILE: makes docs/performance.md and the plots beside it of a benchmark's JSON.
# shellcheck disable=SC2016 # jq has variables of its own
set -eu
json=$1
here=$(cd "$(dirname "$0")" && pwd)
docs=$here/../../docs
page=$docs/performance.md
plots=$docs/performance
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ -r "$json" ] || {
	echo "report.sh: $json cannot be read: make it with ./dev bench --json $json" >&2
	exit 1
}

# query FILTER [ARGUMENT...]: of the JSON, with what all filters use.
query() {
	filter=$1
	shift
	jq -r "$@" '
		def row($game; $peer; $figure; $size; $to): first(.rows[] | select(.game == $game and
			.peer == $peer and .figure == $figure and .place == "all" and
			($size == 0 or .size == $size) and ($to == "" or .ratio_to == $to))) // null;
		def short: if . == null then "-"
			elif . >= 1e6 then "\(. / 1e4 | round / 100) M"
			elif . >= 1000 then "\(round)"
			elif . >= 10 then "\(. * 10 | round / 10)"
			else "\(. * 1000 | round / 1000)" end;
		def bytes: if . >= 1048576 and . % 1048576 == 0 then "\(. / 1048576) MiB"
			elif . >= 1024 and . % 1024 == 0 then "\(. / 1024) KiB" else "\(.) B" end;
		'"$filter" "$json"
}

machine() {
	query '"One run of `./dev bench --\(.mode)` on \(.date): \(.processor), \(.processors) processors, "
		+ "\(.kernel), \(.machine); \(.seconds) s."'
}

peers() {
	printf '| peer | at what settings |\n|---|---|\n'
	query '[.rows[].peer] as $there | .peers[] | select(.name as $n | $there | index($n)) |
		"| \(.name) | \(.settings) |"'
}

notes() {
	query 'if (.notes | length) == 0 then "" else
		"\nPeers that left a game:\n\n" + ([.notes[] | "- \(.game), \(.peer): \(.text)"] | unique |
		join("\n")) end'
}

blocks() {
	printf '| game | blocks | left out: moved | plays | left out: disturbed |\n|---|---|---|---|---|\n'
	query '.games | group_by(.game)[] | "| \(.[0].game) | \(map(.blocks) | add) | " +
		"\(map(.moved) | add) | \(map(.plays) | add) | \(map(.disturbed) | add) |"'
}

# Each target: what, game, peer, figure, size, compared with, relation, limit, why not.
targets() {
	printf '| figure | target | this run | |\n|---|---|---|---|\n'
	while IFS='|' read -r what game peer figure size to relation limit why; do
		[ -n "$what" ] || continue
		query '(row($game; $peer; $figure; $size; $to)) as $row |
			(if $row == null then null elif $to == "" then $row.median else $row.ratio end)
				as $value |
			"| \($what) | \(if $relation == "le" then "<=" else ">=" end) \($limit) | " +
			"\($value | short)" + (if $value != null and $to != "" then
			" (\($row.ratio_spread[0] | short) to \($row.ratio_spread[1] | short))" else "" end) +
			" | " + (if $value == null then "not measured"
			elif ($relation == "le" and $value <= $limit) or
				($relation == "ge" and $value >= $limit) then "reached"
			else "**not reached**" + (if $why == "" then "" else ": \($why)" end) end) + " |"' \
			--arg what "$what" --arg game "$game" --arg peer "$peer" --arg figure "$figure" \
			--argjson size "$size" --arg to "$to" --arg relation "$relation" \
			--argjson limit "$limit" --arg why "$why"
	done <"$here/targets"
	query '[.rows[] | select(.figure == "runtime-resident")] | if length < 2 then empty else
		((last.median - first.median) * 10000 / (last.n - first.n) + first.median) as $value |
		"| zcpd resident with 10,000 topics and 20,000 endpoints, MiB, from those with \(last.n) | <= 120 | " +
		"\($value | short) | " + (if $value <= 120 then "reached" else "**not reached**: what it keeps " +
		"for each topic and endpoint is \((last.median - first.median) * 1024 / (last.n - first.n) |
		short) KiB a topic, its mapped regions among it" end) + " |" end'
	query '[.rows[] | select(.figure == "runtime-idle-wake-ups")] | if length == 0 then empty else
		"| zcpd idle, wake-ups a second, with \(last.n) topics | <= 0 | \(last.median | short) | " +
		(if last.median <= 0 then "reached" else "**not reached**" end) + " |" end'
}

# latency GAME: one line for each peer, one column for each size.
latency() {
	sizes=$(query '[.rows[] | select(.game == $g and .figure == "p50" and .place == "all") | .size] |
		unique | map(select(. > 8)) | .[]' --arg g "$1")
	printf '| one way, ns |'
	for size in $sizes; do
		query '" \($s | bytes) |"' --argjson s "$size" | tr -d '\n'
	done
	printf '\n|---|'
	for size in $sizes; do printf -- '---|'; done
	printf '\n'
	query '[.rows[] | select(.game == $g and .figure == "p50" and .place == "all")] as $r |
		($r | map(.size) | unique | map(select(. > 8))) as $sizes |
		reduce ($r[] | .peer) as $p ([]; if index($p) then . else . + [$p] end) | .[] as $p |
		"| \($p) | " + ([$sizes[] as $s | first($r[] | select(.peer == $p and
			(.size == $s or ($p == "line" and $s == 64)))) // {} | .median | short] |
			join(" | ")) + " |"' --arg g "$1"
}

# table GAME FIGURE UNIT: one line for each peer, with the ratio of zcp to it.
table() {
	printf '| peer | %s | quartiles | zcp to it |\n|---|---|---|---|\n' "$3"
	query '[.rows[] | select(.game == $g and .figure == $f and .place == "all")] as $r |
		($r | map({key: "\(.peer)/\(.size)", value: .}) | from_entries | to_entries)[] | .value as $v |
		"| \($v.peer)\(if $g == "frames" then ", \($v.size) B" else "" end) | " +
		"\($v.median | short) | \($v.spread[0] | short) to \($v.spread[1] | short) | " +
		"\(first($r[] | select(.peer == "zcp" and .size == ([$v.size, 64] | max) and
			.ratio_to == $v.peer)) // {} | .ratio | short) |"' --arg g "$1" --arg f "$2"
}

tails() {
	printf '| peer | p50 | p99 | p99.9 | p99.99 | max | CPU s per million | faults | switches |\n'
	printf '|---|---|---|---|---|---|---|---|---|\n'
	query '[.rows[] | select(.game == $g and .place == "all" and (.size == 64 or .size == 8))] as $r |
		reduce ($r[] | .peer) as $p ([]; if index($p) then . else . + [$p] end) | .[] as $p |
		"| \($p) | " + (["p50", "p99", "p99.9", "p99.99", "max", "cpu", "faults", "switches"] |
		map(. as $f | first($r[] | select(.peer == $p and .figure == $f)) // {} | .median | short) |
		join(" | ")) + " |"' --arg g "$1"
}

copies() {
	query '"Bytes copied for a message of 4 KiB: " + ([.rows[] | select(.game == "latency-touched" and
		.figure == "copied" and .size == 4096) | "\(.peer) \(.median | short)"] | unique |
		join(", ")) + "."'
}

fan() {
	printf '| subscribers | zcp, ns | iceoryx, ns |\n|---|---|---|\n'
	query '[.rows[] | select(.game == "fan-out" and .figure == "p50" and .place == "all")] as $r |
		($r | map(.n) | unique)[] as $n | "| \($n) | " + (["zcp", "iceoryx"] | map(. as $p |
		first($r[] | select(.peer == $p and .n == $n)) // {} | .median | short) | join(" | ")) + " |"'
}

control() {
	figures='node-open publisher-open subscriber-open first-message runtime-cpu-per-open
		runtime-resident runtime-memfds runtime-descriptors runtime-idle-wake-ups'
	printf '| topics |'
	for figure in $figures; do printf ' %s |' "$figure"; done
	printf '\n|---|'
	for figure in $figures; do printf -- '---|'; done
	printf '\n'
	query '[.rows[] | select(.game == "control-plane" and .n > 0)] as $r |
		($figures | [splits("\\s+")]) as $f | ($r | map(.n) | unique)[] as $n |
		"| \($n) | " + ($f | map(. as $g | first($r[] | select(.figure == $g and .n == $n)) |
		if .unit == "ns" then "\(.median / 1000 | short) us" else "\(.median | short) \(.unit)" end) |
		join(" | ")) + " |"' --arg figures "$figures"
	printf '\nAs powers of the number of topics (0: it does not grow; 1: it grows along with them), '
	printf 'from a fit through all steps: '
	query '[.rows[] | select(.figure | endswith("-growth")) |
		"\(.figure | rtrimstr("-growth")) \(.median | short)"] | join(", ") + "."'
	query '"An unused topic with default limits: \(row("control-plane"; "zcp"; "unused-topic-memfds"; 0;
		"").median | short) KiB of memory; its publisher maps \(row("control-plane"; "zcp";
		"publisher-address-space"; 0; "").median | short) MiB."'
}

instructions() {
	printf '| policy | loan | publish | take | release | all | locked | system calls | allocations |\n'
	printf '|---|---|---|---|---|---|---|---|---|\n'
	for game in instructions instructions-blocking; do
		query '. as $all | "| \($g | if . == "instructions" then "drop-oldest" else "blocking" end) | " +
			(["loan", "publish", "take", "release", "all", "locked", "system-calls",
			"allocations"] | map(. as $f | $all | row($g; "zcp"; $f; 0; "") | .median | short) |
			join(" | ")) + " |"' --arg g "$game"
	done
}

# data GAME FIGURE X: for gnuplot, a block for each peer: its name, then x and y.
data() {
	query '[.rows[] | select(.game == $g and .figure == $f and .place == "all" and .size > 8)] as $r |
		reduce ($r[] | .peer) as $p ([]; if index($p) then . else . + [$p] end) | .[] as $p |
		"\"\($p)\"", ($r | map(select(.peer == $p) | {x: (if $x == "n" then .n else .size end),
		y: .median}) | unique_by(.x)[] | "\(.x) \(.y)"), "", ""' --arg g "$1" --arg f "$2" --arg x "$3"
}

# plot NAME TITLE X-LABEL Y-LABEL SETTING: of $work/NAME.
plot() {
	n=$(grep -c '^"' "$work/$1" || true)
	grep -q '^[0-9]' "$work/$1" || return 0
	gnuplot -e "input='$work/$1'; output='$plots/$1.svg'; heading='$2'; x='$3'; y='$4'; n=$n" \
		-e "$5" "$here/lines.gp"
}

make_plots() {
	mkdir -p "$plots"
	data latency-touched p50 size >"$work/latency-touched"
	data latency-filled p50 size >"$work/latency-filled"
	data fan-out p50 n >"$work/fan-out"
	for figure in node-open publisher-open subscriber-open first-message; do
		query '"\"\($f)\"", (.rows[] | select(.game == "control-plane" and .figure == $f) |
			"\(.n) \(.median / 1000)"), "", ""' --arg f "$figure"
	done >"$work/control-plane"
	log='set logscale xy; set format x "10^{%L}"; set format y "10^{%L}"'
	plot latency-touched 'Latency, first and last line touched' 'bytes' 'ns, one way' "$log"
	plot latency-filled 'Latency, filled and summed' 'bytes' 'ns, one way' "$log"
	plot fan-out 'Cost of a publish' 'subscribers' 'ns' 'set logscale y'
	plot control-plane 'Opening' 'topics that there are' 'us' "$log"
}

picture() {
	[ ! -e "$plots/$1.svg" ] || printf '![%s](performance/%s.svg)\n\n' "$2" "$1"
}

write_page() {
	cat "$here/method.md"
	printf '\n## Peers and their settings\n\n'
	peers
	notes
	printf '\n## The run\n\n'
	machine
	printf '\nBlocks, and what was left out of them:\n\n'
	blocks
	printf '\n## Targets\n\nMedians of block-wise ratios, with quartiles, or figures.\n\n'
	targets
	printf '\n## Latency\n\nTouched:\n\n'
	latency latency-touched
	printf '\n'
	picture latency-touched 'latency by size, touched'
	printf 'Filled and summed:\n\n'
	latency latency-filled
	printf '\n'
	picture latency-filled 'latency by size, filled'
	copies
	printf '\n64 bytes, ns; faults and context switches are of a message:\n\n'
	tails latency-touched
	printf '\nTo a subscriber that sleeps, two processors:\n\n'
	tails latency-blocking
	printf '\nTo a subscriber that sleeps, both on one processor:\n\n'
	tails latency-blocking-one-core
	for game in $(query '[.games[].game] | map(select(startswith("stream"))) | unique | .[]'); do
		printf '\n## %s, 64 bytes\n\n' "$game"
		table "$game" rate 'messages a second'
		query '"\nLost, %: " + ([.rows[] | select(.game == $g and .figure == "lost") |
			"\(.peer) \(.median | short)"] | join(", ")) + "."' --arg g "$game"
	done
	printf '\n## Frames, RGB, filled in place and summed\n\n'
	table frames rate 'frames a second'
	query '"\nFaults for a frame: " + ([.rows[] | select(.game == "frames" and .figure == "faults") |
		"\(.peer) \(.median | short)"] | unique | join(", ")) + ". Buffers in use: " + ([.rows[] |
		select(.game == "frames" and .figure == "buffers" and .size == 6220800) |
		"\(.peer) \(.median | short)"] | unique | join(", ")) + "."'
	printf '\n## Fan-out: the cost of a publish\n\n'
	fan
	printf '\n'
	picture fan-out 'cost of a publish by subscribers'
	printf '## Control plane\n\n'
	control
	printf '\n'
	picture control-plane 'time to open by topics'
	printf '## Steadiness: 1,000 messages a second beside a busy process\n\n'
	tails steadiness
	printf '\n## Instructions of a hand-over\n\n'
	instructions
	cat "$here/end.md"
}

make_plots
write_page >"$work/page"
mv "$work/page" "$page"
echo "wrote $page and $plots"
