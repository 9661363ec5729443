#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs every test there is, from nothing: installs the Debian packages that are missing, builds in
# a temporary copy of the tree (yours is not touched), and goes through
#
#     gcc       build without warnings, make check, make check-root
#     clang     build without warnings
#     asan      AddressSanitizer and UBSan: build, make check
#     tsan      ThreadSanitizer: build, tests of the library
#     style     make check-style
#     dist      make distcheck, and every file of git is in the tarball
#     vm        make check-vm: virtual machines with NVDIMMs
#
# As root, all but check-root runs as an unprivileged user, since that is what it must work for.
# Without root, check-root is left out, and packages that are missing are named, not installed.
#
# Each test counts as one, and so does each build and each check that is no test.  Logs of what
# failed are printed, and kept.  The last line is: N passed, N failed, N skipped
#
# usage: [sudo] tests/run.sh [STEP...]     the steps above; none means all

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

steps=("$@")
test $# -gt 0 || steps=(gcc clang asan tsan style dist vm)
for step in "${steps[@]}"; do
	case $step in
	gcc | clang | asan | tsan | style | dist | vm) ;;
	*)
		echo "usage: [sudo] $0 [gcc] [clang] [asan] [tsan] [style] [dist] [vm]" >&2
		exit 2
		;;
	esac
done

# In the language that the tests compare with, and with nothing of the caller's make in it.
export LC_ALL=C
unset MAKEFLAGS MAKELEVEL MFLAGS

scripts/install-deps.sh --tests || exit 1

is_root=
test "$(id -u)" -ne 0 || is_root=yes

# Who runs what needs no root: the user behind sudo, or nobody.
user=${SUDO_UID:-0}
group=${SUDO_GID:-0}
if test "$user" -eq 0; then
	user=65534
	group=65534
fi
as_user() {
	if test -n "$is_root"; then
		HOME=$work setpriv --reuid="$user" --regid="$group" --clear-groups "$@"
	else
		"$@"
	fi
}

