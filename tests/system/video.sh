#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Real video through shared memory: what ffmpeg decodes goes into `zcp pub`, what `zcp echo`
# writes goes into ffmpeg again, and every frame has the same checksum on both sides.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

# make_film NAME CODEC SIZE PIXELS FRAMES
make_film() {
	# The source has even sizes only: the other ones are scaled.
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=1280x720:rate=25 -frames:v "$5" \
		-vf "format=$4,scale=$3" -c:v "$2" "$dir/$1" || fail "ffmpeg cannot make $1"
}

# Without the lines that name programs and their versions.
sums() {
	grep -v '^#' "$1"
}

# film NAME SIZE PIXELS FRAMES FRAME_BYTES READERS
film() {
	name=$1 size=$2 pixels=$3 frames=$4 bytes=$5 readers=$6
	what="$name to $readers"
	echo "$what"

	for i in $(seq "$readers"); do
		mkfifo "$dir/pipe$i"
		start "sink$i" ffmpeg -nostdin -v error -f rawvideo -pix_fmt "$pixels" -s "$size" \
			-r 25 -i "$dir/pipe$i" -f framemd5 -
		# shellcheck disable=SC2016
		start "echo$i" sh -c 'exec "$@" >"$0"' "$dir/pipe$i" "$zcp" \
			echo video/in --raw --count "$frames" --on-full block
	done
	mkfifo "$dir/decoded"
	start source ffmpeg -nostdin -v error -y -i "$dir/$name" \
		-map 0:v -pix_fmt "$pixels" -f rawvideo "$dir/decoded" \
		-map 0:v -pix_fmt "$pixels" -f framemd5 "$dir/source.md5"
	start pub "$zcp" pub video/in --frame-size "$bytes" \
		--wait-subscribers "$readers" <"$dir/decoded"

	for process in source pub; do
		join $process || fail "$what: $process ended with $?"
	done
	sums "$dir/source.md5" >"$dir/wanted"
	is "$what: decoded frames" "$frames" "$(grep -c . "$dir/wanted")"
	for i in $(seq "$readers"); do
		join "echo$i" || fail "$what: echo $i ended with $?"
		join "sink$i" || fail "$what: sink $i ended with $?"
		has "$what: echo $i" "$dir/echo$i.err" "received $frames messages, lost 0"
		sums "$dir/sink$i.out" >"$dir/got"
		cmp -s "$dir/wanted" "$dir/got" ||
			fail "$what: reader $i got other frames: $(diff "$dir/wanted" "$dir/got" |
				head -n 5)"
		rm "$dir/pipe$i"
	done
	rm "$dir/decoded"
}

make_film colour.avi mpeg4 1280x720 yuv420p 300
make_film grey.mkv ffv1 641x479 gray 50
[ "$failed" -eq 0 ] || exit 1
film colour.avi 1280x720 rgb24 300 2764800 1
film colour.avi 1280x720 rgb24 300 2700KiB 3
film grey.mkv 641x479 gray 50 307039 1
film grey.mkv 641x479 gray 50 307039 3
exit "$failed"
