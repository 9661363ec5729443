#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# kmemblk run says of a program into which nothing can be loaded that its heap stays in ordinary memory,
# and does not run it with --strict: one that is linked statically, gets rights from its file, or is for
# another machine.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 256M lend-mode=0666
chmod 755 "$tmp"

# told SENTENCE [COMMAND...]: with and without --strict.
told() {
	local sentence=$1
	shift
	"${run[@]}" -- "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null || true
	grep -qxE "kmemblk: run: $sentence, so its heap stays in ordinary memory" "$tmp/err" ||
		fail "$*: $(cat "$tmp/err")"
	expect_error 8 "^kmemblk: run: $sentence, so its heap cannot be on lent memory: .*, or leave out --strict$" \
		"${run[@]}" --strict -- "$@"
}

# silent [COMMAND...]: nothing is said of it, and it runs.
silent() {
	"${run[@]}" --strict -- "$@" > "$tmp/out" 2> "$tmp/err" || fail "status $?: $*: $(cat "$tmp/err")"
	! grep kmemblk "$tmp/err" >&2 || fail "said of $*"
}

mkdir "$tmp/bin" "$tmp/first"
cat > "$tmp/program.c" << 'END'
#include <stdio.h>

int main(void)
{
	puts("ran");
	return 0;
}
END
compile() {
	"${CC:-cc}" "$@" "$tmp/program.c"
}
compile -o "$tmp/bin/dynamic"
silent "$tmp/bin/dynamic"
silent sh -c true
silent "$(readelf -l "$tmp/bin/dynamic" | sed -n 's/.*interpreter: \(.*\)]/\1/p')" "$tmp/bin/dynamic"
grep -qx ran "$tmp/out"

# ---- linked statically ----

requires compile -static -o "$tmp/bin/static"
told "$tmp/bin/static: is linked statically" "$tmp/bin/static"
grep -qx ran "$tmp/out" || fail "it did not run"
requires compile -static-pie -o "$tmp/bin/static-pie"
told "$tmp/bin/static-pie: is linked statically" "$tmp/bin/static-pie"

# Found as execvp() finds it: what cannot be executed is passed over.
cp "$tmp/bin/static" "$tmp/first/dynamic"
chmod 644 "$tmp/first/dynamic"
mkdir "$tmp/first/static"
before=$PATH
PATH=$tmp/first:/nonexistent:$tmp/bin:$PATH
told 'static: is linked statically' static
silent dynamic
cd "$tmp/bin"
PATH=:$before
told 'static: is linked statically' static
PATH=$before

# Scripts: what counts is the last interpreter.
printf '#! %s -x\n' "$tmp/bin/static" > "$tmp/bin/script"
printf '#!%s\n' "$tmp/bin/script" > "$tmp/bin/script2"
printf '#!/bin/sh\ntrue\n' > "$tmp/bin/good-script"
printf 'true\n' > "$tmp/bin/text"
chmod +x "$tmp/bin"/{script,script2,good-script,text}
told "$tmp/bin/script: its interpreter $tmp/bin/static is linked statically" "$tmp/bin/script"
told "$tmp/bin/script2: its interpreter $tmp/bin/static is linked statically" "$tmp/bin/script2"
silent "$tmp/bin/good-script"
silent "$tmp/bin/text"

# ---- for another machine ----

# The machine is a number at byte 18, the word size one at byte 4; the rest is left out, since the shell is
# given what the kernel refuses.
foreign() {
	head -c 64 "$tmp/bin/dynamic" > "$tmp/bin/foreign"
	printf %b "$2" | dd of="$tmp/bin/foreign" bs=1 seek="$1" conv=notrunc status=none
	chmod +x "$tmp/bin/foreign"
	told "$tmp/bin/foreign: is built for another machine or word size" "$tmp/bin/foreign"
}
foreign 18 '\0377\0376'
foreign 4 '\0003'

# ---- rights ----

if test "$(id -u)" -ne 0; then
	# One's own gives nothing.
	cp "$tmp/bin/dynamic" "$tmp/bin/own"
	chmod u+s "$tmp/bin/own"
	silent "$tmp/bin/own"
	for program in /usr/bin/su /bin/su /usr/bin/passwd /usr/bin/newgrp; do
		test ! -u "$program" || told "$program: is set-user-ID or set-group-ID" "$program" --help
	done
	exit 0
fi

# give NAME OWNER MODE: a copy of the program.
give() {
	cp "$tmp/bin/dynamic" "$tmp/bin/$1"
	chown "$2" "$tmp/bin/$1"
	chmod "$3" "$tmp/bin/$1"
}
give user 65534:0 4755
told "$tmp/bin/user: is set-user-ID or set-group-ID" "$tmp/bin/user"
give group 0:65534 2755
told "$tmp/bin/group: is set-user-ID or set-group-ID" "$tmp/bin/group"
# Root's, for root; a group's bit without the right to execute is something else.
give root 0:0 6755
silent "$tmp/bin/root"
give lock 0:65534 2745
silent "$tmp/bin/lock"

give capable 0:0 755
# cap_net_raw+ep, as the kernel keeps it.
requires python3 -c 'import os, sys
os.setxattr(sys.argv[1], "security.capability",
            bytes.fromhex("0100000200200000000000000000000000000000"))' "$tmp/bin/capable"
silent "$tmp/bin/capable"
requires setpriv --reuid=65534 --regid=65534 --clear-groups true
run=(setpriv --reuid=65534 --regid=65534 --clear-groups "${run[@]}")
told "$tmp/bin/capable: has file capabilities" "$tmp/bin/capable"
told "$tmp/bin/root: is set-user-ID or set-group-ID" "$tmp/bin/root"
