#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# zcp pub and zcp echo between real processes: what goes in comes out, and what goes wrong is
# said.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

# publish CODE ARGUMENT...: zcp pub with the script's input; messages in $dir/message.
publish() {
	wanted=$1 code=0
	shift
	"$zcp" pub "$@" >"$dir/out" 2>"$dir/message" || code=$?
	is "zcp pub $*: exit code" "$wanted" "$code"
	is "zcp pub $*: output" "" "$(cat "$dir/out")"
}

# received WHAT FILE: the echo has ended well and written this.
received() {
	join echo || fail "$1: echo ended with $?"
	cmp "$2" "$dir/echo.out" || fail "$1: other bytes came out"
}

lines_come_out_as_they_went_in() {
	printf 'one\n\n three \t\\n\nlast, without an end of line' >"$dir/in"
	start echo "$zcp" echo chat --lines --count 4
	publish 0 chat --lines --wait-subscribers 1 <"$dir/in"
	is "lines: message" "" "$(said "$dir/message")"
	echo >>"$dir/in"
	received "lines" "$dir/in"
	is "lines: summary" "zcp echo: received 4 messages, lost 0" "$(said "$dir/echo.err")"

	seq 100000 >"$dir/in"
	start echo "$zcp" echo chat --lines --count 100000 --on-full block
	publish 0 chat --lines --wait-subscribers 1 <"$dir/in"
	received "many lines" "$dir/in"
	has "many lines" "$dir/echo.err" "received 100000 messages, lost 0"
}

frames_come_out_as_they_went_in() {
	head -c 3000000 /dev/urandom >"$dir/in"
	start echo "$zcp" echo frames --raw --count 1000 --on-full block --quiet
	publish 0 frames --frame-size 3kB --wait-subscribers 1 <"$dir/in"
	received "frames" "$dir/in"
	is "frames, quiet" "" "$(cat "$dir/echo.err")"

	# By way of a pipe that is written in other pieces than frames.
	start echo "$zcp" echo frames --raw --count 750 --on-full block
	dd if="$dir/in" bs=1777 2>/dev/null |
		publish 0 frames --frame-size 4000 --wait-subscribers 1
	received "frames from a pipe" "$dir/in"
}

late_echo_begins_with_history() {
	start echo "$zcp" echo map --lines --count 3
	printf '1\n2\n3\n' >"$dir/in"
	start pub "$zcp" pub map --lines --history 2 --stay --wait-subscribers 1 <"$dir/in"
	received "before" "$dir/in"
	printf '2\n3\n' >"$dir/in"
	for order in turn time; do
		start echo "$zcp" echo map --lines --count 2 --history 5 --order $order
		received "late, $order" "$dir/in"
	done
	kill "$(pid pub)"
	join pub || fail "pub that stayed ended with $?"
	is "pub that stayed" "zcp pub: stopped; published 3 messages" "$(said "$dir/pub.err")"
}

readable_form_has_a_line_and_hexadecimal() {
	start echo "$zcp" echo readable --count 2 --bytes 20
	{
		echo "hello, world"
		printf '%0100d\n' 0
	} | publish 0 readable --lines --wait-subscribers 1
	join echo || fail "readable: echo ended with $?"
	number='[0-9]*' time='[0-9.]*'
	sed -e "s/publisher $number/publisher P/" -e "s/age $time us/age T us/" "$dir/echo.out" \
		>"$dir/got"
	cat >"$dir/wanted" <<-'END'
		message 1  publisher P (zcp-pub)  12 bytes  age T us  lost 0
		  00000000: 6865 6c6c 6f2c 2077 6f72 6c64            hello, world
		message 2  publisher P (zcp-pub)  100 bytes  age T us  lost 0
		  00000000: 3030 3030 3030 3030 3030 3030 3030 3030  0000000000000000
		  00000010: 3030 3030                                0000
		  ... 80 more bytes (--bytes 100 shows them)
	END
	cmp -s "$dir/wanted" "$dir/got" || fail "readable: $(diff "$dir/wanted" "$dir/got")"
}

