#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# info without --json shows the same at a glance: size, bar, persistence in words.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --size=8M --spare=64 --label=hello --prealloc
status 0 "$kmemblk" info "$device"
silent err
says out "^$device: a disk of 8.0 MiB$"
says out '^  label +hello$'
says out '^  media +tmpfs'
says out '^  persistence +process: what is written survives the server, not a restart of the host$'
says out '^  served by +nobody$'
says out '^  \[#+-+s\]  # used  - free  s spare$'
says out '^  used +8.0 MiB +2048 pages +50 %$'
says out '^  free +8.0 MiB +2038 pages +50 %$'
says out '^  tables +24 KiB +6 pages +0 %$'
says out '^  spare +256 KiB +64 pages +2 %$'
says out '^  device +16.0 MiB +4096 pages$'

"$kmemblk" delete "$device" kmem0 > /dev/null
status 0 "$kmemblk" info "$device"
says out "^$device: no volume; to make one, type: kmemblk create $device NAME --size=SIZE$"