work=$(mktemp -d "${TMPDIR:-/tmp}/kmemblk-tests.XXXXXX") || exit 1
chmod 755 "$work"
keep_work=
cleanup() {
	test -n "$keep_work" || { chmod -R u+w "$work" && rm -rf "$work"; }
}
trap cleanup EXIT
child=
# stop STATUS: end what is running, with its children, and then this.
stop() {
	trap '' INT TERM HUP
	if test -n "$child" && kill -TERM -- "-$child" 2> /dev/null; then
		for ((i = 0; i < 100; i++)); do
			kill -0 -- "-$child" 2> /dev/null || break
			sleep 0.1
		done
	fi
	exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM HUP

# ---- the copy: what git tracks and what is about to be added; without git, everything ----

mkdir "$work/source"
git_here() {
	# The tree may belong to somebody else than root; reading it is all that happens.
	git -c safe.directory='*' "$@"
}
if git_here rev-parse --git-dir > /dev/null 2>&1; then
	git_here ls-files -z --cached --others --exclude-standard |
		tar -c --null --ignore-failed-read -T - 2> /dev/null | tar -x -C "$work/source"
	# An index of its own, for the checks that ask which files are tracked.
	git -C "$work/source" init -q
	git_here ls-files -z --cached |
		git -C "$work/source" update-index --add --remove -z --stdin
else
	tar -c --exclude=.git . | tar -x -C "$work/source"
fi
test -z "$is_root" || chown -R "$user:$group" "$work"
# Everything includes what a build in the tree has left, which no other build folder may find there.
test ! -e "$work/source/config.status" ||
	as_user make -C "$work/source" distclean > /dev/null || exit 1

# Not where the unprivileged user may not be, such as a clone in /root.
cd "$work" || exit 1

# ---- running and counting ----

passed=0
failed=0
skipped=0
failures=()
skips=()
jobs=$(nproc)
began=$SECONDS

# run NAME COMMAND...: run it, its output to a log; say how long it took.
run() {
	local name=$1 log=$work/${1// /-}.log from=$SECONDS status=0
	shift
	printf '%-28s' "$name"
	# In a process group of its own, for stop().  Bash answers a signal while it waits, but not while
	# a command has the foreground.
	set -m
	"$@" > "$log" 2>&1 < /dev/null &
	child=$!
	set +m
	wait $child || status=$?
	child=
	if test $status -eq 0; then
		printf 'ok      %4d s\n' $((SECONDS - from))
	else
		printf 'FAILED  %4d s\n' $((SECONDS - from))
	fi
	return $status
}

# check NAME COMMAND...: as run, and counts as one result.
check() {
	local name=$1 log=$work/${1// /-}.log
	if run "$@"; then
		passed=$((passed + 1))
		return 0
	fi
	failed=$((failed + 1))
	failures+=("$log")
	return 1
}

# tests NAME BUILD-FOLDER COMMAND...: as run; what counts is the results of the tests in the folder,
# or, when it fails without a failed test (a test that does not compile), the command itself.
tests() {
	local name=$1 log=$work/${1// /-}.log folder=$2 result trs bad=0 status=0
	shift 2
	find "$folder" -name '*.trs' -delete
	run "$name" "$@" || status=1
	while IFS= read -r trs; do
		result=$(sed -n 's/^:global-test-result: //p' "$trs")
		case $result in
		PASS | XFAIL) passed=$((passed + 1)) ;;
		SKIP)
			skipped=$((skipped + 1))
			skips+=("$name: $(basename "$trs" .trs): $(tail -n 2 "${trs%.trs}.log" | head -n 1)")
			;;
		*)
			failed=$((failed + 1))
			bad=$((bad + 1))
			failures+=("${trs%.trs}.log")
			;;
		esac
	done < <(find "$folder" -name '*.trs' | sort)
	if test $status -ne 0 && test $bad -eq 0; then
		failed=$((failed + 1))
		failures+=("$log")
	fi
	return $status
}

# build NAME [CONFIGURE-ARGUMENT...]: configure and make in a folder of that name, tests too.
build() {
	local name=$1
	shift
	as_user mkdir -p "$work/$name"
	# shellcheck disable=SC2016
	check "$name: build" as_user sh -ec '
		cd "$1"; jobs=$2; shift 2
		../source/configure --enable-werror "$@"
		make -j"$jobs"
		make -j"$jobs" check TESTS=
	' sh "$work/$name" "$jobs" "$@"
}

# Without randomized addresses, where that can be had: ThreadSanitizer wants fixed ones.
fixed_addresses=()
setarch -R true 2> /dev/null && fixed_addresses=(setarch -R)

step_gcc() {
	build gcc CC=gcc || return
	tests "gcc: make check" "$work/gcc" as_user make -C "$work/gcc" -k -j"$jobs" check
	if test -n "$is_root"; then
		tests "gcc: make check-root" "$work/gcc" make -C "$work/gcc" -k check-root
	else
		skipped=$((skipped + 1))
		skips+=("gcc: make check-root: needs root: sudo $0")
	fi
}

step_clang() {
	build clang CC=clang
}

# Without the tests of the plugin: AddressSanitizer breaks a lock of the C library in nbdkit, whatever
# the plugin, and then nbdkit hangs now and then when it ends.
step_asan() {
	build asan --enable-asan || return
	tests "asan: make check" "$work/asan" \
		as_user make -C "$work/asan/tests" -k -j"$jobs" check SUBDIRS="unit model golden tools"
	tests "asan: faults" "$work/asan/tests/faults" \
		as_user make -C "$work/asan/tests/faults" -k -j"$jobs" check-library
}

# nbdkit is not made for ThreadSanitizer: the library alone.
step_tsan() {
	build tsan --enable-tsan || return
	tests "tsan: make check" "$work/tsan" \
		as_user "${fixed_addresses[@]}" \
		make -C "$work/tsan/tests" -k -j"$jobs" check SUBDIRS="unit model"
	tests "tsan: faults" "$work/tsan/tests/faults" \
		as_user "${fixed_addresses[@]}" \
		make -C "$work/tsan/tests/faults" -k -j"$jobs" check-library
}

step_style() {
	check "style: check-style" as_user "$work/source/scripts/check-style.sh"
}

step_dist() {
	as_user mkdir -p "$work/dist"
	# The tests have run; from the tarball they are only built.
	# shellcheck disable=SC2016
	check "dist: distcheck" as_user sh -ec '
		cd "$1"
		../source/configure
		make -j"$2" distcheck TESTS=
	' sh "$work/dist" "$jobs"
	check "dist: check-dist" as_user make -C "$work/dist" check-dist
}

# In the build of the step gcc, where that has run.
step_vm() {
	local folder=$work/gcc
	if ! test -e "$folder/kmemblk.so"; then
		folder=$work/vm
		build vm CC=gcc || return
	fi
	tests "vm: make check-vm" "$folder/tests/vm" \
		as_user make -C "$folder" -k -j"$jobs" check-vm
}

if run "autoreconf" as_user autoreconf -fi "$work/source"; then
	for step in "${steps[@]}"; do
		"step_$step"
	done
else
	failed=$((failed + 1))
	failures+=("$work/autoreconf.log")
fi

# ---- the account ----

if test ${#failures[@]} -gt 0; then
	keep_work=yes
	for log in "${failures[@]}"; do
		printf '\n==== %s\n' "$log"
		tail -n 60 "$log"
	done
	printf '\nlogs and builds are kept in %s\n' "$work"
fi
if test ${#skips[@]} -gt 0; then
	printf '\nskipped:\n'
	printf '  %s\n' "${skips[@]}"
fi
printf '\n%d s in all\n' $((SECONDS - began))
echo "$passed passed, $failed failed, $skipped skipped"
test $failed -eq 0
