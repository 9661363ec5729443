#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# kmemblk list without a device: the servers that the user can find, each with its device; one that is stopped keeps
# nobody waiting, one that has ended is not listed, and what is no server neither.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

test -z "${asan_library:-}" || skip "a server with AddressSanitizer reads no JSON: tests/functions.sh"

device one
one=$device
"$kmemblk" format --create=16M "$one" > "$tmp/out"
socket_of_one=$(control_socket)

# Others of this host may run besides.
listed() {
	"$kmemblk" list > "$tmp/list"
	sed -n "s|^$1 *\\([0-9-]*\\)  \\(.*\\)|\\1 \\2|p" "$tmp/list"
}
found() {
	"$kmemblk" list --json | python3 -c "
import json, sys
for server in json.load(sys.stdin)['servers']:
    if server['socket'] == '$socket_of_one':
        print(server['path'], server['process'], server['uuid'])"
}

# A server that is asked while the machine is busy may not answer within the second that it has.
await_listed() {
	until test "$(listed "$one")" = "$server $socket_of_one"; do
		grep -qE "^\\(does not answer\\) +-  $socket_of_one\$" "$tmp/list" || fail "$1: $(cat "$tmp/list")"
	done
}

test -z "$(listed "$one")" || fail "listed, and not served: $(cat "$tmp/list")"
start_nbdkit "$one"
await_listed 'served'
until got=$(found) && test "$got" != 'None None None'; do :; done
test "$got" = "$one $server $(basename "$socket_of_one" .sock)" || fail "$got"

folder=$(dirname "$socket_of_one")
echo 'no socket' > "$folder/test-$$.sock"
await_listed 'beside a file'
rm "$folder/test-$$.sock"

kill -STOP "$server"
"$kmemblk" list > "$tmp/list" || fail 'beside a server that is stopped'
grep -qE "^\\(does not answer\\) +-  $socket_of_one\$" "$tmp/list" || fail "stopped: $(cat "$tmp/list")"
test "$(found)" = 'None None None' || fail "stopped: $(found)"
kill -CONT "$server"
await_listed 'no longer stopped'

kill -KILL "$server"
wait "$server" || true
test -z "$(listed "$one")" || fail "listed, and has ended: $(cat "$tmp/list")"
rm -f "$socket_of_one"
server=
