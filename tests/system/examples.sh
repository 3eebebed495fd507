#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The examples as a user runs them: the demo, a camera with a viewer that is stopped by a
# signal, an inertial sensor, a map for those who come late, a loop of libuv, and what they say
# when they are used wrongly. pipeline.sh and recorder.sh have the others.
set -u
. "$(dirname "$0")/../support/domain.sh"

[ -x "$ZCP_BIN_DIR/zcp-demo" ] || { echo "the examples are not built"; exit 77; }

echo "the demo"
start demo "$ZCP_BIN_DIR/zcp-demo" --seconds 1
join demo
is "exit code of the demo" 0 $?
has "demo" "$dir/demo.out" "camera/front"
has "demo" "$dir/demo.out" "imu/body"
# zcp-demo has a runtime directory of its own
[ ! -e "$ZCP_RUNTIME_DIR" ] || fail "the demo has used $ZCP_RUNTIME_DIR"

echo "a demo without its programs"
mkdir "$dir/bin"
cp "$ZCP_BIN_DIR/zcp-demo" "$dir/bin"
LD_LIBRARY_PATH="$ZCP_BIN_DIR/../lib" "$dir/bin/zcp-demo" --seconds 1 >"$dir/out" 2>"$dir/err"
is "exit code" 1 $?
has "demo without its programs" "$dir/err" "cannot run $dir/bin/"

# Not more than fit into a queue, so that none can be lost.
echo "a camera, and a viewer that is stopped"
start viewer "$ZCP_BIN_DIR/camera_viewer" --summary
start camera "$ZCP_BIN_DIR/camera_publisher" --wait-subscribers 1 --count 16 --summary
join camera
is "exit code of the camera" 0 $?
has "camera" "$dir/camera.out" "sent=16 bytes=99532800"
has "camera" "$dir/camera.out" "subscribers=1"
kill -INT "$(pid viewer)"
join viewer
is "exit code of the viewer" 0 $?
has "viewer" "$dir/viewer.out" "received=16 bytes=99532800"
has "viewer" "$dir/viewer.out" "lost=0 damaged=0 copied=0"

echo "a viewer that has seen enough, and a camera that is stopped"
start camera "$ZCP_BIN_DIR/camera_publisher" --topic camera/rear --summary
"$ZCP_BIN_DIR/camera_viewer" --topic camera/rear --count 3 >"$dir/out" 2>"$dir/err"
is "exit code of the viewer" 0 $?
kill -TERM "$(pid camera)"
join camera
is "exit code of the camera" 0 $?
has "camera" "$dir/camera.out" "summary topic=camera/rear"

echo "a viewer that is killed, and another"
start killed "$ZCP_BIN_DIR/camera_viewer"
"$ZCP_BIN_DIR/camera_publisher" --wait-subscribers 1 --count 1 >"$dir/out" 2>"$dir/err"
is "exit code of the camera" 0 $?
has "camera" "$dir/out" "camera_viewer (pid $(pid killed)) has joined"
kill -KILL "$(pid killed)"
join killed
# Were the first one still counted, the camera would not wait for this one.
start viewer "$ZCP_BIN_DIR/camera_viewer" --count 1 --duration 60 --summary
"$ZCP_BIN_DIR/camera_publisher" --wait-subscribers 1 --count 1 >"$dir/out" 2>"$dir/err"
is "exit code of the camera" 0 $?
join viewer
is "exit code of the viewer" 0 $?
has "viewer" "$dir/viewer.out" "received=1 "

echo "an inertial sensor"
start reader "$ZCP_BIN_DIR/imu" read --count 200 --summary
start sensor "$ZCP_BIN_DIR/imu" publish --wait-subscribers 1 --count 200 --summary
join sensor
is "exit code of the sensor" 0 $?
join reader
is "exit code of the reader" 0 $?
has "reader" "$dir/reader.out" "received=200 bytes=12800"
has "reader" "$dir/reader.out" "lost=0 damaged=0 copied=0"

