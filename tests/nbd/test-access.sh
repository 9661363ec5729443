#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What nbdkit-kmemblk-plugin(1) says of access: a server on one address is not reached by another; the ip
# filter lets in users on a UNIX socket, and parses addresses only where nbdkit is not 1.32.  (TLS:
# tests/vm/test-tls.sh.)

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires nbdinfo --version

# serve NBDKIT-ARGUMENT... -- PARAMETER...: sets $server.
serve() {
	local arguments=()
	while test "$1" != --; do
		arguments+=("$1")
		shift
	done
	shift
	servers=$((servers + 1))
	nbdkit -f -P "$tmp/pid$servers" "${arguments[@]}" "$plugin" "$device" create=8M "$@" \
		> "$tmp/nbdkit.log" 2>&1 &
	server=$!
	cleanup_fn end_process $server
	await_file $server "$tmp/pid$servers" "$tmp/nbdkit.log" "nbdkit did not start"
}

# let_in URI; refused URI PATTERN
let_in() {
	nbdinfo --size "$1" > "$tmp/size" 2>&1 || fail "$1 is refused: $(cat "$tmp/size")"
}
refused() {
	expect_error 1 "$2" nbdinfo --size "$1"
}

device one

# An address and a port of this test's own: others may run at the same time.
network=127.$((1 + $$ / 250 % 250)).$((1 + $$ % 250))
port=$((20000 + $$ % 10000))
serve -i "$network.1" -p $port --
let_in "nbd://$network.1:$port"
refused "nbd://$network.2:$port" 'Connection refused'
end_process "$server"

serve -U "$tmp/socket" --filter=ip -- "allow=uid:$(id -u)" deny=all
let_in "nbd+unix:///?socket=$tmp/socket"
end_process "$server"

serve -U "$tmp/other" --filter=ip -- "allow=uid:$(($(id -u) + 1))" deny=all
refused "nbd+unix:///?socket=$tmp/other" nbd_connect
grep -q 'not permitted' "$tmp/nbdkit.log" || fail "refused for another reason: $(cat "$tmp/nbdkit.log")"
end_process "$server"

for rule in "$network.1" "$network.0/24" ::1 ::1/128; do
	case $(nbdkit --version) in
	'nbdkit 1.32.'*)
		expect_error 1 "don't know how to parse rule|cannot parse address" \
			nbdkit -U - --filter=ip "$plugin" "$device" "allow=$rule" deny=all --run true
		;;
	*)
		nbdkit -U - --filter=ip "$plugin" "$device" "allow=$rule" deny=all --run true
		;;
	esac
done
