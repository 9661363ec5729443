#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Without options, format makes a sparse disk of all of the file, and says what to type next.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
truncate -s 64M "$device"
status 0 "$kmemblk" format "$device"
silent err
says out "^$device: a disk of [0-9.]+ MiB \([0-9]+ blocks\), sparse, on tmpfs$"
says out "nbdkit .*kmemblk.* $device$"

status 0 "$kmemblk" info --json "$device"
json_is 'j["type"]' blk
json_is 'j["label"]' ''
json_is 'j["format_version"]' 2
json_is 'j["check"]' crc24
json_is 'j["device_pages"]' 16384
json_is 'j["pages_spare"]' 256
json_is 'j["pages_used"]' 0
# Superblock, directory, and their copies; of the data pages, a record, 32 leaves and a table of them.
json_is 'j["data_pages"] + 4' 16384
json_is 'j["pages_tables"]' 1
json_is 'j["blocks"] + j["pages_spare"] + 1 + 32 + 1' "$(json 'j["data_pages"]')"
status 0 "$kmemblk" check "$device"
