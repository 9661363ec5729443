# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Guests with NVDIMMs, for the tests of this folder.  A test begins with
#
#     . "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"
#
# and has, beyond what tests/functions.sh offers:
#
#     nvdimm NAME SIZE        sets $nvdimm to a file that is an NVDIMM's content; gone at the end
#     guest_start ...         starts a guest that runs a function of the test
#     guest_wait NAME         waits for its end; fails unless the function returned 0
#     guest_run ...           both
#     guest_said NAME WORDS   waits until the guest said these words, a whole line (`say`, there)
#     guest_kill NAME         the guest crashes: all it had in its processors and memory is gone
#     guest_reset NAME        resets the machine, as its button does: it boots anew, its memory stays
#     guest_link NAME on|off  plugs in or pulls out its network cable
#
# The function runs in the guest, by bash, with `set -e`, in the guest's /kmemblk, and may use the
# other functions of the test and those of guest-functions.sh.  What it prints is in $tmp/NAME.log.
#
# A guest is a QEMU process under software emulation, a child of the test; the kernel kills it
# when the test dies, however that happens.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

guest_folder=$abs_top_builddir/tests/vm/guest

# A guest that hangs is ended before the time limit of the test ends that.  It is for nothing else: on a
# busy machine a guest may be ten times as slow.
guest_seconds=2400

test -n "${KMEMBLK_CHECK_VM:-}" || skip "boots virtual machines: make check-vm"
requires qemu-system-x86_64 --version

declare -A guest_pids=()

# In memory where there is room: the file takes as little as the device does.
nvdimm() {
	local folder=$tmp free
	free=$(df --output=avail -B1M /dev/shm | tail -n 1)
	test "$free" -lt 2048 || folder=/dev/shm
	nvdimm=$folder/$test_name.$$.$1
	cleanup_fn rm -f "$nvdimm"
	truncate -s "$2" "$nvdimm"
}

