#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The command of kmemblk@.service, on a socket that it is handed: it is started by the first client,
# and answers it.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires systemd-socket-activate --version

unit=$abs_top_builddir/systemd/kmemblk@.service
device disk
"$kmemblk" format --create=64M "$device" > "$tmp/format.log"

# As systemd does it: the unit's variables, without a shell.
while IFS= read -r assignment; do
	export "${assignment?}"
done < <(sed -n 's/^Environment=//p' "$unit")
DEVICE=$device
command=$(sed -n 's/^ExecStart=//p' "$unit")
test -n "$command" || fail "$unit starts nothing"
read -ra words <<< "$command"
arguments=()
for word in "${words[@]}"; do
	case $word in
	*/nbdkit-kmemblk-plugin.so) arguments+=("$plugin") ;;
	\$*)
		word=${word#\$}
		read -ra expanded <<< "${!word}"
		arguments+=("${expanded[@]}")
		;;
	*\$\{DEVICE\}) arguments+=("${word%\$*}$DEVICE") ;;
	*) arguments+=("$word") ;;
	esac
done

socket=$tmp/socket
uri="nbd+unix:///?socket=$socket"
systemd-socket-activate --listen="$socket" "${arguments[@]}" > "$tmp/server.log" 2>&1 &
server=$!
cleanup_fn end_process "$server"
await_file "$server" "$socket" "$tmp/server.log" "systemd-socket-activate did not start"
test "$(cat "/proc/$server/comm")" != nbdkit || fail "it was started before a client came"

must 'write -P 0x5a 4k 4k'
must 'read -P 0x5a 4k 4k' 'read -P 0 8k 4k'
test "$(cat "/proc/$server/comm")" = nbdkit || fail "the server is $(cat "/proc/$server/comm")"
kill "$server"
wait "$server" || fail "the server ended with status $?: $(cat "$tmp/server.log")"