echo "an inertial sensor, and a viewer in C++"
if [ -x "$ZCP_BIN_DIR/imu_viewer" ]; then
	start viewer "$ZCP_BIN_DIR/imu_viewer" imu/body 100
	"$ZCP_BIN_DIR/imu" publish --wait-subscribers 1 --count 100 >"$dir/out" 2>"$dir/err"
	is "exit code of the sensor" 0 $?
	join viewer
	is "exit code of the viewer" 0 $?
	has "imu_viewer" "$dir/viewer.out" "imu/body: reading 1, turns by 12.57 rad/s, 31.5 degrees"
fi

mkfifo "$dir/pipe"

echo "a map that was published before"
# shellcheck disable=SC2016
start publisher sh -c 'exec "$@" >"$0"' "$dir/pipe" "$ZCP_BIN_DIR/map_history" publish
exec 4<"$dir/pipe"
read -r line <&4
is "map_history publish" "map/hall: published" "$line"
# 636 cells of walls, 30 columns
map="200x120 cells of 0.25 m, 666 of them occupied, published "
for reader in first second; do
	"$ZCP_BIN_DIR/map_history" read --duration 60 >"$dir/out" 2>"$dir/err"
	is "exit code of the $reader reader" 0 $?
	has "$reader reader" "$dir/out" "map/hall: map 1, $map"
	is "lines of the $reader reader" 1 "$(wc -l <"$dir/out")"
done
echo "and another, while somebody reads"
start reader "$ZCP_BIN_DIR/map_history" read --count 2
start other "$ZCP_BIN_DIR/map_history" publish
join reader
is "exit code of the reader" 0 $?
is "maps" 2 "$(grep -cF "map/hall: map 1, $map" "$dir/reader.out")"
kill -TERM "$(pid publisher)"
kill -INT "$(pid other)"
for name in publisher other; do
	join $name
	is "exit code of $name" 0 $?
done
exec 4<&-
echo "and none after its publisher"
"$ZCP_BIN_DIR/map_history" read --duration 0.1 >"$dir/out" 2>"$dir/err"
is "exit code of the reader" 1 $?
has "reader" "$dir/err" "map_history: cannot wait for a map of map/hall: timed out"

for signal in INT TERM; do
	echo "libuv: messages and timers, until SIG$signal"
	# shellcheck disable=SC2016
	start viewer sh -c 'exec "$@" >"$0"' "$dir/pipe" "$ZCP_BIN_DIR/uv_viewer"
	exec 4<"$dir/pipe"
	"$ZCP_BIN_DIR/camera_publisher" --wait-subscribers 1 --count 16 >"$dir/out" 2>"$dir/err"
	is "exit code of the camera" 0 $?
	# A line a second; the last of them by the timer alone.
	messages=0 n=
	while [ "$n" != 0 ] || [ $messages -eq 0 ]; do
		read -r n rest <&4 || break
		messages=$((messages + n))
	done
	is "uv_viewer's messages" 16 $messages
	is "uv_viewer's last line" "messages, 0.0 MB, 0 lost; number 16 is the newest" "$rest"
	kill -$signal "$(pid viewer)"
	join viewer
	is "exit code of uv_viewer" 0 $?
	exec 4<&-
done

# wrong CODE TEXT COMMAND...
wrong() {
	code=$1 text=$2
	shift 2
	echo "$*"
	program=$1
	shift
	"$ZCP_BIN_DIR/$program" "$@" >"$dir/out" 2>"$dir/err"
	is "exit code of $program $*" "$code" $?
	has "$program $*" "$dir/err" "$text"
}

wrong 2 "usage: zcp-demo" zcp-demo 5
wrong 2 "--seconds 'five' is not a number from 0.1 to 3600" zcp-demo --seconds five
wrong 2 "usage: camera_publisher" camera_publisher --fast
wrong 2 "--rate '0' is not a number from 0.001 to 1000000" camera_publisher --rate 0
wrong 2 "--count '3x' is not a number" camera_viewer --count 3x
wrong 2 "usage: camera_viewer" camera_viewer camera/front
wrong 2 "usage: imu publish" imu
wrong 2 "usage: imu publish" imu read write
wrong 2 "usage: map_history publish" map_history
wrong 1 "cannot publish on a*b: " camera_publisher --topic 'a*b'
export ZCP_AUTO_START=0 ZCP_DOMAIN=nobody
wrong 1 "camera_viewer: cannot open a node: " camera_viewer
wrong 1 "start zcpd" imu read
