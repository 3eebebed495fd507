#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Two sides of one domain in two places: by another environment, another user, another
# configuration. The commands say where the other runtime is; root may look into any user's.
set -u
# shellcheck source=tests/support/domain.sh
. "$(dirname "$0")/../support/domain.sh"

# Only what we have started is told of.
ZCP_DOMAIN=elsewhere$$
export ZCP_DOMAIN
unset XDG_RUNTIME_DIR ZCP_CONFIG
chosen=$ZCP_RUNTIME_DIR
xdg="env -u ZCP_RUNTIME_DIR XDG_RUNTIME_DIR=$dir/xdg"
mkdir "$dir/xdg"
chmod 755 "$dir"
mkfifo "$dir/in"
exec 4<>"$dir/in"

"$zcp" list 2>"$dir/list.err" && fail "list without a runtime: 0"
is "list without a runtime, the last line" \
	"zcp list: this is domain '$ZCP_DOMAIN' at $chosen; no other runtime of that name is known" \
	"$(tail -n 1 "$dir/list.err")"

# One of the sides has XDG_RUNTIME_DIR alone.
# shellcheck disable=SC2086
start camera $xdg "$zcp" pub t --lines --quiet <"$dir/in"
# shellcheck disable=SC2086
until $xdg "$zcp" list --json 2>/dev/null | jq -e 'length == 1' >"$dir/length"; do
	kill -0 "$(pid camera)" || break
done
there="has another runtime at $dir/xdg/zcp, yours; this one is at $chosen, and they share no topics"
how="set ZCP_RUNTIME_DIR to one of them for both sides, or use --runtime-dir $dir/xdg/zcp"
"$zcp" echo t --timeout 0.1 2>"$dir/echo.err" && fail "echo: 0"
is "echo" "zcp echo: domain '$ZCP_DOMAIN' $there: $how" "$(head -n 1 "$dir/echo.err")"
"$zcp" pub t --lines </dev/null 2>"$dir/pub.err" || fail "pub: $?"
is "pub" "zcp pub: domain '$ZCP_DOMAIN' $there: $how" "$(cat "$dir/pub.err")"
"$zcp" list >"$dir/list" 2>"$dir/list.err" || fail "list: $?"
is "list" "zcp list: domain '$ZCP_DOMAIN' $there: $how" "$(cat "$dir/list.err")"
"$zcp" pub t --lines --quiet </dev/null 2>"$dir/pub.err" || fail "pub --quiet: $?"
is "pub --quiet" "" "$(cat "$dir/pub.err")"
# In the other direction.
# shellcheck disable=SC2086
$xdg "$zcp" audit >"$dir/audit" 2>"$dir/audit.err" || fail "audit: $?"
has "audit" "$dir/audit.err" "another runtime at $chosen, yours; this one is at $dir/xdg/zcp"
# By another name it is the same place.
ln -s "$dir/xdg/zcp" "$dir/link"
"$zcp" info t --runtime-dir "$dir/link" >"$dir/info" 2>"$dir/info.err" || fail "info: $?"
grep -q "$dir/xdg/zcp" "$dir/info.err" && fail "info: $(cat "$dir/info.err")"
ZCP_DOMAIN=other$$ "$zcp" pub t --lines </dev/null 2>"$dir/pub.err" || fail "pub: $?"
is "pub in another domain" "" "$(cat "$dir/pub.err")"

# Two places that were chosen are two on purpose, until nobody is at the other end.
"$zcp" pub t --lines --runtime-dir "$dir/second" </dev/null 2>"$dir/pub.err" || fail "pub: $?"
grep -q "$chosen" "$dir/pub.err" && fail "pub: $(cat "$dir/pub.err")"
"$zcp" echo t --runtime-dir "$dir/second" --timeout 0.1 2>"$dir/echo.err" && fail "echo: 0"
has "echo in a chosen place" "$dir/echo.err" "another runtime at $chosen, yours"

# A configuration that the runtime does not go by.
echo >"$dir/one.toml"
echo >"$dir/two.toml"
(cd "$dir" && ZCP_CONFIG=one.toml "$zcp" pub t --lines --runtime-dir "$dir/third" </dev/null) \
	2>"$dir/pub.err" || fail "pub: $?"
grep -q ZCP_CONFIG "$dir/pub.err" && fail "pub with a configuration: $(cat "$dir/pub.err")"
ZCP_CONFIG="$dir/two.toml" "$zcp" pub t --lines --runtime-dir "$dir/third" </dev/null \
	2>"$dir/pub.err" || fail "pub: $?"
has "pub with another configuration" "$dir/pub.err" \
	"ZCP_CONFIG is $dir/two.toml, and the runtime of domain '$ZCP_DOMAIN' goes by $dir/one.toml"
ZCP_CONFIG="$dir/two.toml" "$zcp" list 2>"$dir/list.err" >"$dir/list" || fail "list: $?"
has "list with a configuration" "$dir/list.err" "goes by the defaults"

# Root's and a user's.
user="setpriv --reuid 1000 --regid 1000 --clear-groups"
if [ "$(id -u)" = 0 ] && $user test -x "$zcp" 2>/dev/null; then
	mkdir "$dir/user"
	chown 1000:1000 "$dir/user"
	theirs="$user env -u ZCP_RUNTIME_DIR XDG_RUNTIME_DIR=$dir/user"
	mkfifo "$dir/in2"
	exec 5<>"$dir/in2"
	# shellcheck disable=SC2086
	start theirs $theirs "$zcp" pub u --lines <"$dir/in2"
	until "$zcp" list --runtime-dir "$dir/user/zcp" 2>/dev/null >"$dir/list"; do
		kill -0 "$(pid theirs)" || break
	done
	until "$zcp" list --runtime-dir "$dir/user/zcp" 2>/dev/null | grep -q ^u; do
		kill -0 "$(pid theirs)" || break
	done
	has "a user's pub" "$dir/theirs.err" \
		"another runtime at $dir/xdg/zcp, root's; this one is at $dir/user/zcp"
	has "a user's pub" "$dir/theirs.err" "run both sides as one user, with sudo both or none"
	for command in list "info u" audit; do
		# shellcheck disable=SC2086
		"$zcp" $command --runtime-dir "$dir/user/zcp" >"$dir/out" 2>"$dir/out.err" ||
			fail "root's zcp $command in a user's domain: $(cat "$dir/out.err")"
	done
	"$zcp" list >"$dir/list" 2>"$dir/list.err" || fail "list: $?"
	has "root's list" "$dir/list.err" "another runtime at $dir/user/zcp, user 1000's"
	has "root's list" "$dir/list.err" "zcp list --runtime-dir $dir/user/zcp shows it"
	# To look is all: what takes part shares memory.
	"$zcp" echo u --no-start --runtime-dir "$dir/user/zcp" 2>"$dir/echo.err" && fail "echo: 0"
	has "root's echo in a user's domain" "$dir/echo.err" "belongs to user 1000 and we are user 0"
	exec 5>&-
	join theirs || fail "the user's pub ended with $?"
fi

exec 4>&-
join camera || fail "camera ended with $?"
for place in "$dir/xdg/zcp" "$dir/user/zcp" "$dir/second" "$dir/third"; do
	ZCP_RUNTIME_DIR=$place
	stop_runtimes
done
ZCP_RUNTIME_DIR=$chosen
exit "$failed"
