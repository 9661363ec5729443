#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# kmemblk run becomes the program: process id, arguments, environment, exit status and signals are
# the program's; what prevents it is told with what to type.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 256M
expect_error 7 said "${run[@]}" -- sh -c 'echo said; exit 7'
expect_error 143 said "${run[@]}" -- sh -c 'echo said; kill -TERM $$'
expect_error 127 'run: /nonexistent: No such file' "${run[@]}" -- /nonexistent
expect_error 126 'run: /: Permission denied' "${run[@]}" -- /
expect_error 8 'no lending server; start one: nbdkit kmemblk DEVICE lend=/nonexistent' \
	"$kmemblk" run --lend=/nonexistent -- true
expect_error 8 'smaller than a zone' "${run[@]}" --limit=1M -- true
expect_error 16 'PROGRAM is missing' "${run[@]}" --
expect_error 16 'lend=SOCKET is missing' "$kmemblk" run true

"${run[@]}" -- sh -c 'echo "$$ $*"' name --help 'two words' > "$tmp/out" &
pid=$!
wait "$pid"
test "$(cat "$tmp/out")" = "$pid --help two words" || fail "$(cat "$tmp/out") instead of $pid..."

# An LD_PRELOAD that is there stays, after ours.
# shellcheck disable=SC2016  # the inner shell expands it
LD_PRELOAD=/nonexistent-library.so "${run[@]}" -- sh -c 'echo "$LD_PRELOAD"' > "$tmp/out" 2> "$tmp/err"
grep -qx '/.*/libkmemblk-preload\.so:/nonexistent-library\.so' "$tmp/out" ||
	fail "LD_PRELOAD is $(cat "$tmp/out")"

# What the preloaded library is told, whatever the caller's environment has.
export KMEMBLK_RUN_VERBOSE=2 KMEMBLK_RUN_STRICT=2 KMEMBLK_RUN_LIMIT=2
"${run[@]}" -- env > "$tmp/out" 2> "$tmp/err"
! grep -E '^KMEMBLK_RUN_(VERBOSE|STRICT|LIMIT)=' "$tmp/out" || fail "not asked for: $(cat "$tmp/out")"
"${run[@]}" --verbose --strict --limit=4M -- env > "$tmp/out" 2> "$tmp/err"
for setting in VERBOSE=1 STRICT=1 LIMIT=4194304; do
	grep -qx "KMEMBLK_RUN_$setting" "$tmp/out" || fail "no $setting: $(cat "$tmp/out")"
done
unset KMEMBLK_RUN_VERBOSE KMEMBLK_RUN_STRICT KMEMBLK_RUN_LIMIT

# A core dump has mapped files in it, beside what was asked for.
(
	echo 0x11 > /proc/self/coredump_filter
	"${run[@]}" -- cat /proc/self/coredump_filter
) > "$tmp/out"
test "$((16#$(cat "$tmp/out")))" -eq $((0x11 | 1 << 2 | 1 << 3 | 1 << 7 | 1 << 8)) ||
	fail "the filter of core dumps is $(cat "$tmp/out")"

# What the program starts is ordinary.
PYTHONMALLOC=malloc "${run[@]}" --strict -- python3 -c '
import subprocess
a = bytearray(1 << 20)
assert "'"$device"'" in open("/proc/self/maps").read()
maps = subprocess.run(["cat", "/proc/self/maps"], capture_output=True, text=True).stdout
assert "[stack]" in maps and "'"$device"'" not in maps' || fail "a child has zones"
