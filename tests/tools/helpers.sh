# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the tests of the command share, beyond tests/functions.sh:
#
#     format ...           formats $device, quietly
#     status N COMMAND     runs the command; it must exit with N; output in $tmp/out and $tmp/err
#     says FILE PATTERN    $tmp/FILE must have a line that matches; FILE is out or err
#     silent FILE          $tmp/FILE must be empty
#     json EXPRESSION      prints a Python expression over `j`, the JSON object in $tmp/out
#     poke OFFSET HEX      writes bytes into $device
#     entry BLOCK PAGE     makes the map of $device name PAGE for BLOCK
#     page_of BLOCK        prints the page that it names
#     last_page            prints the offset of the copy of the superblock
#     super FIELD VALUE    changes the superblock of $device, both copies, with right checksums

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires python3 -c 'import json, struct'

format() {
	"$kmemblk" format "$@" "$device" > "$tmp/format.out"
}

status() {
	local want=$1 got=0
	shift
	"$@" > "$tmp/out" 2> "$tmp/err" < /dev/null || got=$?
	test "$got" -eq "$want" ||
		fail "status $got instead of $want: $*: $(cat "$tmp/out" "$tmp/err")"
}

says() {
	grep -qE -- "$2" "$tmp/$1" || fail "std$1 has no line like '$2': $(cat "$tmp/$1")"
}

silent() {
	test ! -s "$tmp/$1" || fail "std$1 should be empty: $(cat "$tmp/$1")"
}

json() {
	python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$tmp/out" "$1"
}

# json_is EXPRESSION VALUE
json_is() {
	local got
	got=$(json "$1")
	test "$got" = "$2" || fail "$1 is '$got' instead of '$2': $(cat "$tmp/out")"
}

poke() {
	python3 -c 'import sys
with open(sys.argv[1], "r+b") as device:
    device.seek(int(sys.argv[2]))
    device.write(bytes.fromhex(sys.argv[3]))' "$device" "$1" "$2"
}

# entry BLOCK PAGE: one that names a page, and has check value 0; or BLOCK bits:VALUE
entry() {
	python3 -B "$abs_top_srcdir/tests/common/map.py" "$device" entry "$1" "$(python3 -c 'import sys
page = sys.argv[1]
entry = int(page.removeprefix("bits:"), 0)
if not page.startswith("bits:"):
    entry |= (bin(entry).count("1") & 1) << 63
print(entry)' "$2")"
}

page_of() {
	python3 -B "$abs_top_srcdir/tests/common/map.py" "$device" page "$1"
}

last_page() {
	echo $(($(stat -c %s "$device") - 4096))
}

super() {
	PYTHONPATH=$abs_top_srcdir/tests/common python3 -B "$abs_top_srcdir/tests/tools/super.py" "$device" "$@"
}