# An echo without --on-full does what the topic's configuration says.
configuration_says_what_a_full_queue_does() {
	cat >"$dir/zcp.toml" <<-'END'
		[topic."all/*"]
		on_full = "block"
	END
	seq 20000 >"$dir/in"
	ZCP_CONFIG="$dir/zcp.toml" start echo "$zcp" echo all/lines --lines --count 20000 \
		--depth 2 --domain blocking
	ZCP_CONFIG="$dir/zcp.toml" publish 0 all/lines --lines --wait-subscribers 1 \
		--domain blocking <"$dir/in"
	received "lines of a topic that blocks" "$dir/in"
}

lost_messages_are_counted() {
	mkfifo "$dir/lossy"
	start grep grep -m 1 -x 20000 "$dir/lossy"
	# shellcheck disable=SC2016
	start echo sh -c 'exec "$@" >"$0"' "$dir/lossy" "$zcp" echo lossy --lines --depth 2
	seq 20000 | publish 0 lossy --lines --wait-subscribers 1
	# The last message is never lost: once it is there, nothing else will come.
	join grep || fail "lost: grep ended with $?"
	# It ends with its reader, and counts what it has taken by then.
	join echo || fail "lost: echo ended with $?"
	counted=$(sed -n 's/.*received \([0-9]*\) messages, lost \([0-9]*\)$/\1 \2/p' \
		"$dir/echo.err")
	is "lost: received and lost ($counted)" 20000 "$((${counted% *} + ${counted#* }))"
	rm "$dir/lossy"
}

count_and_rate_are_kept() {
	start echo "$zcp" echo paced --lines --count 5
	before=$(date +%s%N)
	yes | publish 0 paced --lines --count 5 --rate 50 --wait-subscribers 1
	passed=$((($(date +%s%N) - before) / 1000000))
	join echo || fail "count: echo ended with $?"
	is "count: messages" "y y y y y " "$(tr '\n' ' ' <"$dir/echo.out")"
	[ $passed -ge 80 ] || fail "rate: 5 messages at 50 Hz took $passed ms"
}

# A subscriber that blocks and is stopped: as many messages as its queue holds, and no more.
full_queue_times_out() {
	mkfifo "$dir/full_in" "$dir/full_out"
	# shellcheck disable=SC2016
	start echo sh -c 'exec "$@" >"$0"' "$dir/full_out" "$zcp" echo full --lines --count 5 \
		--on-full block --depth 4
	exec 4<>"$dir/full_in"
	start pub "$zcp" pub full --lines --wait-subscribers 1 --timeout 0.2 <"$dir/full_in"
	exec 5<"$dir/full_out"
	echo 1 >&4
	read -r line <&5
	is "full queue: first line" 1 "$line"
	kill -STOP "$(pid echo)"
	until grep -q '^State:[[:space:]]*T' "/proc/$(pid echo)/status"; do
		:
	done
	seq 2 9 >&4
	code=0
	join pub || code=$?
	is "full queue: exit code" 124 "$code"
	is "full queue: message" "zcp pub: topic 'full' was full for 0.2 s: a subscriber that blocks \
took nothing (see QUEUED in zcp info), so message 6 was not published; raise --timeout, or end \
that subscriber" "$(cat "$dir/pub.err")"
	kill -CONT "$(pid echo)"
	is "full queue: what was published" "2 3 4 5 " "$(tr '\n' ' ' <&5)"
	join echo || fail "full queue: echo ended with $?"
	exec 4>&- 5<&-

	# Nobody waits for so long where there is room after all.
	seq 20000 >"$dir/in"
	start echo "$zcp" echo full --lines --count 20000 --on-full block --depth 2
	publish 0 full --lines --wait-subscribers 1 --timeout 100 <"$dir/in"
	received "queue that is full for a moment" "$dir/in"
}

