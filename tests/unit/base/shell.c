/* SPDX-License-Identifier: BSD-3-Clause */
/* shell.c - a name as a word of a command: what a shell makes of it is the name again. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "base/printable.h"
#include "base/shell.h"

/* What sh says when it is asked to repeat the word: the same bytes, one word. */
static void expect_read_back(const char *name)
{
	char word[400], command[1000], seen[100] = "";
	FILE *shell;
	size_t n;

	ck_assert(shell_quote(word, sizeof(word), name));
	for (const char *c = word; *c != '\0'; c += printable_length(c))
		ck_assert_msg(printable_length(c) > 0, "not printable: %s", word);
	snprintf(command, sizeof(command), "set -- %s; printf '%%s.%%s' $# \"$1\"", word);
	shell = popen(command, "r");
	ck_assert_ptr_nonnull(shell);
	n = fread(seen, 1, sizeof(seen) - 1, shell);
	ck_assert_int_eq(pclose(shell), 0);
	seen[n] = '\0';
	ck_assert_msg(strncmp(seen, "1.", 2) == 0, "%s words: %s", seen, word);
	if (name[0] == '-')
		ck_assert_int_eq(strncmp(seen + 2, "./", 2), 0);
	ck_assert_str_eq(seen + (name[0] == '-' ? 4 : 2), name);
}

START_TEST(test_a_shell_reads_the_name)
{
	static const char *const names[] = {
		"plain.img",
		"my disk",
		"it's",
		"'",
		"a;b",
		"$HOME",
		"`id`",
		"$(id)",
		"a\\nb",
		"\\",
		"a\"b",
		"*",
		"~root",
		"#x",
		"a=b",
		"",
		"a&b|c<d>e",
		"a\tb",
		"my\033disk",
		"it's\033'\\",
		"%s\001",
		"a\nb",
		"\n\na",
		"-x",
		"-\033",
		"- ",
		"\377",
		"gr\xc3\xbc\xc3\x9f",
		"\xc2\x9b"
		"2J",
		"\x9b"
		"2J",
		"a b\033$(id)`id`\"",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_read_back(names[i]);
}
END_TEST

START_TEST(test_each_byte)
{
	char name[4] = "a?b";

	for (int byte = 1; byte < 256; byte++) {
		name[1] = (char)byte;
		expect_read_back(name);
	}
}
END_TEST

START_TEST(test_what_needs_nothing_is_unchanged)
{
	ck_assert_str_eq(SHELL_WORD("/dev/shm/a_B-1.img"), "/dev/shm/a_B-1.img");
	ck_assert_str_eq(SHELL_WORD("my disk"), "'my disk'");
	ck_assert_str_eq(SHELL_WORD("-x"), "./-x");
	ck_assert_str_eq(SHELL_WORD("my\033disk"), "\"$(printf 'my\\033disk')\"");
}
END_TEST

/* Half a word would be another name. */
START_TEST(test_what_has_no_word_is_left_to_people)
{
	char name[300], word[16] = "";

	ck_assert_str_eq(SHELL_WORD("a\n"), "PATH");
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	ck_assert_str_eq(SHELL_WORD(name), "PATH");
	name[255] = '\0';
	ck_assert_str_eq(SHELL_WORD(name), name);
	name[254] = ' ';
	ck_assert_str_eq(SHELL_WORD(name), "PATH");
	ck_assert(!shell_quote(word, 5, "12345"));
	ck_assert(shell_quote(word, 6, "12345"));
	ck_assert_str_eq(word, "12345");
}
END_TEST

UNIT_MAIN("shell", test_a_shell_reads_the_name, test_each_byte,
	  test_what_needs_nothing_is_unchanged, test_what_has_no_word_is_left_to_people)
