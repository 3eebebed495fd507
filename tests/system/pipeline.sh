#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The examples' pipeline: a camera, edges, png_viewer. The pictures are read by ffmpeg, which
# also finds the edges by itself.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

[ -x "$ZCP_BIN_DIR/edges" ] || { echo "the examples are not built"; exit 77; }
[ -x "$ZCP_BIN_DIR/png_viewer" ] || { echo "png_viewer is not built: no libpng"; exit 77; }

# For zcp pub, which has no user header of its own.
printf '[topic.zeros]\nuser_header = 32\n' >"$dir/config"
export ZCP_CONFIG="$dir/config"

# ended NAME CODE
ended() {
	join "$1"
	is "exit code of $1" "$2" $?
}

# picture FILE: its size and pixels
picture() {
	ffprobe -v error -show_entries stream=width,height,pix_fmt -of csv=p=0 "$1"
}

# inside INPUT...: of a grey picture, without the border, where there is no right or wrong, and
# without the column before it on the right, of which ffmpeg takes some for border too
inside() {
	ffmpeg -nostdin -v error "$@" -f rawvideo -pix_fmt gray - || fail "ffmpeg $*" >&2
}

echo "a film, frame by frame"
ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=64x48:rate=1 -frames:v 3 \
	-f rawvideo -pix_fmt rgb24 "$dir/film" || fail "ffmpeg cannot make a film"
start viewer "$ZCP_BIN_DIR/png_viewer" --topic edges/film --count 3 "$dir/film.d"
start edges "$ZCP_BIN_DIR/edges" --topic film --output edges/film --size 64x48 --count 3 \
	--wait-subscribers 1 --summary
"$zcp" pub film --frame-size 9216 --wait-subscribers 1 <"$dir/film" || fail "zcp pub: $?"
ended edges 0
ended viewer 0
has "edges" "$dir/edges.out" "summary topic=film received=3 bytes=27648"
has "edges" "$dir/edges.out" "lost=0 damaged=0 copied=0"
is "pictures" "frame-000001.png frame-000002.png frame-000003.png" \
	"$(cd "$dir/film.d" && echo *)"
is "viewer's lines" 3 "$(grep -c '64x48  came [0-9.]* ms after the camera' "$dir/viewer.out")"

grey='floor((77*r(X,Y)+150*g(X,Y)+29*b(X,Y))/256)'
inside -f rawvideo -pix_fmt rgb24 -s 64x48 -i "$dir/film" -vf \
	"format=gbrp,geq=r='$grey':g='$grey':b='$grey',extractplanes=g,sobel,crop=61:46:1:1" \
	>"$dir/wanted"
for n in 1 2 3; do
	is "picture $n" "64,48,gray" "$(picture "$dir/film.d/frame-00000$n.png")"
done
for n in 1 2 3; do
	inside -i "$dir/film.d/frame-00000$n.png" -vf crop=61:46:1:1
done >"$dir/got"
is "size of all edges" "$((3 * 61 * 46))" "$(wc -c <"$dir/got")"
# Both round a root, each in its way. cmp prints the place and both values, in octal.
cmp -l "$dir/wanted" "$dir/got" | awk '
	function number(octal) { return int(octal / 100) * 64 + int(octal / 10) % 10 * 8 + octal % 10 }
	{ d = number($2) - number($3) }
	d < -1 || d > 1 { print "failed: byte " $1 " is " number($3) ", not " number($2); bad = 1 }
	END { exit bad }' || failed=1
# They are pictures of something: not all alike, and not all black.
[ "$(od -An -v -tu1 -w1 "$dir/got" | sort -u | wc -l)" -ge 20 ] || fail "no edges in the pictures"
[ "$(cd "$dir/film.d" && md5sum ./* | cut -c 1-32 | sort -u | wc -l)" -eq 3 ] ||
	fail "all pictures are the same"

