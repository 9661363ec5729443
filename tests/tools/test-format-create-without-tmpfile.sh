#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On a file system that cannot make a file without a name, --create says what to type instead.  /proc is
# such a one everywhere, but only root may ask it.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires_root
status 8 "$kmemblk" format --create=16M /proc/disk
says err '/proc/disk: its file system .*type: truncate --size=SIZE /proc/disk && kmemblk format /proc/disk$'
