# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The README's command blocks, for tests that type them.  A line of a block that begins with "$ " is a
# command, up to the line that does not end with a backslash; the lines after it are what it prints.  In
# a block without "$ ", each line is a command.  A test reads tests/functions.sh (or
# tests/vm/guest.sh) first, then this, and has
#
#     readme_commands SECTION     prints the commands of that section, one a line
#     readme_run SECTION          types them, and compares what they print with what the README prints
#     in_scratch_root PATTERN     runs the rest of the test where it can change nothing outside

# readme_section SECTION: its blocks, without their indentation; other lines are empty.
readme_section() {
	awk -v title="## $1" '
		/^## / { found = $0 == title; next }
		found { print sub(/^    /, "") ? $0 : "" }
	' "$abs_top_srcdir/README.md"
}

readme_commands() {
	readme_section "$1" | awk '
		/^\$ / || continued { if (!continued) sub(/^\$ /, ""); continued = sub(/\\$/, "")
			printf "%s%s", $0, continued ? "" : "\n" }
	'
}

# readme_output SECTION N: what the README prints after the command number N.
readme_output() {
	readme_section "$1" | awk -v number="$2" '
		continued { continued = /\\$/; next }
		/^\$ / { n++; continued = /\\$/; next }
		n == number { lines = lines $0 "\n" }
		END { sub(/\n+$/, "\n", lines); if (lines != "\n") printf "%s", lines }
	'
}

# What differs from run to run becomes a word, and space one blank.
readme_words() {
	sed -E \
		-e 's/kmemblk-demo\.[A-Za-z0-9]{6}/kmemblk-demo.NAME/g' \
		-e 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/' \
		-e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC/TIME/' \
		-e 's/process [0-9]+/process PID/' \
		-e 's/^ *[0-9]+ +[0-9]+ perl(.*) [0-9.]+ [a-z]+ /PID USER perl\1 AGE /' \
		-e 's/\b(free|resident|lent|punched|returned)=[0-9]+/\1=N/g' \
		-e 's/^( +resident ).*/\1WORDS/' \
		-e 's/^( +used ) *[0-9]{3} KiB +[0-9]{3} pages +0 %$/\1LITTLE/' \
		-e 's/(clean \([0-9]+ entries, )[0-9]{3} /\1LITTLE /' \
		-e 's/\[#*-*s*\]/BAR/' \
		-e 's/([0-9])([KMG]\b|=)/\1 \2/g' \
		-e 's/[(),=]/ & /g' -e 's/[[:space:]]+/ /g'
}

# readme_compare EXPECTED GOT: the same words; numbers may differ by a tenth, or by one.
readme_compare() {
	readme_words < "$1" > "$1.words"
	readme_words < "$2" > "$2.words"
	paste -d '\n' "$1.words" "$2.words" | awk '
		function differ(a, b) {
			if (a == b)
				return 0
			if (a !~ /^[0-9.]+$/ || b !~ /^[0-9.]+$/)
				return 1
			return (a > b ? a - b : b - a) > 1 && (a > b ? a - b : b - a) > a / 10
		}
		NR % 2 { expected = $0; words = split($0, want, " "); next }
		{
			bad = split($0, got, " ") != words
			for (i = 1; i <= words && !bad; i++)
				bad = differ(want[i], got[i])
			if (bad) {
				printf "README: %s\nhere:   %s\n", expected, $0
				failed = 1
			}
		}
		END { exit failed }
	'
}

# readme_try SECTION N COMMAND: in this shell, whose variables are those of the commands before.
readme_try() {
	local status=0
	eval "$3" > "$tmp/readme.out" 2>&1 || status=$?
	readme_output "$1" "$2" > "$tmp/readme.expected"
	case $3 in
	# Ends with the status of what was killed.
	kill*) ;;
	*) test $status -eq 0 || fail "README, $1: status $status: $3: $(cat "$tmp/readme.out")" ;;
	esac
	test ! -s "$tmp/readme.expected" ||
		readme_compare "$tmp/readme.expected" "$tmp/readme.out" > "$tmp/readme.diff"
}

# Without process substitutions: they would change $!, which is the commands'.
readme_run() {
	local number=0 command commands i
	readme_commands "$1" > "$tmp/readme.commands"
	mapfile -t commands < "$tmp/readme.commands"
	for command in "${commands[@]}"; do
		number=$((number + 1))
		echo "\$ $command"
		# What becomes true a moment later does so at some time.
		for ((i = 0; ; i++)); do
			if readme_try "$1" $number "$command"; then
				break
			fi
			case $command in
			du* | *kmemblk\ stat*) test $i -ge 600 || { sleep 0.1 && continue; } ;;
			esac
			fail "README, $1: $command: prints something else: $(cat "$tmp/readme.diff")"
		done
		cat "$tmp/readme.out"
	done
	test $number -gt 0 || fail "README: no commands in the section $1"
}

# in_scratch_root PATTERN: run this test again as the first process of its own process and mount
# namespaces, in a root that is a layer over this machine's, with an empty /dev/shm; then end as that
# ended.  What it writes elsewhere is gone afterwards; a path that it writes and the pattern does not
# match (an extended regular expression) fails the test, and so do a process and a mount that it
# leaves.
in_scratch_root() {
	case ${scratch_stage:-} in
	'')
		requires_root
		requires unshare --version
		export scratch_stage=mount
		export scratch_folder=$tmp/scratch
		mkdir "$scratch_folder"
		# Its own files are this test's, to be removed at the end even of one that is killed.
		TMPDIR=$tmp unshare --mount --pid --fork --kill-child --mount-proc bash "$(realpath "$0")" &
		scratch=$!
		cleanup_fn scratch_end
		wait $scratch && exit 0 || exit $?
		;;
	mount)
		scratch_stage=root
		unset TMPDIR
		scratch_mount
		chroot "$scratch_folder/root" bash "$0" || exit $?
		scratch_check "$1"
		exit 0
		;;
	esac
}

# unshare(1) takes no other signal, and with it goes all that runs there.
scratch_end() {
	kill -KILL "$scratch" 2> /dev/null || return 0
	wait "$scratch" 2> /dev/null || true
}

scratch_mount() {
	local root=$scratch_folder/root folder
	mount -t tmpfs -o mode=755 tmpfs "$scratch_folder"
	mkdir "$scratch_folder"/{upper,work,root}
	mount -t overlay -o "lowerdir=/,upperdir=$scratch_folder/upper,workdir=$scratch_folder/work" \
		overlay "$root"
	for folder in /dev /proc /sys "$abs_top_srcdir" "$abs_top_builddir"; do
		# Not there if it is on a mount of its own, as /tmp of Debian 13 is.
		mkdir -p "$root$folder"
		mount --rbind "$folder" "$root$folder"
	done
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
}

# scratch_check PATTERN
scratch_check() {
	local folder left
	left=$(find "$scratch_folder/upper" ! -type d -printf '/%P\n' |
		grep -vE "^($1)\$" || true)
	test -z "$left" || fail "written outside of the commands' own folder: $left"
	left=$(ls -A "$scratch_folder/root/dev/shm")
	test -z "$left" || fail "left in /dev/shm: $left"
	for folder in /proc/[1-9]*; do
		# Not this shell, its substitutions, and what the kernel counts as dead.
		left=$(tr '\0' ' ' < "$folder/cmdline" 2> /dev/null || true)
		case $left in
		'' | "bash $0 ") ;;
		*) fail "left running: $left" ;;
		esac
	done
	left=$(grep "kmemblk-demo" /proc/mounts || true)
	test -z "$left" || fail "left mounted: $left"
}