# guest_parse NAME [OPTION...] -- [FUNCTION...]: sets the variables that guest_options reads, and
# $arguments to how many there were.  The options:
#
#     nvdimm=FILE[,NODE]   has an NVDIMM with that content, on that NUMA node
#     file=PATH            finds a copy of the file or folder in /guest
#     net=PEER             is linked with the guest of that name, whenever that one is up
#     acks=FILE            what it writes to /dev/vport0p1 is appended to the file before the
#                          write returns
#     nodes=2              has two NUMA nodes with a processor each
#     memory=SIZE          has that much of it and not 1G; 1 GiB of 4G is above the 4 GiB of addresses
#     persistence=WORD     the machine says that of its NVDIMMs: mem-ctrl, the default, cpu, or none
#     append=WORDS         more of the kernel's command line
#     reset=yes            goes on after guest_reset; any other guest ends when it is reset
#     qemu=ARGUMENT        one more argument for QEMU
#     init=systemd         runs the function as a service of systemd, with what is installed
guest_parse() {
	name=$1 files=() nvdimms=() peer='' acks_file='' nodes=1 init='' arguments=$#
	memory=1G persistence=mem-ctrl append='' reset='' qemu=()
	shift
	while test "$1" != --; do
		case $1 in
		nvdimm=*) nvdimms+=("${1#*=}") ;;
		file=*) files+=("${1#*=}") ;;
		net=*) peer=${1#*=} ;;
		acks=*) acks_file=${1#*=} ;;
		nodes=*) nodes=${1#*=} ;;
		init=*) init=${1#*=} ;;
		memory=*) memory=${1#*=} ;;
		persistence=*) persistence=${1#*=} ;;
		append=*) append=${1#*=} ;;
		reset=yes) reset=yes ;;
		qemu=*) qemu+=("${1#*=}") ;;
		*) fail "guest $name: $1: no such option" ;;
		esac
		shift
	done
	arguments=$((arguments - $#))
}

# guest_start NAME [OPTION...] -- FUNCTION [ARGUMENT...]
guest_start() {
	local name files nvdimms peer acks_file nodes init arguments options
	local memory persistence append reset qemu
	guest_parse "$@"
	shift $((arguments + 1))
	guest_script "$@" > "$tmp/script"
	guest_initramfs "$tmp/script" "${files[@]}" > "$tmp/$name.initramfs"
	: > "$tmp/$name.log"
	: > "$tmp/$name.said"
	guest_options "file,id=console,path=$tmp/$name.log"
	setpriv --pdeathsig KILL qemu-system-x86_64 "${options[@]}" > "$tmp/$name.qemu" 2>&1 &
	guest_pids[$name]=$!
	cleanup_fn guest_end "$name"
}

# guest_terminal NAME [OPTION...]: a guest with a prompt, in this terminal, until it is left.
guest_terminal() {
	local name files nvdimms peer acks_file nodes init arguments options
	local memory persistence append reset qemu
	guest_parse "$@" --
	guest_initramfs "${files[@]}" > "$tmp/$name.initramfs"
	guest_options stdio,id=console,signal=off
	setpriv --pdeathsig KILL qemu-system-x86_64 "${options[@]}"
}

# What the guest runs: all functions there are, the guest's own last, and the call.
guest_script() {
	printf 'set -eu -o pipefail\ntest_name=%q\n' "$test_name"
	declare -f
	printf '. /guest-functions.sh\n%s\n' "$(printf '%q ' "$@")"
}

# The common initramfs, that of $init and the files of this guest: the kernel unpacks one after the
# other.
guest_initramfs() {
	local file folder=$tmp/initramfs
	rm -rf "$folder"
	mkdir -p "$folder/guest"
	for file; do
		cp -r "$file" "$folder/guest/"
	done
	cat "$guest_folder/initramfs" ${init:+"$guest_folder/$init"}
	(cd "$folder" && find guest | cpio --quiet -o -H newc)
}

# guest_options CONSOLE: sets $options from the variables of guest_parse.
# shellcheck disable=SC2054
guest_options() {
	local i file node slots=${#nvdimms[@]} machine=''
	test "$persistence" = none || machine=,nvdimm-persistence=$persistence
	rm -f "$tmp/$name.monitor".{in,out}
	mkfifo "$tmp/$name.monitor".{in,out}
	options=(
		-nodefaults -no-user-config -display none
		-accel tcg,thread=multi -cpu max -smp 2
		-machine "pc,nvdimm=on$machine" -m "$memory,slots=$((slots + 1)),maxmem=32G"
		-kernel "$guest_folder/kernel" -initrd "$tmp/$name.initramfs"
		-append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off no_timer_check $append"
		-chardev "$1" -serial chardev:console
		-chardev "file,id=said,path=$tmp/$name.said" -serial chardev:said
		-chardev "pipe,id=monitor,path=$tmp/$name.monitor" -mon chardev=monitor
		"${qemu[@]}"
	)
	test -n "$reset" || options+=(-no-reboot)
	if test "$nodes" -eq 2; then
		for i in 0 1; do
			options+=(-object "memory-backend-ram,id=node$i,size=512M"
				-numa "node,nodeid=$i,cpus=$i,memdev=node$i")
		done
	fi
	for ((i = 0; i < slots; i++)); do
		IFS=, read -r file node <<< "${nvdimms[i]}"
		options+=(-object "memory-backend-file,id=nv$i,share=on,mem-path=$file,size=$(stat -c %s "$file"),align=2M"
			-device "nvdimm,id=nvdimm$i,memdev=nv$i${node:+,node=$node}")
	done
	# Before the network: the first virtio device gives /dev/vport0p1 its name.  Without ioeventfd and
	# event_idx the processor that writes has it in the file before it goes on; else QEMU's main thread
	# takes it later, and a guest that is killed meanwhile has acknowledged what the file does not have.
	if test -n "$acks_file"; then
		options+=(-device virtio-serial-pci,ioeventfd=off,event_idx=off
			-chardev "file,id=acks,path=$acks_file,append=on" -device virtserialport,chardev=acks)
	fi
	if test -n "$peer"; then
		rm -f "$tmp/net-$name"
		options+=(-netdev "dgram,id=net0,local.type=unix,local.path=$tmp/net-$name,remote.type=unix,remote.path=$tmp/net-$peer"
			-device "virtio-net-pci,netdev=net0,mac=52:54:00:00:00:$(printf %s "$name" | md5sum | cut -c 1-2),romfile=")
	fi
}

# guest_end NAME: end it, if it has not ended by itself.
guest_end() {
	local pid=${guest_pids[$1]:-}
	test -n "$pid" || return 0
	unset "guest_pids[$1]"
	kill -KILL "$pid" 2> /dev/null || true
	wait "$pid" 2> /dev/null || true
}

guest_kill() {
	kill -0 "${guest_pids[$1]}" 2> /dev/null || guest_fail "$1" "ended before it was to be killed"
	guest_end "$1"
}

# guest_fail NAME WHAT: fail, and show what it printed.
guest_fail() {
	{
		echo "==== the end of what guest $1 printed:"
		tail -n 60 "$tmp/$1.log" "$tmp/$1.qemu"
		echo "==== and said:"
		cat "$tmp/$1.said"
	} >&2
	fail "guest $1: $2"
}

# guest_said NAME WORDS
guest_said() {
	local deadline=$((SECONDS + guest_seconds)) ended=
	until tr -d '\r' < "$tmp/$1.said" | grep -xF -- "$2" > /dev/null; do
		# After its end it is looked at once more: it may have said it since.
		test -z "$ended" || guest_fail "$1" "ended without saying: $2"
		kill -0 "${guest_pids[$1]}" 2> /dev/null || ended=yes
		test $SECONDS -lt $deadline || guest_fail "$1" "does not say: $2"
		sleep 0.1
	done
}

guest_wait() {
	local deadline=$((SECONDS + guest_seconds)) status
	while kill -0 "${guest_pids[$1]}" 2> /dev/null; do
		test $SECONDS -lt $deadline || guest_fail "$1" "does not end"
		sleep 0.1
	done
	guest_end "$1"
	status=$(tr -d '\r' < "$tmp/$1.said" | sed -n 's/^exit //p')
	case $status in
	0) ;;
	77) skip "guest $1: $(tail -n 1 "$tmp/$1.log")" ;;
	'') guest_fail "$1" "ended without a result" ;;
	*) guest_fail "$1" "failed, status $status" ;;
	esac
}

guest_run() {
	guest_start "$@"
	guest_wait "$1"
}

guest_reset() {
	echo system_reset > "$tmp/$1.monitor.in"
}

guest_link() {
	echo "set_link net0 $2" > "$tmp/$1.monitor.in"
}
