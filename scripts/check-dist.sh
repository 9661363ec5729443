#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Fails if a file that git tracks is not in the unpacked tarball: then some EXTRA_DIST forgot it.
#
# usage: scripts/check-dist.sh SOURCE-DIR UNPACKED-TARBALL

set -euo pipefail

source_dir=$1
unpacked=$2

if ! git -C "$source_dir" rev-parse --git-dir > /dev/null 2>&1; then
	echo "$0: $source_dir is not a git tree: nothing to compare the tarball with" >&2
	exit 77
fi

lost=$(git -C "$source_dir" ls-files --full-name . | while IFS= read -r file; do
	test -e "$unpacked/$file" || echo "$file"
done)

if test -n "$lost"; then
	echo "$0: not in the tarball: add to EXTRA_DIST (or the sources) of the folder's Makefile.am:" >&2
	echo "$lost" >&2
	exit 1
fi
