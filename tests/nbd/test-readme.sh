#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The README's sessions, typed as they are printed there, print what they print there, leave nothing
# behind and write nothing but their own files.  Needs root.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/readme.sh"

requires_attach
requires mkfs.ext4 -V
requires qemu-io --version
requires python3 --version
requires nbdcopy --version

# mount(8) keeps its notes there.
in_scratch_root '/run/.*'

cd "$abs_top_builddir"
# A person has no such environment.
unset MALLOC_PERTURB_
readme_run 'A session'
readme_run 'Several disks on a device'
readme_run 'Free pages are memory'
