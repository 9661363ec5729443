#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# configure names every missing library by its Debian package, all in one message.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# A copy: a tree that has been configured in place refuses to be configured from elsewhere.
mkdir "$tmp/source" "$tmp/empty"
cp -r "$abs_top_srcdir"/{build-aux,configure,include} "$tmp/source"
cd "$tmp/source"
if PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=$tmp/empty ./configure > out 2> err; then
	fail "configure succeeds without any library"
fi

for package in libpmem-dev liburcu-dev libblkid-dev libisal-dev libjson-c-dev libnuma-dev uuid-dev \
	nbdkit-plugin-dev libnbd-dev check; do
	grep -q "apt-get install .*$package" err || fail "$package is not in the message: $(cat err)"
done
