#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# zcp list and zcp info: what they tell of topics that are in use.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

# json FILTER: of the last zcp ... --json
json() {
	jq -c "$1" "$dir/json" || fail "not JSON: $(cat "$dir/json")"
}

for command in list "info a" "list --no-start"; do
	code=0
	# shellcheck disable=SC2086
	"$zcp" $command >"$dir/out" 2>"$dir/message" || code=$?
	is "zcp $command without a runtime: exit code" 1 "$code"
	has "zcp $command without a runtime" "$dir/message" \
		"zcp ${command%% *}: no runtime answers in domain 'default'"
	has "zcp $command without a runtime" "$dir/message" "start zcpd"
done
[ ! -e "$ZCP_RUNTIME_DIR" ] || fail "list or info made $ZCP_RUNTIME_DIR"

mkfifo "$dir/in" "$dir/pipe"
start reader "$zcp" echo käse/ü --lines --depth 4 --held 2 --on-full block --type text
# shellcheck disable=SC2016
start other sh -c 'exec "$@" >"$0"' "$dir/pipe" "$zcp" echo käse/ü --lines
exec 4<>"$dir/in"
start writer "$zcp" pub käse/ü --lines --type text --max-payload 1000 --wait-subscribers 2 \
	<"$dir/in"
exec 5<"$dir/pipe"
printf 'one\ntwo\nthree\n' >&4
for word in one two three; do
	read -r line <&5
	is "other reader" $word "$line"
done

"$zcp" list --json >"$dir/json" || fail "zcp list --json: $?"
is "list" '[{"name":"käse/ü","type":"text","publishers":1,"subscribers":2,"messages":3,"waited_for":false}]' \
	"$(json .)"
"$zcp" list >"$dir/table" || fail "zcp list: $?"
is "list" "TOPIC|TYPE|PUBLISHERS|SUBSCRIBERS|MESSAGES
käse/ü|text|1|2|3" "$(tr -s ' ' '|' <"$dir/table")"

"$zcp" info käse/ü --json >"$dir/json" || fail "zcp info --json: $?"
is "info: topic" '["käse/ü","text",3,0]' "$(json '[.name, .type, .messages, .lost]')"
is "info: shape" '[0,0,64,0]' \
	"$(json '[.type_size, .type_alignment, .alignment, .user_header_size]')"
is "info: publisher" "[[\"zcp-pub\",$(pid writer),3,1000]]" \
	"$(json '.publishers | map([.node, .pid, .messages, .max_payload])')"
is "info: reader" "[[\"zcp-echo\",4,2,\"block\",0]]" \
	"$(json ".subscribers | map(select(.pid == $(pid reader))) |
		map([.node, .depth, .held, .on_full, .lost])")"
is "info: other" "[[\"zcp-echo\",16,4,\"drop-oldest\",0,3,0]]" \
	"$(json ".subscribers | map(select(.pid == $(pid other))) |
		map([.node, .depth, .held, .on_full, .lost, .taken, .queued])")"
is "info: the topic's defaults" '[16,256,4,"drop-oldest",2,0,true]' \
	"$(json '[.depth, .max_depth, .held, .on_full, .loans, .max_payload, .timestamps]')"
is "info: matches" '[[2],[1,1]]' \
	"$(json '[(.publishers | map(.subscribers)), (.subscribers | map(.publishers))]')"
# 2 loans, the larger depth of 4 and 16, 8 that rotate; 2 and 4 held; 1.
is "info: sums" '[32,33,true,1]' "$(json '[.reserved, .pool.reserved, .pool.own, .pool.topics]')"
is "info: what is left" true "$(json '.pool.classes | .[0].reserved == 33 and
	all(.left == .count - .reserved)')"
is "info: each chunk is used for one thing" true \
	"$(json '.pool.classes | length > 0 and all(.size >= 1000 and .count > 0 and
		.free + .spare + .loaned + .queued + .held + .history == .count)')"
is "info: bytes that are there" true "$(json '.pool.classes | all(.bytes >= 4096 and
	.bytes <= 65536)')"
is "info: memory" "[\"$(($(getconf PAGESIZE) / 1024)) KiB pages\",false,false]" \
	"$(json '[.pool.pages, .pool.prefaulted, .pool.locked]')"
is "info: the publisher has one on loan while it reads" 0 "$(json '.pool.classes[0].loaned')"
is "info: chunks were used" true "$(json '.pool.classes[0] | .highest_use >= 1 and
	.highest_use <= 3')"

