#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --spare sets the pages that only overwrites may take, down to one.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --spare=1
status 0 "$kmemblk" info --json "$device"
json_is 'j["pages_spare"]' 1
# Besides, the record, eight leaves and a table that names them.
json_is 'j["data_pages"] - j["blocks"]' $((1 + 1 + 8 + 1))
format --force --spare=100
status 0 "$kmemblk" info --json "$device"
json_is 'j["pages_spare"]' 100
