# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# What the shell tests share.  A test begins with
#
#     . "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
#
# and has then:
#
#     $tmp            a folder of its own, gone when the test ends
#     $kmemblk        the command of this build
#     $plugin         the plugin of this build, the file for nbdkit
#     device NAME     sets $device to the name of a file on /dev/shm that is removed at the end
#     requires ...    skips the test unless the command works
#     requires_root   skips the test unless it runs as root under `make check-root`
#     cleanup_fn ...  runs the command when the test ends, however it ends; last added, first run
#     cleanup_done    takes back what was added last
#     folder_on_disk  sets $folder to one beside the build, until the end; skips if that is on tmpfs
#     check_device    fails the test unless `kmemblk check` finds $device sound
#     control_socket  prints the name that the control socket of a server of $device, or of another, has
#     field NAME      prints what `kmemblk info --json` says of $device, or of another
#     end_process     ends a process of the test and waits until it is gone
#     eventually ...  waits until the command succeeds
#     start_nbdkit    starts the server, waits until it accepts connections, ends it at the end
#     try_nbdkit      starts a server that is to be refused
#     requires_attach skips the test unless the kernel can have the disk as a block device here
#     attach_disk     makes it one, $loop, until the end or detach_disk; attach_export NAME does it for an export
#     fail, skip      end the test with a sentence
#
# The test runs under `set -e`: a command that fails where nobody looks at it fails the test.

set -eu -o pipefail

abs_top_srcdir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
abs_top_builddir=${abs_top_builddir:-$abs_top_srcdir}
test_name=$(basename "$0" .sh)

kmemblk=$abs_top_builddir/tools/kmemblk
plugin=$abs_top_builddir/kmemblk.so

# Messages are compared: they must be in one language.  LIBNBD_DEBUG and the like of the user's
# would change the output of clients.
export LC_ALL=C
unset LIBNBD_DEBUG

fail() {
	echo "$test_name: FAIL: $*" >&2
	exit 1
}

skip() {
	echo "$test_name: skipped: $*" >&2
	exit 77
}

cleanups=()
# What the test waits for, "" for nothing: told when its time limit ends it.
awaited=

# cleanup_fn COMMAND [ARGUMENT...]
cleanup_fn() {
	local quoted
	printf -v quoted '%q ' "$@"
	cleanups+=("$quoted")
}

# cleanup_done: what was added last is no longer needed.
cleanup_done() {
	cleanups=("${cleanups[@]:0:${#cleanups[@]}-1}")
}

run_cleanups() {
	local status=$? i
	trap '' INT TERM HUP
	set +e
	test $status -ne 143 || test -z "$awaited" ||
		echo "$test_name: ended while it waited for: $awaited" >&2
	for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
		eval "${cleanups[i]}"
	done
	exit $status
}
trap run_cleanups EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

tmp=$(mktemp -d "${TMPDIR:-/tmp}/$test_name.XXXXXX")
cleanup_fn rm -rf "$tmp"

# In a build with AddressSanitizer, `nbdkit` is one that can load its plugin.  Leaks of nbdkit's own
# are not the matter here.
#
# The sanitizer starts there inside the first malloc(), which is newlocale()'s, and leaves libc's lock of
# locales broken: newlocale() and duplocale() hang ever after, as json_tokener_parse() does.
if test -n "${asan_library:-}"; then
	mkdir "$tmp/.bin"
	cat > "$tmp/.bin/nbdkit" << END
#!/bin/sh
exec env LD_PRELOAD='$asan_library' ASAN_OPTIONS=detect_leaks=0 $(command -v nbdkit) "\$@"
END
	chmod +x "$tmp/.bin/nbdkit"
	PATH=$tmp/.bin:$PATH
fi

# Where servers of a user other than root have their control sockets, and are found by.
export XDG_RUNTIME_DIR=$tmp