nothing_to_read_times_out() {
	code=0
	"$zcp" echo silent --timeout 0.1 >"$dir/out" 2>"$dir/message" || code=$?
	is "timeout: exit code" 124 "$code"
	has "timeout" "$dir/message" "zcp echo: nothing came on topic 'silent' for 0.1 s"

	# And a message that came before is there.
	start echo "$zcp" echo silent --lines --timeout 0.3
	echo one | publish 0 silent --lines --wait-subscribers 1
	join echo
	is "timeout after a message: exit code" 124 $?
	is "timeout after a message: output" one "$(cat "$dir/echo.out")"
}

input_that_ends_inside_a_frame_is_an_error() {
	start echo "$zcp" echo cut --raw --count 3
	head -c 3500 /dev/urandom >"$dir/in"
	publish 1 cut --frame-size 1000 --wait-subscribers 1 <"$dir/in"
	is "cut frame: message" "zcp pub: input ends inside frame 4: 500 of 1000 bytes; frames \
before it were published" "$(cat "$dir/message")"
	head -c 3000 "$dir/in" >"$dir/whole"
	received "cut frame" "$dir/whole"

	head -c 100 /dev/zero | publish 1 cut --frame-size 2764800
	has "cut first frame" "$dir/message" "input ends inside frame 1: 100 of 2764800 bytes"
	publish 0 cut --frame-size 2764800 </dev/null
	is "no frame: message" "" "$(said "$dir/message")"
}

line_that_is_too_long_is_an_error() {
	start echo "$zcp" echo long --lines --count 2
	printf '12345678\nabcdefgh\n123456789\nrest\n' |
		publish 1 long --lines --max-payload 8 --wait-subscribers 1
	is "long line: message" "zcp pub: line 3 is longer than 8 bytes; raise --max-payload. \
Nothing of it was published, the lines before it were" "$(cat "$dir/message")"
	printf '12345678\nabcdefgh\n' >"$dir/whole"
	received "long line" "$dir/whole"

	# Without an end, and longer than is read at once.
	head -c 200000 /dev/zero | publish 1 long --lines
	has "endless line" "$dir/message" "line 1 is longer than 65536 bytes; raise --max-payload"
	head -c 200000 /dev/zero | publish 0 long --lines --max-payload 200000
}

message_that_no_chunk_holds_is_refused() {
	cat >"$dir/zcp.toml" <<-'END'
		[pool.small]
		classes = [ { size = "1KiB", count = 4096 } ]
		[topic."small/*"]
		pool = "small"
	END
	ZCP_CONFIG="$dir/zcp.toml" publish 1 small/a --frame-size 1025 --domain pools </dev/null
	has "too large for the pool" "$dir/message" "small/a"
	has "too large for the pool" "$dir/message" "1025"
	publish 0 small/a --frame-size 1024 --domain pools </dev/null
	publish 0 small/a --lines --max-payload 1KiB --domain pools </dev/null
	publish 1 small/a --lines --domain pools </dev/null
	has "too large by default" "$dir/message" "65536"
}

input_that_cannot_be_read_is_an_error() {
	publish 1 unread --lines <"$dir"
	is "directory as input" "zcp pub: cannot read standard input: Is a directory" \
		"$(cat "$dir/message")"
}

other_type_is_refused_with_both_names() {
	mkfifo "$dir/held_open"
	start echo "$zcp" echo typed --lines --count 1 --type sensor/Image
	# The subscriber is there, and the publisher stays until the pipe is closed.
	exec 4<>"$dir/held_open"
	start pub "$zcp" pub typed --lines --type sensor/Image --wait-subscribers 1 \
		<"$dir/held_open"
	echo first >&4
	join echo || fail "same type: echo ended with $?"
	publish 1 typed --lines --type sensor/Imu </dev/null
	has "other type" "$dir/message" sensor/Image
	has "other type" "$dir/message" sensor/Imu
	has "other type" "$dir/message" "'typed'"
	code=0
	"$zcp" echo typed --type sensor/Imu 2>"$dir/message" || code=$?
	is "other type: echo's exit code" 1 "$code"
	has "other type: echo" "$dir/message" sensor/Image
	has "other type: echo" "$dir/message" sensor/Imu
	exec 4>&-
	join pub || fail "same type: pub ended with $?"
	rm "$dir/held_open"
}

