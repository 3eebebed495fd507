#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# exported_symbols.sh HEADERS libzcp.so libzcp.a
#
# The shared library exports exactly the functions that the headers mark ZCP_API, all with a
# version; the archive adds no global name that does not begin with zcp_.
set -eu

[ $# -eq 3 ] || { echo "usage: exported_symbols.sh HEADERS libzcp.so libzcp.a" >&2; exit 2; }
headers=$1 shared=$2 archive=$3

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# Without comments, preprocessor lines and line ends, each ZCP_API begins a declaration,
# and its function is the first name before a parenthesis.
for header in "$headers"/*.h; do
	sed -e 's|//.*||' -e 's|/\*[^*]*\*/||g' "$header" |
		awk '/^[ \t]*#/ { while (/\\$/ && (getline) > 0); next }
		     { sub(/^[ \t]*\*.*$/, ""); print }'
done | tr '\n\t;' '  \n' | grep 'ZCP_API' |
	sed -n 's/.*ZCP_API[^(]*[^a-z0-9_(]\(zcp_[a-z0-9_]*\) *(.*/\1/p' |
	sort -u >"$dir/declared"

nm -D --defined-only "$shared" >"$dir/nm"
# The version's own name is an absolute symbol.
awk '$2 != "A" { print $3 }' "$dir/nm" | sed 's/@.*//' | sort -u >"$dir/exported"
awk '$2 == "T" { print $3 }' "$dir/nm" | sed 's/@.*//' | sort -u >"$dir/functions"

if [ ! -s "$dir/declared" ]; then
	echo "no ZCP_API function found in $headers"
	failed=1
fi
for name in $(comm -23 "$dir/declared" "$dir/functions"); do
	echo "declared ZCP_API and not exported: $name (not defined, or not in config/zcp.map)"
	failed=1
done
for name in $(comm -13 "$dir/declared" "$dir/exported"); do
	echo "exported and not declared ZCP_API: $name"
	failed=1
done
if awk '$2 == "T" && $3 !~ /@@ZCP_[0-9]+$/ { print "exported without a version: " $3; n++ }
	END { exit !n }' "$dir/nm"; then
	failed=1
fi

for name in $(nm -g --defined-only "$archive" | awk 'NF == 3 && $3 !~ /^zcp_/ { print $3 }'); do
	echo "the archive's name does not begin with zcp_: $name"
	failed=1
done

[ $failed -ne 0 ] || echo "$(wc -l <"$dir/declared") functions, declared and exported"
exit $failed