"$zcp" info käse/ü >"$dir/page" || fail "zcp info: $?"
has "info" "$dir/page" "käse/ü"
has "info" "$dir/page" "3 published, 0 lost"
has "info" "$dir/page" "depth 16 (at most 256), 4 held, drop-oldest; 2 loans; history 0; by turn"
has "info" "$dir/page" "the topic's own"
has "info" "$dir/page" "chunks (32 reserved for this topic's endpoints, 33 for all of the pool's)"
tr -s ' ' '|' <"$dir/page" >"$dir/rows"
has "info" "$dir/rows" "zcp-pub|$(pid writer)|2|2|0|1kB|3|0"
has "info" "$dir/rows" "zcp-echo|$(pid reader)|1|block|turn|4|2|0|"
has "info" "$dir/rows" "zcp-echo|$(pid other)|1|drop-oldest|turn|16|4|0|3|0|0"
left=$(json '.pool.classes[0].left')
has "info" "$dir/rows" "|1kB|$((left + 33))|33|$left|"
grep -q "^memory *[0-9]* KiB pages$" "$dir/page" || fail "info: no line about the memory"
for name in writer reader other; do
	grep -q "zcp-[a-z]* *$(pid $name) " "$dir/page" || fail "info: no line about $name:
$(cat "$dir/page")"
done

"$zcp" audit >"$dir/page" || fail "zcp audit: $?"
has "audit" "$dir/page" "clean: "
"$zcp" audit --json >"$dir/json" || fail "zcp audit --json: $?"
is "audit" '[true,1,0,[]]' "$(jq -c '[.clean, .topics, .wrong, .findings]' "$dir/json")"
is "audit: every chunk is something" true \
	"$(jq '.chunks | .leaked == 0 and
		.free + .spare + .loaned + .queued + .held + .history == .count' "$dir/json")"

# It would hold one sample more than there are chunks left: the sentence has our numbers.
code=0
"$zcp" echo käse/ü --depth 16 --held $((left + 1)) 2>"$dir/message" || code=$?
is "refused: exit code" 1 "$code"
has "refused" "$dir/message" "pool 'käse/ü' has $((left + 33)) chunks of 1000 bytes, $left of them \
left; this subscriber (depth 16, $((left + 1)) held) would need $((left + 1)) with 1 publisher"

code=0
"$zcp" info nothing >"$dir/nothing" 2>"$dir/message" || code=$?
is "unknown topic: exit code" 1 "$code"
has "unknown topic" "$dir/message" "nothing"
is "unknown topic: output" "" "$(cat "$dir/nothing")"
"$zcp" list >/dev/full 2>"$dir/message"
is "full disk: exit code" 1 $?
has "full disk" "$dir/message" "cannot write to standard output: No space left on device"

exec 4>&-
join writer || fail "writer ended with $?"
kill -TERM "$(pid reader)" "$(pid other)"
join reader || fail "reader ended with $?"
join other || fail "other ended with $?"

# A type with all that there is to know, and what a configuration says of its messages.
[ -x "$ZCP_BIN_DIR/imu" ] || { echo "the examples are not built"; exit "$failed"; }
cat >"$dir/zcp.toml" <<'END'
[topic."imu/body"]
alignment = "4KiB"
user_header = 16
END
in_domain="env ZCP_DOMAIN=shaped ZCP_CONFIG=$dir/zcp.toml"
# shellcheck disable=SC2086
start reader $in_domain "$ZCP_BIN_DIR/imu" read
# shellcheck disable=SC2086
$in_domain "$ZCP_BIN_DIR/imu" publish --wait-subscribers 1 --count 1 >"$dir/out" ||
	fail "imu publish: $?"
"$zcp" info imu/body --domain shaped --json >"$dir/json" || fail "zcp info --json: $?"
is "info: shape" '["struct imu_sample",64,8,4096,16]' \
	"$(json '[.type, .type_size, .type_alignment, .alignment, .user_header_size]')"
"$zcp" info imu/body --domain shaped >"$dir/page" || fail "zcp info: $?"
has "info: shape" "$dir/page" "struct imu_sample, 64 bytes, aligned to 8"
has "info: shape" "$dir/page" "what publishers declare, aligned to 4096"
has "info: shape" "$dir/page" "16 bytes"
kill -TERM "$(pid reader)"
join reader || fail "reader ended with $?"
exit "$failed"
