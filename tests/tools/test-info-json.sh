#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# info --json has every key, with values that fit each other.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
before=$(date +%s)
format --create=16M --label=x
status 0 "$kmemblk" info --json "$device"
silent err
json_is 'sorted(j)' "$(python3 -c 'print(sorted("""
blocks check copies_on_write created data_pages device_pages entries_damaged format_version generation label
media numa_node page_size pages_free pages_lent pages_punched pages_returned pages_reclaimed
pages_reserved pages_resident pages_retired pages_spare pages_tables pages_used path persistence served_by size_bytes snapshots type uuid volumes""".split()))')"
json_is 'j["path"]' "$device"
json_is 'j["media"]' tmpfs
json_is 'j["persistence"]' process
json_is 'j["page_size"]' 4096
json_is 'j["size_bytes"] == j["blocks"] * 4096' True
json_is 'j["pages_used"] + j["pages_tables"] + j["pages_free"] == j["data_pages"]' True
json_is 'j["pages_resident"]' 0
json_is 'j["pages_reserved"], j["snapshots"]' '(0, 0)'
json_is 'j["pages_lent"]' 0
json_is 'j["copies_on_write"]' None
json_is 'j["entries_damaged"]' 0
json_is 'j["served_by"]' None
json_is "$before <= j['created'] <= $(date +%s)" True
json_is '__import__("re").fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", j["uuid"]) != None' True
json_is 'j["generation"] >= 1' True
