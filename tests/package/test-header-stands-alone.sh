#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# kmemblk.h compiles by itself, as C99, C11 and, where there is a compiler, as C++.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

cd "$tmp"
echo '#include <kmemblk.h>' > alone.c
cp alone.c alone.cc

for standard in c99 c11; do
	"${CC:-cc}" -std=$standard -pedantic -Wall -Wextra -Werror \
		-I"$abs_top_srcdir/include" -c alone.c || fail "not $standard"
done
if command -v c++ > /dev/null; then
	c++ -pedantic -Wall -Wextra -Werror -I"$abs_top_srcdir/include" -c alone.cc || fail "not C++"
fi
