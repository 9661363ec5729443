#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# kmemblk stat tells who has borrowed how much, as a table and as JSON; a socket where nobody
# answers is an error that says what to type.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 256M
mkfifo "$tmp/fifo"
"${run[@]}" --strict -- "$heap" take 20 < "$tmp/fifo" > "$tmp/taken" &
pid=$!
cleanup_fn end_process "$pid"
exec 9> "$tmp/fifo"
eventually test -s "$tmp/taken"

"$kmemblk" stat "$lend" > "$tmp/out"
grep -qF "$lend: lends from $device" "$tmp/out" || fail "$(cat "$tmp/out")"
grep -qE "^ +$pid +$(id -u) heap +2[0-9]\.0 MiB " "$tmp/out" || fail "$(cat "$tmp/out")"
for word in used free lent resident quarantined reclaimed returned moved read write trim flush; do
	grep -qE "^ +$word " "$tmp/out" || fail "no $word in $(cat "$tmp/out")"
done
"$kmemblk" stat --json "$lend" > "$tmp/json"
sed -n '/^=head2 kmemblk stat$/,/^=head2 /p' "$abs_top_srcdir/man/kmemblk.pod" > "$tmp/section"
python3 - "$tmp/json" "$pid" "$tmp/section" << 'END' || fail "$(cat "$tmp/json")"
import json, sys

def keys(value):
    for part in value if isinstance(value, list) else value.values() if isinstance(value, dict) else []:
        yield from keys(part)
    yield from value if isinstance(value, dict) else []

j = json.load(open(sys.argv[1]))
b = [b for b in j["borrowers"] if b["pid"] == int(sys.argv[2])]
assert len(b) == 1 and b[0]["name"] == "heap" and b[0]["zones"] >= 10
assert j["zones"]["lent"] == b[0]["zones"]
assert j["pages"]["lent"] * 4096 == j["zones"]["lent"] * j["zones"]["size"]
assert set(j["requests"]) == {"read", "write", "trim", "zero", "extents", "flush"}
section = open(sys.argv[3]).read()
for key in keys(j):
    assert "C<" + key + ">" in section, key + " is not in the manual"
END
exec 9>&-
wait "$pid" || fail "heap take"
eventually none_lent

expect_error 8 'no lending server; start one: nbdkit kmemblk DEVICE lend=/nonexistent' \
	"$kmemblk" stat /nonexistent
expect_error 16 'SOCKET is missing' "$kmemblk" stat
