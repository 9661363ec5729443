#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Whatever clients of the control socket do, the disk goes on, and others are answered: garbage, requests that are cut
# or without end, a thousand connections, clients that do not take what they are told.  Who has gone by his turn has
# changed nothing.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires python3 --version
test -z "${asan_library:-}" || skip "a server with AddressSanitizer reads no JSON: tests/functions.sh"
device disk
"$kmemblk" format --create=64M --size=32M "$device" > "$tmp/out"
control=$tmp/control
start_nbdkit "$device" control="$control"

# Disk requests, all the while.
write_on() {
	local n=0
	until test -e "$tmp/enough"; do
		n=$((n + 1))
		must "write -P $((n % 250 + 1)) 0 1M" "read -P $((n % 250 + 1)) 0 1M"
		echo $n >> "$tmp/writing"
	done
}
write_on > "$tmp/writer.log" 2>&1 &
writer=$!
cleanup_fn end_process $writer
await_file $writer "$tmp/writing" "$tmp/writer.log" "the writer ended"

# The disk does more, and the command is answered.
made=0
all_goes_on() {
	local before
	before=$(wc -l < "$tmp/writing")
	made=$((made + 1))
	"$kmemblk" create "$control" v$made --size=1M > "$tmp/out" || fail "no answer beside $1"
	more() { test "$(wc -l < "$tmp/writing")" -gt $((before + 1)); }
	eventually more
	is_running $writer || fail "the writer ended: $(cat "$tmp/writer.log")"
}

# Each of these does its worst, says so in $tmp/bad, and stays as it is until it is ended.
hostile() {
	rm -f "$tmp/bad"
	python3 - "$control" "$tmp/bad" "$1" << 'END' &
import os, random, resource, signal, socket, sys

path, told, what = sys.argv[1:]
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
kept = []

def connect():
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    kept.append(client)
    return client

def send(client, data):
    try:
        client.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass

request = b'{"version":1,"call":"create","name":"bad","size":4096}'
dice = random.Random(7)
if what == "garbage":
    for i in range(300):
        send(connect(), dice.randbytes(dice.randrange(1, 3000)) + b"\n")
        # Before the name: that may be another.
        broken = bytearray(request)
        broken[dice.randrange(request.index(b'"name"'))] ^= 1 << dice.randrange(7)
        send(connect(), bytes(broken) + b"\n")
        kept.clear()
elif what == "cut":
    for i in range(len(request)):
        connect().sendall(request[:i])
        kept[-1].shutdown(socket.SHUT_WR)
        connect().sendall(request[:i])
        kept.pop().close()
elif what == "endless":
    for i in range(4):
        send(connect(), b" " * 200000)
elif what == "many":
    for i in range(1000):
        connect()
elif what == "deaf":
    for i in range(200):
        send(connect(), b'{"version":1,"call":"list"}\n')
open(told, "w").write("done")
if what == "stops":
    for i in range(20):
        connect().sendall(request)
    os.kill(os.getpid(), signal.SIGSTOP)
signal.pause()
END
	bad=$!
	cleanup_fn end_process $bad KILL
	await_file $bad "$tmp/bad" /dev/null "the hostile client ended"
}

for what in garbage cut endless many deaf stops; do
	hostile $what
	all_goes_on "$what"
	end_process $bad KILL
	cleanup_done
	all_goes_on "the end of $what"
done
is_running "$server" || fail "the server has ended"

# It is asked to make `gone` while it cannot hear, and the client goes before it can.
kill -STOP "$server"
python3 - "$control" << 'END'
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b'{"version":1,"call":"create","name":"gone","size":4096}\n')
END
kill -CONT "$server"
all_goes_on "one that has gone"

touch "$tmp/enough"
wait $writer || fail "the writer failed: $(cat "$tmp/writer.log")"
"$kmemblk" list "$control" > "$tmp/out"
test "$(sed '1d; s/ .*//' "$tmp/out" | paste -sd' ')" = "kmem0 $(seq -s ' ' -f v%g $made)" || fail "$(cat "$tmp/out")"
stop_nbdkit
check_device
