#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# docs/paths.txt names every call that changes an object by its path; one that is new is refused, and
# so is a place in the list for one that is gone, or without a guard.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires perl -e 1
check=$abs_top_srcdir/scripts/check-paths.sh
"$check" "$abs_top_srcdir" || fail "the list and the sources differ"

# changed FILE TEXT: a copy of the sources where FILE has that line more.
tree=$tmp/tree
changed() {
	rm -rf "$tree"
	mkdir "$tree" "$tree/docs"
	for folder in $(cd "$abs_top_srcdir" && echo lib/*/) plugin tools preload examples; do
		mkdir -p "$tree/$folder"
		cp "$abs_top_srcdir/$folder/"*.[ch] "$tree/$folder/"
	done
	cp "$abs_top_srcdir/docs/paths.txt" "$tree/docs/"
	chmod -R u+w "$tree"
	echo "$2" >> "$tree/$1"
}

changed tools/command-info.c '/* unlink(path); */ const char *s = "do not /* close"; // rename(a, b)'
"$check" "$tree" || fail "comments are taken for calls"

refuse() {
	changed "$1" "$2"
	expect_error 1 "$3" "$check" "$tree"
}
refuse tools/command-info.c 'int f(void) { return unlink ("x"); }' '^> tools/command-info.c unlink 1$'
refuse lib/media/claim.c 'int f(void) { return chmod("x", 0); }' '^> lib/media/claim.c chmod 1$'
refuse lib/base/listen.c 'int f(void) { return bind(0, 0, 0); }' '^> lib/base/listen.c bind 2$'
refuse plugin/node.c 'int f(void) { return open("x", O_WRONLY |
	O_CREAT, 0600); }' '^> plugin/node.c O_CREAT 1$'
refuse examples/hello.c 'FILE *f(void) { return fopen("x",
	"we"); }' '^> examples/hello.c fopen 1$'
refuse preload/heap.c 'long f(void) { return syscall(SYS_renameat2, 0); }' '^> preload/heap.c renameat2 1$'
refuse docs/paths.txt 'lib/gone.c unlink 1  only what is ours is removed' '^< lib/gone.c unlink 1$'
refuse docs/paths.txt 'lib/gone.c unlink 1' 'what guards it'

# One line of C each, and the call that it is.  Each is in a source of its own, so that all are read at once.
changed docs/paths.txt ''
number=0
while read -r call text; do
	number=$((number + 1))
	echo "$text" > "$tree/plugin/probe-$number.c"
	echo "^> plugin/probe-$number.c $call 1\$" >> "$tmp/expected"
done << 'END'
unlink long f(void) { return syscall(__NR_unlink, "x"); }
unlinkat long f(void) { return syscall( __NR_unlinkat, 0, "x", 0); }
fchmodat2 long f(void) { return syscall(SYS_fchmodat2, 0, "x", 0, 0); }
openat2 long f(void) { return syscall(SYS_openat2, 0, "x", &how, sizeof(how)); }
openat2 int f(void) { return openat2(0, "x", &how, sizeof(how)); }
syscall long f(void) { return syscall(87, "x"); }
syscall long f(long number) { return syscall(number, "x"); }
mkstemp64 int f(char *p) { return mkstemp64(p); }
mkstemps64 int f(char *p) { return mkstemps64(p, 1); }
mkostemp64 int f(char *p) { return mkostemp64(p, 0); }
mkostemps64 int f(char *p) { return mkostemps64(p, 1, 0); }
mkdtemp char *f(char *p) { return mkdtemp(p); }
open int f(char *p) { return open(p, 0101); }
open int f(char *p) { return open(p, O_WRONLY | 0100, 0600); }
open int f(char *p, int flags) { return open(p, flags); }
open int f(char *p, int n) { return open(g(p, O_RDONLY), O_RDONLY | (n ? n : g(n, O_RDONLY))); }
open64 int f(char *p, int flags) { return open64(p, flags); }
openat int f(char *p) { return openat(O_RDONLY, p, 0101); }
fopen FILE *f(char *p, char *mode) { return fopen(p, mode); }
fopen FILE *f(char *p, bool b) { return fopen(p, b ? "r" : "r"); }
fopen FILE *f(char *p) { return fopen64(p, "r+"); }
freopen FILE *f(char *p, char *mode) { return freopen(p, mode, stdin); }
system int f(void) { return system("rm x"); }
popen FILE *f(void) { return popen("rm x", "r"); }
execl int f(void) { return execl("rm", "rm", "x", NULL); }
execlp int f(void) { return execlp("rm", "rm", "x", NULL); }
execle int f(void) { return execle("rm", "rm", "x", NULL, e); }
execv int f(char **v) { return execv("rm", v); }
execve int f(char **v) { return execve("rm", v, v); }
execvp int f(char **v) { return execvp("rm", v); }
execvpe int f(char **v) { return execvpe("rm", v, v); }
execveat int f(char **v) { return execveat(0, "rm", v, v, 0); }
fexecve int f(char **v) { return fexecve(0, v, v); }
posix_spawn int f(char **v) { return posix_spawn(NULL, "rm", NULL, NULL, v, v); }
posix_spawnp int f(char **v) { return posix_spawnp(NULL, "rm", NULL, NULL, v, v); }
posix_spawn_file_actions_addopen int f(void) { return posix_spawn_file_actions_addopen(a, 1, "x", 0, 0); }
&unlink #define U unlink
&unlink int f(char *p) { return (unlink)(p); }
&rename int (*const f)(const char *, const char *) = rename;
&chmod int (*const f[])(const char *, mode_t) = { chmod };
&system int f(char *p) { return g(system, p); }
&open int f(char *p) { return (open)(p, 0101); }
&fopen FILE *(*const f)(const char *, const char *) = &fopen;
&syscall #define S syscall
END
"$check" "$tree" > "$tmp/found" 2>&1 && fail "calls that are not listed are not refused"
while read -r line; do
	grep -q -e "$line" "$tmp/found" || fail "not found: $line"
done < "$tmp/expected"

# What reads is no such call, nor is what is called so in a structure.
changed plugin/node.c '#include <linux/mount.h>
int f(char *p) { return open(p, (O_RDONLY | O_CLOEXEC)); } int g(char *p) { return openat(0, g(p, 1), O_PATH); }
FILE *h(char *p) { return fopen(g(p, 1), "re"); } long i(void) { return syscall(SYS_gettid); }
int j(struct s *s) { return s->link + s->t.mount; } const char *k = "system(x) unlink(x) unlink"; char l = 0x22 + '\''"'\'';'
"$check" "$tree" || fail "what changes nothing is refused"
changed tools/command-info.c 'FILE *f(void) { return fopen("x", "re"); } int g(void) { return open("x", O_RDWR); }'
"$check" "$tree" || fail "what only reads is refused"
