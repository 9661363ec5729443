/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command.h - what the files of the kmemblk command share.
 *
 * Each subcommand is a function of type subcommand_fn in a file of its own, but for those of
 * command-volume.c, and one line in the table
 * of main.c, and of commands.c unless it is `run`.  The command uses the public header of the library
 * and nothing else of it.
 *
 * Standard output carries the result and nothing else; it is written when the result is whole, so
 * a failure prints no part of one.  Standard error carries messages, each "kmemblk: " and a
 * sentence, and the progress bar.
 */
#ifndef KMEMBLK_COMMAND_H
#define KMEMBLK_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/* The exit status of every subcommand, as in fsck(8).  Only check uses the second and third. */
enum status {
	STATUS_OK = 0,
	STATUS_CORRECTED = 1,
	STATUS_LEFT = 4,
	STATUS_FAILED = 8,
	STATUS_USAGE = 16,
};

/* Runs a subcommand; argv[0] is "kmemblk NAME".  Returns the exit status. */
typedef int subcommand_fn(int argc, char **argv);

subcommand_fn create_main;
subcommand_fn delete_main;
subcommand_fn rename_main;
subcommand_fn resize_main;
subcommand_fn snapshot_main;
subcommand_fn clone_main;
subcommand_fn rollback_main;
subcommand_fn thin_main;
subcommand_fn list_main;
subcommand_fn diff_main;
subcommand_fn format_main;
subcommand_fn grow_main;
subcommand_fn info_main;
subcommand_fn check_main;
subcommand_fn run_main;
subcommand_fn stat_main;
subcommand_fn top_main;

/* ---- command.c ------------------------------------------------------------------------------ */

/* What main() begins with: exit statuses, messages that begin with "kmemblk: ", standard output. */
void command_begin(int argc, char **argv);

/* A subcommand's argv[0]: one text, which the next call replaces. */
char *command_name(const char *subcommand);

/* Says why the last call of the library failed; returns STATUS_FAILED. */
int command_failed(void);

/* Ends the command because memory ran out.  Call it only while no device is being changed. */
void command_no_memory(void) __attribute__((noreturn));

/* ---- commands.c ----------------------------------------------------------------------------- */

/* What a subcommand is told: the one PATH or SOCKET that it is about, and --json where it has that. */
struct command {
	const char *what; /* "PATH" or "SOCKET" */
	const char *object;
	bool json;
};

/*
 * The argp parser of these two, for what a subcommand's own parser does not know; a struct command is the
 * input, or the first member of it.
 */
error_t command_parse(int key, char *arg, struct argp_state *state);

/* Its option among a subcommand's own; and the options of one that has no others. */
#define COMMAND_JSON                                                                               \
	{                                                                                          \
		"json", COMMAND_KEY_JSON, NULL, 0, "print a JSON object, for programs", 0          \
	}
#define COMMAND_KEY_JSON 1024
extern const struct argp_option command_options[];

/* ---- progress.c ----------------------------------------------------------------------------- */

/* A bar on standard error.  Show nothing when that is not a terminal, or within a second. */
struct progress {
	const char *what; /* a word before the bar */
	double begun;	  /* seconds */
	double drawn;	  /* when the bar was last drawn; 0 never */
	bool terminal;
};

/* Seconds since some instant. */
double progress_now(void);
void progress_begin(struct progress *progress, const char *what);
/* A kmemblk_progress_fn; `progress` is the struct. */
void progress_update(void *progress, uint64_t done, uint64_t total);
/* Takes the bar off the screen.  Call it before anything else is printed. */
void progress_end(struct progress *progress);

/* ---- size.c --------------------------------------------------------------------------------- */

/*
 * Reads "4096", "64K", "512M", "1G", "2T" (powers of 1024), a multiple of a page, into `*bytes`.
 * Returns NULL, or what is wrong with it.
 */
const char *size_parse(const char *text, uint64_t *bytes);

#define SIZE_TEXT 16
/* Writes a size for a person, such as "1.5 GiB", to `text` and returns it. */
const char *size_text(uint64_t bytes, char text[SIZE_TEXT]);

/* ---- date.c --------------------------------------------------------------------------------- */

#define DATE_TEXT 64
/* Writes a time in seconds since 1970, such as "2026-11-21 10:03:43 UTC", to `text` and returns it. */
const char *date_text(uint64_t seconds, char text[DATE_TEXT]);

/* ---- text.c --------------------------------------------------------------------------------- */

/*
 * A copy of text that somebody else chose (a label, a path, the name of a process), safe for a
 * terminal and for JSON: what is not printable UTF-8 is replaced by question marks.  Free it.
 */
char *text_printable(const char *text);

/* A copy of `word` that a shell reads as that one word.  Free it. */
char *text_shell_word(const char *word);

/* ---- json.c --------------------------------------------------------------------------------- */

struct json_object;

/* Each ends the command when memory runs out; `object` owns what is added to it. */
struct json_object *json_new_object(void);
void json_put(struct json_object *object, const char *key, struct json_object *value);
/* NULL is null. */
void json_put_text(struct json_object *object, const char *key, const char *text);
void json_put_number(struct json_object *object, const char *key, uint64_t number);
/* null where it is not known. */
void json_put_known(struct json_object *object, const char *key, bool known, uint64_t number);
void json_put_bool(struct json_object *object, const char *key, bool value);
/* Prints `object` on standard output and frees it. */
void json_print(struct json_object *object);

#endif /* KMEMBLK_COMMAND_H */