# requires COMMAND [ARGUMENT...]
requires() {
	"$@" > "$tmp/requires.log" 2>&1 < /dev/null || skip "this does not work here: $*"
}

# Mounts go through the whole machine's kernel, so even root must ask for them.
requires_root() {
	test "${KMEMBLK_CHECK_ROOT:-}" = 1 || skip "uses kernel mounts: sudo make check-root"
	test "$(id -u)" -eq 0 || skip "needs root: sudo make check-root"
}

# device NAME: set $device to a name for a device file, which the test makes.
device() {
	device=/dev/shm/$test_name.$$.$1
	cleanup_fn remove_device "$device"
}
remove_device() {
	# What a server that was killed has left.
	test ! -f "$1" || test ! -d /run/kmemblk || rm -f "$(control_socket "$1" 2> /dev/null)"
	rm -rf "$1" "$1.loans"
}

folder_on_disk() {
	folder=$(mktemp -d "$PWD/$test_name.XXXXXX")
	cleanup_fn rm -rf "$folder"
	test "$(stat -f -c %T "$folder")" != tmpfs || skip "the build is on tmpfs"
}

check_device() {
	"$kmemblk" check "$device" > "$tmp/check.log" || fail "$device: $(cat "$tmp/check.log")"
}

# control_socket [DEVICE]
control_socket() {
	local folder=$XDG_RUNTIME_DIR/kmemblk
	test "$(id -u)" -ne 0 || folder=/run/kmemblk
	"$kmemblk" info --json "${1:-$device}" | sed -n "s|.*\"uuid\": *\"\([^\"]*\)\".*|$folder/\1.sock|p"
}

# field NAME [DEVICE]: a number or a word.
field() {
	"$kmemblk" info --json "${2:-$device}" | sed -n "s/.*\"$1\": *\"\{0,1\}\([a-z0-9]*\).*/\1/p"
}

# is_running PID: true while a process of this test (a child of this shell) runs.  When the shell has
# seen its end, the number may become another's: so no signal goes to a number that is not in the
# shell's own list.
is_running() {
	grep -qx -- "$1" <<< "$(jobs -rp)"$'\n'"$(jobs -sp)"
}

# end_process PID [SIGNAL]: end a process of this test and wait until it is gone.
end_process() {
	! is_running "$1" || kill "-${2:-TERM}" "$1" 2> /dev/null || true
	wait "$1" 2> /dev/null || true
}

# eventually COMMAND [ARGUMENT...]: wait until it succeeds, however long the machine takes: the time
# limit of the test ends what does not happen.
eventually() {
	awaited="$*"
	until "$@" > /dev/null 2>&1; do
		sleep 0.05
	done
	awaited=
}

# await_file PID FILE LOG WHAT: wait until a process of this test has made a file, or a socket.  If
# it ends before, the test fails with WHAT and what is in LOG.
await_file() {
	awaited=$2
	until test -S "$2" || test -s "$2"; do
		if ! is_running "$1"; then
			cat "$3" >&2
			fail "$4"
		fi
		sleep 0.05
	done
	awaited=
}

# await_daemon FILE: wait for the pid file of an nbdkit that went to the background, and set $pid.  The
# command returns when the server has forked, and the server writes the file after that.
await_daemon() {
	eventually test -s "$1"
	pid=$(cat "$1")
}

