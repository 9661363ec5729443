#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The checks that read the source: clang-format (layout), cppcheck (faults in C), shellcheck
# (faults in shell), the house rules on the SPDX line and the size and the names of files, and
# check-paths.sh, check-includes.sh and check-words.sh.  Run from anywhere in the source tree; looks at the files that
# git knows or would take, or, in an unpacked tarball, at all of them.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

files() {
	if git rev-parse --git-dir > /dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
			test ! -e "$file" || echo "$file"
		done
	else
		local pattern
		for pattern; do
			find . -name "$pattern" -type f | sed 's#^\./##'
		done
	fi
}

for program in clang-format cppcheck shellcheck; do
	if ! command -v $program > /dev/null; then
		echo "$0: $program not found: apt-get install $program" >&2
		exit 77
	fi
done

failed=
fail() {
	echo "check-style: $*" >&2
	failed=yes
}

mapfile -t c_files < <(files '*.c' '*.h' | grep -v '^config\.h$')
mapfile -t shell_files < <(files '*.sh' 'run' '*/shell' | grep -v '^build-aux/')

# Each version has a layout of its own: one decides.
layout_version=14
clang_format=$(command -v clang-format-$layout_version || echo clang-format)

if test ${#c_files[@]} -gt 0; then
	if "$clang_format" --version | grep -q "version $layout_version\."; then
		"$clang_format" --dry-run --Werror "${c_files[@]}" || fail "type: $clang_format -i FILE"
	else
		echo "check-style: layout is not checked: $("$clang_format" --version)," \
			"and it is version $layout_version that decides"
	fi

	for file in "${c_files[@]}"; do
		test "$(head -1 "$file")" = '/* SPDX-License-Identifier: BSD-3-Clause */' ||
			fail "$file: the first line must be the SPDX line"
		test "$(wc -l < "$file")" -le 600 || fail "$file: over 600 lines: split it"
	done

	# Its search for uninitialized variables takes out-parameters and sigsetjmp for faults; compilers,
	# sanitizers and valgrind do that better.  Newer versions also look for memory that tests do not
	# expect to run out.
	cppcheck --quiet --std=c11 --language=c --error-exitcode=1 --inline-suppr \
		--enable=warning,portability --suppress=missingIncludeSystem \
		--suppress=uninitvar --suppress=legacyUninitvar \
		--suppress=ctuuninitvar --suppress=uninitStructMember \
		--suppress=nullPointerOutOfMemory --suppress=nullPointerOutOfResources \
		--suppress=normalCheckLevelMaxBranches \
		-I include -I lib "${c_files[@]}" || fail "cppcheck has findings"
fi

if test ${#shell_files[@]} -gt 0; then
	shellcheck "${shell_files[@]}" || fail "shellcheck has findings"
	for file in "${shell_files[@]}"; do
		head -3 "$file" | grep -q '^# SPDX-License-Identifier: BSD-3-Clause$' ||
			fail "$file: the SPDX line is missing"
		test -x "$file" || test "$(head -c2 "$file")" != '#!' || fail "$file: not executable"
	done
fi

scripts/check-paths.sh || fail "docs/paths.txt"
scripts/check-includes.sh || fail "who includes whom"
scripts/check-words.sh || fail "words"

# A name stands for one thing.
twice=$(printf '%s\n' "${c_files[@]}" | grep -E '^(lib|plugin|preload|tools)/.*\.c$' | sed 's|.*/||' | sort | uniq -d)
test -z "$twice" || fail "two files of one name: $twice"

# A test waits for conditions, however long the machine takes: only tests/test-rules.mk sets a limit.
mapfile -t test_files < <(printf '%s\n' "${c_files[@]}" "${shell_files[@]}" | grep '^tests/')
if grep -nE '(^|[^-_.a-z])timeout [0-9]|\<alarm\(' "${test_files[@]}"; then
	fail "a time limit in a test: wait for the condition"
fi

test -z "$failed"