echo "a camera that has run for a while"
start camera "$ZCP_BIN_DIR/camera_publisher"
"$ZCP_BIN_DIR/camera_viewer" --count 3 >"$dir/out" || fail "camera_viewer: $?"
start viewer "$ZCP_BIN_DIR/png_viewer" --every 2 --count 4 --summary "$dir/camera.d"
start edges "$ZCP_BIN_DIR/edges" --wait-subscribers 1 --count 4 --summary
ended edges 0
ended viewer 0
kill -TERM "$(pid camera)"
ended camera 0
has "edges" "$dir/edges.out" "summary topic=camera/front received=4 bytes=24883200"
has "viewer" "$dir/viewer.out" "summary topic=edges/front received=4 bytes=8294400"
has "viewer" "$dir/viewer.out" "lost=0 damaged=0 copied=0"
is "pictures" 2 "$(find "$dir/camera.d" -type f | wc -l)"
# The camera's numbers, not those of edges.
[ ! -e "$dir/camera.d/frame-000001.png" ] || fail "a picture has a number of its own"
for file in "$dir/camera.d"/*; do
	is "$file" "1920,1080,gray" "$(picture "$file")"
done

echo "asked to end: waiting for a viewer, and for one that takes nothing"
start edges "$ZCP_BIN_DIR/edges" --wait-subscribers 1 --output edges/lonely
until "$zcp" list --json 2>/dev/null | grep -q '"name": "edges/lonely"'; do
	kill -0 "$(pid edges)" || break
done
kill -TERM "$(pid edges)"
ended edges 0

mkfifo "$dir/pipe"
# shellcheck disable=SC2016
start echo sh -c 'exec "$@" >"$0"' "$dir/pipe" "$zcp" echo edges/full --raw --on-full block --depth 1
exec 5<"$dir/pipe"
start edges "$ZCP_BIN_DIR/edges" --topic zeros --output edges/full --size 64x48 --wait-subscribers 1
start zeros "$zcp" pub zeros --frame-size 9216 --wait-subscribers 1 </dev/zero
head -c 100000 <&5 >/dev/null
kill -TERM "$(pid edges)"
ended edges 0
kill -TERM "$(pid zeros)" "$(pid echo)"
ended zeros 0
exec 5<&-
join echo

# complains CODE TEXT TOPIC SIZE COMMAND...: about a message of zeros.
complains() {
	code=$1 text=$2 topic=$3 size=$4
	shift 4
	echo "$*"
	program=$1
	shift
	start complains "$ZCP_BIN_DIR/$program" "$@"
	"$zcp" pub "$topic" --frame-size "$size" --count 1 --wait-subscribers 1 </dev/zero ||
		fail "zcp pub $topic: $?"
	ended complains "$code"
	has "$program" "$dir/complains.err" "$text"
}

complains 1 "a message on small has 9217 bytes, which is not 64x48 RGB: say what it is with --size" \
	small 9217 edges --topic small --size 64x48
complains 1 "png_viewer: message 1 on zeros is damaged" \
	zeros 3072 png_viewer --topic zeros --count 1 "$dir/zeros.d"
is "pictures of zeros" "" "$(ls "$dir/zeros.d")"

echo "where no pictures can be written"
: >"$dir/file"
start viewer "$ZCP_BIN_DIR/png_viewer" --topic edges/film "$dir/file"
start edges "$ZCP_BIN_DIR/edges" --topic film --output edges/film --size 64x48 --count 3 \
	--wait-subscribers 1
"$zcp" pub film --frame-size 9216 --wait-subscribers 1 <"$dir/film" || fail "zcp pub: $?"
ended edges 0
ended viewer 1
has "viewer" "$dir/viewer.err" "cannot write $dir/file/frame-000001.png: Not a directory"
"$ZCP_BIN_DIR/png_viewer" "$dir/none/none" 2>"$dir/err"
is "exit code of png_viewer" 1 $?
has "viewer" "$dir/err" "cannot make the directory $dir/none/none: No such file or directory"

for arguments in "edges camera/front" "png_viewer" "edges --size 64" "edges --size 0x5" \
	"edges --size 70000x5" "edges --size 64x48x3" "edges --size -5x5" "edges --size 64x" "png_viewer --every 0 pictures"; do
	# shellcheck disable=SC2086
	"$ZCP_BIN_DIR"/$arguments >"$dir/out" 2>"$dir/err"
	is "exit code of $arguments" 2 $?
	grep -qE "^usage: |--size '.*' is not|--every '0' is not" "$dir/err" ||
		fail "$arguments: $(cat "$dir/err")"
done
exit "$failed"
