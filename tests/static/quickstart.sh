#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# quickstart.sh SOURCE
#
# The quick start of README.md, as it stands there, in a copy of the sources: `sudo` installs below
# a directory of the test, and nothing is taken from a distribution's packages.
set -u

[ $# -eq 1 ] || { sed -n 's/^# \(quickstart.sh .*\)/usage: \1/p' "$0" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mkdir "$dir/zcp" "$dir/bin"
for entry in "$1"/*; do
	[ "${entry##*/}" = build ] || cp -R "$entry" "$dir/zcp"
done
awk '/^## / { section = $0 }
	/^```$/ { inside = 0 }
	inside { print }
	/^```sh$/ && section == "## Quick start" { inside = 1 }' "$1/README.md" >"$dir/commands"
[ "$(grep -c . "$dir/commands")" -eq 2 ] || { echo "README.md: not two commands"; exit 1; }

printf '#!/bin/sh\nDESTDIR="%s/root" exec "$@"\n' "$dir" >"$dir/bin/sudo"
printf '#!/bin/sh\n:\n' >"$dir/bin/ldconfig"
printf '#!/bin/sh\ntouch "%s/wanted"\nexit 1\n' "$dir" >"$dir/bin/apt-get"
chmod +x "$dir/bin"/*
unset ZCP_RUNTIME_DIR ZCP_DOMAIN ZCP_ZCPD ZCP_AUTO_START CFLAGS DESTDIR
cd "$dir/zcp" || exit 1
if ! PATH=$dir/bin:$PATH sh -e "$dir/commands" >"$dir/log" 2>&1; then
	tail -n 40 "$dir/log"
	[ ! -e "$dir/wanted" ] || { echo "a package is missing"; exit 77; }
	exit 1
fi

failed=0
for topic in camera/front imu/body; do
	grep -q "^$topic " "$dir/log" || { echo "the demo says nothing of $topic"; failed=1; }
done
for file in bin/zcp bin/zcpd include/zcp/zcp.h; do
	[ -e "$dir/root/usr/local/$file" ] || { echo "$file is not installed"; failed=1; }
done
[ $failed -eq 0 ] || tail -n 40 "$dir/log"
exit $failed