# A command keeps nobody out by the type that it wants.
type_of_an_echo_is_its_own() {
	start wrong "$zcp" echo wanted --lines --type Wrong --quiet
	start echo "$zcp" echo wanted --lines --type Right --count 1 --quiet
	# The publisher sets the topic's type: an echo that opens after it is refused at once.
	until "$zcp" list --json 2>/dev/null |
		jq -e '.[] | select(.name == "wanted") | .subscribers == 2' >"$dir/two"; do
		kill -0 "$(pid wrong)" || break
	done
	echo right | publish 0 wanted --lines --type Right --wait-subscribers 2
	join echo || fail "the echo with the right type: $?"
	is "the echo with the right type" right "$(cat "$dir/echo.out")"
	join wrong && fail "the echo with the wrong type: 0"
	is "the echo with the wrong type" "" "$(cat "$dir/wrong.out")"
	is "the echo with the wrong type says" \
		"zcp echo: topic 'wanted' has type 'Right' by now, and --type is 'Wrong': use that one" \
		"$(cat "$dir/wrong.err")"
}

names_that_are_none_are_refused() {
	publish 1 "" --lines </dev/null
	has "empty name" "$dir/message" "the topic's name is empty"
	publish 1 "$(printf '%0256d' 0)" --lines </dev/null
	has "long name" "$dir/message" "longer than 255 bytes"
	publish 1 "$(printf 'a\tb')" --lines </dev/null
	has "control character" "$dir/message" "control character (0x09) at byte 2"
	publish 1 "camera/*" --lines </dev/null
	has "wildcard" "$dir/message" "'camera/*'"
	publish 1 a --lines --domain ../b </dev/null
	has "domain" "$dir/message" "domain name '../b' is malformed"
}

without_a_runtime_it_says_so() {
	publish 1 a --lines --domain empty --no-start </dev/null
	has "no runtime" "$dir/message" "no runtime answers in domain 'empty'"
	ZCP_AUTO_START=0 publish 1 a --lines --domain empty </dev/null
	has "no runtime" "$dir/message" "start zcpd"
	mkdir -p -m 0755 "$dir/open/default"
	publish 1 a --lines --runtime-dir "$dir/open" </dev/null
	has "open directory" "$dir/message" "open to others (mode 0755)"
	ZCP_ZCPD=/nonexistent/zcpd publish 1 a --lines --domain empty </dev/null
	has "no zcpd" "$dir/message" "/nonexistent/zcpd"
}

user_header_is_shown() {
	printf '[topic.headed]\nuser_header = 20\n' >"$dir/config"
	echo abc >"$dir/in"
	for topic in headed plain; do
		start echo env ZCP_CONFIG="$dir/config" "$zcp" echo $topic --header --count 1 \
			--quiet --domain headed
		ZCP_CONFIG="$dir/config" publish 0 $topic --lines --wait-subscribers 1 \
			--domain headed <"$dir/in"
		join echo || fail "echo ended with $?"
		sed 's/^message .*/message/' "$dir/echo.out" >"$dir/$topic"
	done
	is "with a user header" "message
  user header, 20 bytes
  00000000: 0000 0000 0000 0000 0000 0000 0000 0000  ................
  00000010: 0000 0000                                ....
  payload
  00000000: 6162 63                                  abc" "$(cat "$dir/headed")"
	is "without one" "message
  no user header
  00000000: 6162 63                                  abc" "$(cat "$dir/plain")"
}

lines_come_out_as_they_went_in
user_header_is_shown
frames_come_out_as_they_went_in
late_echo_begins_with_history
readable_form_has_a_line_and_hexadecimal
configuration_says_what_a_full_queue_does
lost_messages_are_counted
count_and_rate_are_kept
full_queue_times_out
nothing_to_read_times_out
input_that_ends_inside_a_frame_is_an_error
line_that_is_too_long_is_an_error
message_that_no_chunk_holds_is_refused
input_that_cannot_be_read_is_an_error
other_type_is_refused_with_both_names
type_of_an_echo_is_its_own
names_that_are_none_are_refused
without_a_runtime_it_says_so
exit "$failed"
