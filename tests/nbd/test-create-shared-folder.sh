#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# create= in a folder that others may write serves nothing that another user may have put there:
# no file, no symlink, no folder on the way, and no file that others may write.  In a folder where
# only its owner writes it serves what is his.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_root
requires setpriv --version
other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod 755 "$tmp"
shared=$tmp/shared
mkdir "$shared"

# refused PATH WORDS
refused() {
	local before
	before=$(stat -c '%i %u %a %s %y' "$1")
	expect_error 1 "open: $1: .*$2" nbdkit -f -U - "$plugin" "$1" create=16M
	test "$(stat -c '%i %u %a %s %y' "$1")" = "$before" || fail "$1 was changed"
}

served() {
	start_nbdkit "$1" create=16M
	stop_nbdkit
}

# own PATH: a device of the other user's, as he would make one for us to serve.
own() {
	rm -f "$1"
	"$kmemblk" format --create=16M "$1" > "$tmp/format.log"
	chown 65534:65534 "$1"
}

for mode in 1777 0777 2775 1770; do
	chmod "$mode" "$shared"
	own "$shared/d"
	refused "$shared/d" 'the file d belongs to user 65534, .*: to serve what is there all the same, leave out create='
	# Without create= it is meant to be whoever's it is.
	start_nbdkit "$shared/d"
	stop_nbdkit

	# Ours, or root's, is served; not if others may write it.
	chown 0:0 "$shared/d"
	served "$shared/d"
	chmod 620 "$shared/d"
	refused "$shared/d" "others may write this file .*type: chmod go-w $shared/d"
	chmod go-w "$shared/d"
	served "$shared/d"
	rm "$shared/d"

	# The one that create= makes is.
	served "$shared/d"
	rm "$shared/d"
done

# Symlinks: his, to a file of ours; ours, to one of his in his own folder.
chmod 1777 "$shared"
mkdir "$tmp/ours" "$tmp/his"
served "$tmp/ours/d"
"${other[@]}" ln -s "$tmp/ours/d" "$shared/link"
refused "$shared/link" 'the symlink link belongs to user 65534'
rm "$shared/link"
ln -s "$tmp/ours/d" "$shared/link"
served "$shared/link"
rm "$shared/link"
ln -s ../his/d "$shared/link"
own "$tmp/his/d"
chown 65534 "$tmp/his"
served "$shared/link"
own "$shared/d"
ln -s ../shared/./d "$tmp/ours/link"
refused "$tmp/ours/link" 'the file d belongs to user 65534'
ln -s link2 "$tmp/ours/link2"
expect_error 1 "open: $tmp/ours/link2: Too many levels" \
	nbdkit -f -U - "$plugin" "$tmp/ours/link2" create=16M

# A service's file in the service's folder, which the service's group may write as well.
served "$tmp/his/d"
chmod 770 "$tmp/his"
served "$tmp/his/d"

# His folder in the place of ours.
"${other[@]}" mkdir "$shared/folder"
own "$shared/folder/d"
refused "$shared/folder/d" 'the folder folder belongs to user 65534'

# Nothing is made where another leads, either.
mkdir -m 700 "$tmp/private"
"${other[@]}" ln -s "$tmp/private" "$shared/way"
for name in way folder; do
	expect_error 1 "open: $shared/$name: the .* $name belongs to user 65534" \
		nbdkit -f -U - "$plugin" "$shared/$name/new" create=16M
	test ! -e "$shared/$name/new" || fail "made where another user leads: $name"
done
"$kmemblk" format --create=16M "$shared/way/new" > "$tmp/format.log"

# A symlink to nothing: its cause is told.
ln -s nowhere "$tmp/ours/dangling"
expect_error 1 "create: $tmp/ours/dangling: is a symlink that leads to nothing" \
	nbdkit -f -U - "$plugin" "$tmp/ours/dangling" create=16M

# By a relative path, and from within.
own "$shared/d"
cd "$shared"
expect_error 1 'the file d belongs to user 65534' nbdkit -f -U - "$plugin" d create=16M