# start_nbdkit [NBDKIT-ARGUMENT...] [PLUGIN [PARAMETER...]]: start the server of this build's
# plugin on a UNIX socket.  Sets $server (its pid), $socket and $uri.
#
#     start_nbdkit "$device"
#     start_nbdkit -r "$device" readonly=true
#
# The plugin is put before the first argument that is no option; an option's argument goes with
# the option (--threads=4, -fv).
servers=0
start_nbdkit() {
	local options=() log
	while test $# -gt 0 && test "${1#-}" != "$1"; do
		options+=("$1")
		shift
	done

	# With AddressSanitizer it would hear those who ask, and never answer: see above.
	case "${asan_library:-} $*" in
	' '* | *' control='*) ;;
	*) set -- "$@" control=none ;;
	esac

	servers=$((servers + 1))
	socket=$tmp/socket$servers
	uri="nbd+unix:///?socket=$socket"
	log=$tmp/nbdkit$servers.log

	nbdkit -f -U "$socket" -P "$tmp/nbdkit$servers.pid" "${options[@]}" "$plugin" "$@" \
		> "$log" 2>&1 &
	server=$!
	cleanup_fn end_process "$server"

	# nbdkit writes the pid file once it accepts connections; if it ends before, it will not.
	await_file "$server" "$tmp/nbdkit$servers.pid" "$log" "nbdkit did not start: $*"
}

# try_nbdkit [PARAMETER...]: a server that is to be refused; its status and its output.  One that
# starts is ended, and the status is 0.
try_nbdkit() {
	local pid
	rm -f "$tmp/try" "$tmp/try.pid"
	nbdkit -f -U "$tmp/try" -P "$tmp/try.pid" "$plugin" "$@" &
	pid=$!
	until test -s "$tmp/try.pid"; do
		if ! is_running $pid; then
			wait $pid
			return
		fi
		sleep 0.01
	done
	# It writes the file before the plugin starts its threads, which may still fail.
	if nbdinfo --size "nbd+unix:///?socket=$tmp/try" > "$tmp/try.log" 2>&1; then
		end_process $pid
	else
		wait $pid
	fi
}

# attach_disk, attach_export NAME: set $loop to a block device of the disk that the server serves, or of its export
# of that name, by nbdfuse, on $tmp/fuse or $tmp/fuse-NAME, whose pid is $fuse.  Its user needs root.  detach_disk
# and detach_export NAME take it away again, when the cleanups hold nothing that was added since.
requires_attach() {
	requires_root
	requires nbdfuse --version
	requires test -e /dev/fuse
	requires losetup --find
}
attach_disk() {
	attach_at fuse "$uri"
}
attach_export() {
	attach_at "fuse-$1" "nbd+unix:///$1?socket=$socket"
}
detach_disk() {
	detach_from fuse
}
detach_export() {
	detach_from "fuse-$1"
}
declare -A attached_loop attached_fuse
attach_at() {
	mkdir -p "$tmp/$1"
	nbdfuse --pidfile "$tmp/$1.pid" "$tmp/$1/disk" "$2" &
	fuse=$!
	cleanup_fn end_process $fuse
	while ! test -s "$tmp/$1.pid"; do
		is_running $fuse || skip "nbdfuse does not mount here"
		sleep 0.05
	done
	loop=$(losetup --find --show "$tmp/$1/disk") || skip "no loop device to be had"
	cleanup_fn losetup --detach "$loop"
	attached_loop[$1]=$loop
	attached_fuse[$1]=$fuse
}
detach_from() {
	losetup --detach "${attached_loop[$1]}"
	cleanup_done
	# Somebody may be looking at the loop device still.
	eventually umount "$tmp/$1"
	wait "${attached_fuse[$1]}" || true
	cleanup_done
	rm -f "$tmp/$1.pid"
}

# stop_nbdkit: end the server that was started last, as a user would, and wait for it.
stop_nbdkit() {
	end_process "$server"
}

# expect_error STATUS PATTERN COMMAND [ARGUMENT...]: the command must exit with that status and say
# something that matches the extended regular expression.
expect_error() {
	local status=$1 pattern=$2 got=0
	shift 2
	"$@" > "$tmp/expect.out" 2>&1 || got=$?
	test "$got" -eq "$status" ||
		fail "status $got instead of $status: $*: $(cat "$tmp/expect.out")"
	grep -qE -- "$pattern" "$tmp/expect.out" ||
		fail "no message like '$pattern': $*: $(cat "$tmp/expect.out")"
}
