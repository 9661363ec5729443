#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A violation can be had again: the command that the report prints builds that one image, and finds
# the same; and a scenario leaves the same images each time.  Once for each kind of scenario.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# replay MUTANT [SCENARIO]: without one, in any
replay() {
	local command again
	./explore --mutant="$1" ${2:+--scenario="$2"} > "$tmp/first" &&
		fail "$1 is not caught in: ${2:-anything}"
	command=$(sed -n 's/^VIOLATION: //p' "$tmp/first" | head -n 1)
	[[ $command == "./explore "*--image=* ]] || fail "no command in: $(cat "$tmp/first")"
	eval "$command" > "$tmp/again" && fail "found nothing: $command"
	again=$(sed -n 2,4p "$tmp/again")
	[[ $again == "$(sed -n 2,4p "$tmp/first")" ]] ||
		fail "$command: another image: $(cat "$tmp/first" "$tmp/again")"
	grep -qx '1 violations' "$tmp/again" || fail "$command: more than one image"
}

replay no-drain:PM_WRITE_ENTRY 'requests tight-full write@0+4096 | write@0+4096'
replay no-flush:PM_PART_DATA 'requests roomy-full trim@0+4096 write@1000+2000 | write@4093+7'
replay no-drain:PM_WRITE_DATA 'requests worn write@8192+4096 trim@0+4096 | write@8192+4096'
replay no-drain:PM_WRITE_DATA 'requests no-room write@8192+4096 trim@0+4096 | write@8192+4096'
replay trust-found:PM_TRIM_ENTRY 'threads roomy-full trim@0+4096 trim@0+4096 | 0:1 1 0'
replay no-grace:PM_WRITE_ENTRY 'threads tight-full write@0+4096 write@4096+4096 | 0:4 1 0'
replay no-drain:PM_WRITE_DATA \
	'threads roomy-full write@0+4096 write@1000+2000 zero@0+4096 | 0:4 1:2 2 1 0'
replay late-drain:PM_FORMAT_DESTROY 'format tight-full sparse holes'
replay no-drain:PM_REPAIR_SUPER 'format tight-full sparse stores'
replay no-drain:PM_REPAIR_SUPER 'repair tight-full no-copy'
replay no-flush:PM_GROW_CLEAR 'grow tight-full 1 new'
replay left-out:PM_GROW_CLEAR 'grow kept 4 new'
replay no-drain:PM_TABLE_ENTRY 'threads two-empty write@8192+4096 write@8192+4096 | 0:11 1 0'
replay no-flush:PM_DIRECTORY_COPY 'volumes two | rename:a:d'
replay no-map-lock:PM_RECORD 'volume-threads bare rename:a:d write:a:0 | 0:5 1 0'

# Here most looks are light ones.
replay no-grace:PM_WRITE_ENTRY
replay trust-found:PM_TRIM_ENTRY
replay punch-taken 'threads roomy-full write@0+4096 punch@0+0 | 0:2 1 0'
replay lend-retired 'threads roomy-full write@0+4096 lend@0+4096 | 0:3 1 0'

# same SCENARIO [IMAGE]: the last image, or this one
same() {
	local image=${2:-} i
	[[ -n $image ]] || image=$(./explore --scenario="$1" | sed -n 's/^images explored: //p')
	for i in 1 2; do
		./explore --scenario="$1" --image="$image" --save="$tmp/image$i" > /dev/null
	done
	cmp "$tmp/image1" "$tmp/image2" || fail "another image $image: $1"
	[[ -s $tmp/image1 ]] || fail "image $image is empty: $1"
	rm "$tmp/image1" "$tmp/image2"
}

same 'requests tight-empty | write@0+12288 write@2048+8192 trim@0+4096 write@0+16384'
same 'requests roomy-full | write@0+16384 zero@100+8192 write@0+16384 write@1000+9000'
same 'requests little-room | write@0+4096 write@4096+4096 trim@0+4096 write@4096+4096'
same 'threads roomy-full write@0+8192 write@2048+4096 trim@0+16384 | 0:3 1:5 2 0 1'
same 'threads tight-full write@0+4096 write@0+4096 | 0:5 1 0'
# Here one waits for the page that another retires, and goes on.
same 'threads tight-full write@0+4096 write@0+4096 | 0:4 1 0'
same 'threads tight-full trim@0+16384 punch@0+0 | 0:2 1 0'
same 'requests worn write@8192+4096 trim@0+4096 write@8192+4096 | write@0+8192 write@8192+4096'
same 'format roomy-full thick stores' 1500
same 'format tight-full sparse holes' 2.10
same 'repair tight-full torn-copy' 20
same 'repair many directory-each-turned' 40
same 'grow shared 4 used' 100
same 'grow tight-full 1 new' 36.20
same 'threads three-empty write@0+4096 write@4096+4096 | 0:7 1 0'
same 'volumes deep write:a:1 resize:a:1 | resize:a:513' 40
same 'volume-threads two resize:b:1 write:a:0 | 0:9 1 0' 100
same 'volume-restart two 1 create:c:1 write:c:0' 500
