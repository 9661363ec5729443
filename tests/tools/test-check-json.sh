#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# check --json is one object in each case, and its exit_code is the exit status.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d

# checked STATUS CLEAN CORRECTED CORRECTABLE LEFT KINDS [OPTION]
checked() {
	local keys="['clean', 'correctable', 'corrected', 'entries', 'exit_code', 'findings',"
	keys+=" 'left', 'pages_used', 'path', 'verified']"
	status "$1" "$kmemblk" check --json "${@:7}" "$device"
	silent err
	json_is 'sorted(j)' "$keys"
	json_is 'j["path"]' "$device"
	json_is 'j["exit_code"]' "$1"
	json_is 'j["clean"]' "$2"
	json_is 'j["corrected"]' "$3"
	json_is 'j["correctable"]' "$4"
	json_is 'j["left"]' "$5"
	json_is '" ".join(sorted(f["kind"] for f in j["findings"]))' "$6"
	json_is 'all(f["text"] and sorted(f) == ["kind", "text"] for f in j["findings"])' True
}

format --create=16M --prealloc
checked 0 True 0 0 0 ''
json_is 'j["entries"] == j["pages_used"] and j["entries"] > 3000' True
poke 100 5a
checked 4 False 0 1 0 correctable
checked 1 False 1 0 0 corrected --repair
checked 0 True 0 0 0 ''
entry 3 1
checked 4 False 0 0 1 'left note'
poke 100 5a
checked 4 False 0 1 1 'correctable left note'
checked 4 False 1 0 1 'corrected left note' --repair
