#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each snapshot is a read-only export VOLUME@SNAPSHOT, listed and described; it reads the same while its volume is
# written to, and a write to it is refused.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdinfo --version
requires nbdcopy --version
requires python3 --version
device disk
"$kmemblk" format --create=64M --size=32M "$device" > "$tmp/out"
"$kmemblk" create "$device" logs --size=1G > "$tmp/out"
start_nbdkit "$device"
head -c 8M /dev/urandom > "$tmp/old"
nbdcopy "$tmp/old" "nbd+unix:///kmem0?socket=$socket"
stop_nbdkit
"$kmemblk" snapshot "$device" kmem0@monday logs@monday > "$tmp/out"
put kmem0 1 0:4k
"$kmemblk" snapshot "$device" kmem0@tuesday > "$tmp/out"

# uri_of NAME.
uri_of() {
	echo "nbd+unix:///$1?socket=$socket"
}

start_nbdkit "$device"
nbdinfo --list "$uri" > "$tmp/list"
listed=$(sed -n 's/^export="\(.*\)":$/\1/p' "$tmp/list" | paste -sd' ')
test "$listed" = 'kmem0 kmem0@monday kmem0@tuesday logs logs@monday' || fail "listed: $listed"
grep -qE 'description: snapshot of logs, 1\.0 GiB, made 20[0-9-]{8} [0-9:]{8} UTC$' "$tmp/list" ||
	fail "not described: $(cat "$tmp/list")"
nbdinfo "$(uri_of kmem0@monday)" > "$tmp/out"
grep -q 'is_read_only: true' "$tmp/out" || fail "can be written to: $(cat "$tmp/out")"
grep -qE 'description: snapshot of kmem0, 32\.0 MiB, made 20' "$tmp/out" || fail "$(cat "$tmp/out")"
nbdinfo "$(uri_of kmem0)" > "$tmp/out"
grep -q 'is_read_only: false' "$tmp/out" || fail "the volume is read-only: $(cat "$tmp/out")"
test "$(nbdinfo --size "$(uri_of logs@monday)")" = $((1 << 30)) || fail "another size"

# The volume is written to all the while, until the test has seen enough.
write_on() {
	local n=0 i commands
	until test -e "$tmp/enough"; do
		commands=()
		for ((i = 0; i < 20; i++, n++)); do
			commands+=("write -P $((n % 250 + 1)) $((n * 7919 % 8192 * 4))k 4k")
		done
		must "${commands[@]}" "discard $((n * 31 % 8000 * 4))k 64k"
		echo "$n" >> "$tmp/writing"
	done
}
uri=$(uri_of kmem0)
write_on > "$tmp/writer.log" 2>&1 &
writer=$!
cleanup_fn end_process $writer
await_file $writer "$tmp/writing" "$tmp/writer.log" "the writer ended"
for i in 1 2 3; do
	nbdcopy "$(uri_of kmem0@monday)" "$tmp/copy"
	cmp -n $((8 << 20)) "$tmp/old" "$tmp/copy" || fail "copy $i of the snapshot differs"
	test "$(stat -c %s "$tmp/copy")" = $((32 << 20)) || fail "another size"
done
before=$(wc -l < "$tmp/writing")
more() { test "$(wc -l < "$tmp/writing")" -gt "$before"; }
eventually more
touch "$tmp/enough"
wait $writer || fail "the writer failed: $(cat "$tmp/writer.log")"
# What it has not is a hole there.
nbdinfo --map "$(uri_of kmem0@monday)" > "$tmp/map"
test "$(awk '{ print $1, $2, $3 }' "$tmp/map" | paste -sd,)" = '0 8388608 0,8388608 25165824 3' ||
	fail "extents: $(cat "$tmp/map")"
reads_one() {
	qemu-io -r -f raw -c 'read -P 1 0 4k' "$1" > "$tmp/out" 2>&1
	! grep -qiE 'fail|error' "$tmp/out" || fail "$1: $(cat "$tmp/out")"
}
reads_one "$(uri_of kmem0@tuesday)"

# No client can change it, also one that does not care what it is told.
python3 - "$socket" kmem0@monday << 'END' || fail "a request that changes something is not refused"
import socket, struct, sys

def receive(size):
    data = b""
    while len(data) < size:
        part = server.recv(size - len(data))
        assert part, "the server has ended the connection"
        data += part
    return data

server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
name = sys.argv[2].encode()
receive(18)
# Fixed newstyle, no zeroes; NBD_OPT_GO.
option = struct.pack(">I", len(name)) + name + struct.pack(">H", 0)
server.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 7, len(option)) + option)
while True:
    magic, option, kind, size = struct.unpack(">QIII", receive(20))
    data = receive(size)
    assert kind in (1, 3), (kind, data)
    if kind == 1:
        break
# Write, trim, write zeroes: 1 is EPERM, which stands for EROFS in NBD.
for command, payload in (1, b"x" * 4096), (4, b""), (6, b""):
    server.sendall(struct.pack(">IHHQQI", 0x25609513, 0, command, 7, 0, 4096) + payload)
    magic, error, cookie = struct.unpack(">IIQ", receive(16))
    assert (magic, error, cookie) == (0x67446698, 1, 7), (command, hex(magic), error)
END
! nbdcopy "$tmp/old" "$(uri_of logs@monday)" 2> "$tmp/err" || fail "copied to a snapshot"
nbdcopy "$(uri_of kmem0@monday)" "$tmp/copy"
cmp -n $((8 << 20)) "$tmp/old" "$tmp/copy" || fail "the snapshot has changed"

# refused EXPORT: the server names those there are.
refused() {
	! nbdinfo --size "$(uri_of "$1")" > "$tmp/out" 2>&1 || fail "there is an export $1"
	grep -q "there is no snapshot $1; there are: kmem0, .*kmem0@monday" "$tmp/nbdkit$servers.log" ||
		fail "the names are not told: $(tail -3 "$tmp/nbdkit$servers.log")"
}
refused kmem0@none
refused none@monday
refused kmem0@
refused @monday
stop_nbdkit

# The one that is meant where none is named.
start_nbdkit "$device" volume=kmem0@tuesday
nbdinfo "$uri" > "$tmp/out"
grep -q 'is_read_only: true' "$tmp/out" || fail "can be written to: $(cat "$tmp/out")"
reads_one "$uri"
stop_nbdkit
! nbdkit -U - "$plugin" "$device" volume=kmem0@none --run true 2> "$tmp/err" || fail "volume=kmem0@none is served"
grep -q 'volume=: .*there is no snapshot kmem0@none; there are: kmem0, ' "$tmp/err" || fail "$(cat "$tmp/err")"
start_nbdkit "$device"
test "$(nbdinfo --size "$uri")" = $((32 << 20)) || fail "snapshots have taken the default away"
stop_nbdkit
check_device
