#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# From a fresh clone on Debian 12 to a mounted file system on a kmemblk device, and back: installs
# what is missing, builds, formats 1 GiB of emulated persistent memory (a file on /dev/shm), serves
# it on a UNIX socket, mounts ext4 on it, writes, deletes, trims, and shows what that freed.
# Prints every command it runs.  Leaves nothing behind but the build and the installed packages.
#
# usage: sudo examples/quickstart.sh [--keep]
#   --keep   leave the server running and tell how to attach to it and how to stop it

set -euo pipefail

keep=
case ${1:-} in
'') ;;
--keep) keep=yes ;;
*)
	echo "usage: sudo $0 [--keep]" >&2
	exit 2
	;;
esac

cd "$(dirname "$0")/.."

die() {
	echo "quickstart: $*" >&2
	exit 1
}

# Say what comes next; one argument a line.
say() {
	echo
	printf '# %s\n' "$@"
}

# Show a command as one would type it, then run it.
run() {
	printf '$ %s\n' "$*"
	"$@"
}

test "$(id -u)" -eq 0 || die "mounting needs root; type: sudo $0 $*"

# The build belongs to whoever owns the clone, so that it can be used without root afterwards.
owner=$(stat -c %u .)
group=$(stat -c %g .)
build() {
	printf '$ %s\n' "$*"
	if ! setpriv --reuid="$owner" --regid="$group" --clear-groups "$@" > "$work/build.log" 2>&1; then
		cat "$work/build.log" >&2
		die "failed (see above): $*"
	fi
}

# ---- everything that is begun is ended here, last first, however the script ends ----

work=$(mktemp -d /tmp/kmemblk-quickstart.XXXXXX)
chmod 755 "$work"
socket=$work/socket
device=/dev/shm/kmemblk-quickstart.$$.img
kept=

stop_server() {
	local pid
	test -s "$work/nbdkit.pid" || return 0
	pid=$(cat "$work/nbdkit.pid")
	if kill "$pid" 2> /dev/null; then
		while kill -0 "$pid" 2> /dev/null; do
			sleep 0.1
		done
	fi
	rm -f "$work/nbdkit.pid"
}

unmount_all() {
	if mountpoint -q "$work/mnt"; then
		umount "$work/mnt"
	fi
	if mountpoint -q "$work/nbd"; then
		umount "$work/nbd"
		wait # for nbdfuse, which has data to send and ends when it is unmounted
	fi
}

cleanup() {
	trap '' INT TERM HUP
	set +e
	unmount_all
	test -z "$kept" || return
	stop_server
	rm -f "$device"
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- from here on: what you would type ----

say "Install the Debian packages that are missing."
run scripts/install-deps.sh

say "Build."
touch "$work/build.log"
chown "$owner:$group" "$work/build.log"
test -x configure || build autoreconf -fi
test -e config.status || build ./configure
build make -j"$(nproc)"

# Told now, not as a failure half-way.
test -c /dev/fuse || die "/dev/fuse is missing: nbdfuse needs it" \
	"(in a chroot: mount --bind /dev DIR/dev, outside of it)"
test -c /dev/loop-control || die "/dev/loop-control is missing: the loop mount needs it" \
	"(in a chroot: mount --bind /dev DIR/dev, outside of it)"
free=$(df --output=avail -B1M /dev/shm | tail -1)
test "$free" -ge 512 || die "/dev/shm has $free MiB free, 512 are needed" \
	"(try: mount -o remount,size=2G /dev/shm)"

say "Make a device of 1 GiB of memory that stands for persistent memory.  It is sparse: it takes" \
	"memory only for what is written."
run tools/kmemblk format --create=1G --label=quickstart "$device"

say "Serve it.  (The server goes to the background when it is ready.)"
run nbdkit -U "$socket" -P "$work/nbdkit.pid" ./kmemblk.so "$device"

say "Attach it: nbdfuse shows the NBD export as a file.  (A kernel with the nbd module can do" \
	"without: nbd-client -unix $socket /dev/nbd0 -b 4096)"
uri="nbd+unix:///?socket=$socket"
mkdir "$work/nbd" "$work/mnt"
printf '$ %s &\n' "nbdfuse $work/nbd/disk '$uri'"
nbdfuse -P "$work/nbdfuse.pid" "$work/nbd/disk" "$uri" &
nbdfuse=$!
while ! test -s "$work/nbdfuse.pid"; do
	kill -0 $nbdfuse 2> /dev/null || die "nbdfuse did not start (see above)"
	sleep 0.1
done

say "Make a file system on it and mount it.  (noinit_itable: ext4 is not to write zeroes in the" \
	"background while pages are counted.)"
run mkfs.ext4 -q "$work/nbd/disk"
run mount -o loop,noinit_itable "$work/nbd/disk" "$work/mnt"

pages_used() {
	tools/kmemblk info --json "$device" | sed -n 's/.*"pages_used": *\([0-9]*\).*/\1/p'
}
empty=$(pages_used)

say "Write 256 MiB.  The device takes memory for it."
run dd if=/dev/urandom of="$work/mnt/data" bs=1M count=256 conv=fsync status=none
run tools/kmemblk info "$device"
run du -h "$device"
full=$(pages_used)

say "Delete it, and trim: the file system tells the device which blocks it does not use any more."
run rm "$work/mnt/data"
run sync -f "$work/mnt"
run fstrim -v "$work/mnt"
run tools/kmemblk info "$device"
trimmed=$(pages_used)

say "Pages that hold a block: $empty with an empty file system, $full with 256 MiB in it, $trimmed" \
	"after the trim.  $(((full - trimmed) * 4 / 1024)) MiB were freed."
test $((full - empty)) -ge 65536 || die "256 MiB were written, yet the device holds less"
test $((full - trimmed)) -ge 65000 || die "the trim did not give the pages back"

say "Unmount, check the file system, detach."
run umount "$work/mnt"
run fsck.ext4 -nf "$work/nbd/disk"
run umount "$work/nbd"
wait

if test -n "$keep"; then
	kept=yes
	cat << END

The server is still running, process $(cat "$work/nbdkit.pid").

  attach here:       nbdfuse $work/nbd/disk '$uri' &
                     mount -o loop,discard $work/nbd/disk $work/mnt
  or with nbd.ko:    nbd-client -unix $socket /dev/nbd0 -b 4096
                     mount -o discard /dev/nbd0 $work/mnt
  look at it:        $PWD/tools/kmemblk info $device
  stop it:           kill $(cat "$work/nbdkit.pid")
  and forget it:     rm -r $device $work

  To serve it over TCP, stop it (a device has one server) and start it again with a port
  in place of the socket.  Anyone who can reach the port can read and write the disk: keep it
  on a network you trust, or read nbdkit-tls(1).

  there:             nbdkit -p 10809 $PWD/kmemblk.so $device
  from elsewhere:    nbd-client $(uname -n) 10809 /dev/nbd0 -b 4096
                     nbdinfo nbd://$(uname -n)
END
	exit 0
fi

say "Stop the server and check the device."
printf '$ %s\n' "kill \$(cat $work/nbdkit.pid)"
stop_server
run tools/kmemblk check "$device"

echo
echo "quickstart: done.  The device is removed; with --keep it stays and is served on."
