#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk of QEMU that is on three machines: a quorum of their kmemblk servers.  When one of them is
# gone the guest goes on with the others and notices nothing; when it is back, each block that it
# missed is put right as soon as the guest reads it.
#
# usage: qemu-mirror.sh SERVER SERVER SERVER
#
# where a server is a host, or the path of a UNIX socket.  Prints the disk, for QEMU and its tools:
#
#     qemu-system-x86_64 ... -blockdev "node-name=disk,$(qemu-mirror.sh one two three)" \
#         -device virtio-blk-pci,drive=disk
#     qemu-img convert -n --target-image-opts image.raw "$(qemu-mirror.sh one two three)"
#
# Notes:
#
#   - A write succeeds when two servers have it, a read when two say the same: so none is believed
#     that comes back with what it had before.  Two disks cannot outvote each other; for them, take
#     mirror.sh in the guest or on its host.
#   - Each block is read from all.
#   - After a server was gone, have the guest read its whole disk, to put right all of it before
#     another one goes:  dd if=/dev/vda of=/dev/null bs=1M iflag=direct
#   - QEMU starts only if it finds all servers.  When one is down, name the two others; both must
#     answer then.
#   - A host that vanishes says nothing, and the disk stands still until TCP gives up; sysctl(8) on
#     QEMU's host says when: net.ipv4.tcp_retries2=8 and net.ipv4.tcp_keepalive_time=30.
#   - No reconnect-delay=: what was under way when a connection broke would be sent again, and could
#     arrive twice, the second time after newer data.
#   - Quorum drops trims.  Writes of zeros free pages, also those that blkdiscard -z or fallocate -z
#     in the guest ask for.
#   - Two guests that use the disk at a time destroy it.

set -euo pipefail

if test $# -lt 2; then
	echo "usage: $0 SERVER SERVER SERVER" >&2
	exit 2
fi

printf 'driver=quorum,vote-threshold=%d,rewrite-corrupted=on,detect-zeroes=unmap,discard=unmap' \
	$(($# / 2 + 1))
child=0
for server; do
	printf ',children.%d.driver=nbd,children.%d.discard=unmap' $child $child
	case $server in
	/*) printf ',children.%d.server.%s' $child type=unix $child path="$server" ;;
	*)
		printf ',children.%d.server.%s' $child type=inet $child host="$server" $child port=10809 \
			$child keep-alive=on
		;;
	esac
	child=$((child + 1))
done
echo
