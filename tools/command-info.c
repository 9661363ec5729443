/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-info.c - kmemblk info: describe a device without claiming it.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk.h"
#include "command.h"

#define BAR_CELLS 56

static const char doc[] =
	"Describe the kmemblk device at PATH.  Needs read permission only, writes nothing, and works "
	"while the device is being served; the counts are then a snapshot."
	"\v"
	"Examples:\n"
	"  kmemblk info /dev/shm/d.img\n"
	"  kmemblk info --json /dev/dax0.0 | jq .pages_free\n";

static void print_json(const char *path, const struct kmemblk_info *info)
{
	static const char *const copies[] = { NULL, "always", "shared" };
	/* What only the process that serves the device knows; a 0 would claim to. */
	bool known = info->holder_pid == 0, seen = info->holder_pid > 0;
	struct json_object *object = json_new_object(), *holder;

	json_put_text(object, "path", path);
	json_put_text(object, "type", info->type);
	json_put_text(object, "uuid", info->uuid);
	json_put_text(object, "label", info->label);
	json_put_number(object, "format_version", info->format_version);
	json_put_text(object, "check", info->check);
	json_put_number(object, "generation", info->generation);
	json_put_number(object, "created", info->created);
	json_put_text(object, "media", info->media);
	json_put_text(object, "persistence", info->persistence);
	json_put_text(object, "copies_on_write", copies[info->copies_on_write]);
	json_put_known(object, "numa_node", info->numa_node >= 0, (uint64_t)info->numa_node);
	json_put_number(object, "page_size", info->page_size);
	json_put_number(object, "device_pages", info->device_pages);
	json_put_number(object, "pages_tables", info->pages_tables);
	json_put_number(object, "data_pages", info->data_pages);
	json_put_number(object, "volumes", info->volumes);
	json_put_number(object, "snapshots", info->snapshots);
	json_put_number(object, "blocks", info->blocks);
	json_put_number(object, "size_bytes", info->size_bytes);
	json_put_number(object, "pages_used", info->pages_used);
	json_put_number(object, "pages_free", info->pages_free);
	json_put_number(object, "pages_reserved", info->pages_reserved);
	json_put_number(object, "pages_spare", info->pages_spare);
	json_put_number(object, "pages_resident", info->pages_resident);
	json_put_known(object, "pages_lent", known, info->pages_lent);
	json_put_known(object, "pages_retired", known, info->pages_retired);
	json_put_known(object, "pages_reclaimed", known, info->pages_reclaimed);
	json_put_known(object, "pages_punched", known, info->pages_punched);
	json_put_known(object, "pages_returned", known, info->pages_returned);
	json_put_number(object, "entries_damaged", info->entries_damaged);
	if (known) {
		json_put_text(object, "served_by", NULL);
	} else {
		holder = json_new_object();
		json_put_known(holder, "pid", seen, (uint64_t)info->holder_pid);
		json_put_text(holder, "name", seen ? info->holder_name : NULL);
		json_put(object, "served_by", holder);
	}
	json_print(object);
}

static void print_head(const char *path, const struct kmemblk_info *info)
{
	char *printable = text_printable(path), *word = text_shell_word(path), size[SIZE_TEXT];

	if (info->volumes > 1 && info->blocks)
		printf("%s: %" PRIu64 " volumes, the default of %s\n", printable, info->volumes,
		       size_text(info->size_bytes, size));
	else if (info->blocks)
		printf("%s: a disk of %s\n", printable, size_text(info->size_bytes, size));
	else if (info->volumes > 0)
		printf("%s: %" PRIu64 " volumes\n", printable, info->volumes);
	else if (info->snapshots > 0)
		printf("%s: no volume, only snapshots\n", printable);
	else if (strcmp(info->type, "none") == 0)
		printf("%s: no disk, all memory to lend\n", printable);
	else
		printf("%s: no volume; to make one, type: kmemblk create %s NAME --size=SIZE\n",
		       printable, word);
	free(word);
	free(printable);
	printf("  type         %s\n", info->type);
	if (info->label[0]) {
		printable = text_printable(info->label);
		printf("  label        %s\n", printable);
		free(printable);
	}
	printf("  uuid         %s\n", info->uuid);
	if (info->snapshots)
		printf("  snapshots    %" PRIu64 "\n", info->snapshots);
}

static void print_format(const struct kmemblk_info *info)
{
	char date[DATE_TEXT];

	printf("  format       version %" PRIu32 ", generation %" PRIu64 ", made %s\n",
	       info->format_version, info->generation, date_text(info->created, date));
	if (info->volumes + info->snapshots > 0)
		printf("  check        %s\n",
		       strcmp(info->check, "none") == 0
			       ? "none: blocks have no check values"
			       : "crc24: each block is verified when it is read");
}

/* What the word says. */
static const char *explain_persistence(const struct kmemblk_info *info)
{
	if (strcmp(info->persistence, "power-fail") == 0)
		return "what is written survives a power failure";
	if (strcmp(info->persistence, "reboot") == 0)
		return "what is written survives a warm restart of the host, not a power failure";
	if (strcmp(info->persistence, "process") == 0)
		return "what is written survives the server, not a restart of the host";
	if (strcmp(info->media, "file") == 0)
		return "the system does not tell what is below this file (findmnt -T PATH)";
	return "the system does not tell (ndctl list -R: persistence_domain)";
}

static void print_holder(const char *path, const struct kmemblk_info *info)
{
	char *text;

	if (!info->holder_pid) {
		printf("  served by    nobody\n");
	} else if (info->holder_pid > 0) {
		text = text_printable(info->holder_name);
		printf("  served by    %s, process %d\n", text, info->holder_pid);
		free(text);
	} else if (geteuid()) {
		text = text_shell_word(path);
		printf("  served by    another process, which this user cannot see; as root: "
		       "kmemblk info %s\n",
		       text);
		free(text);
	} else {
		printf("  served by    another process, which cannot be seen from here\n");
	}
}

static void print_where(const char *path, const struct kmemblk_info *info)
{
	printf("  media        %s", info->media);
	if (info->numa_node >= 0)
		printf(", NUMA node %d", info->numa_node);
	if (strcmp(info->media, "file") == 0)
		printf(", slow: each write waits for msync");
	printf("\n  persistence  %s: %s\n", info->persistence, explain_persistence(info));
	print_holder(path, info);
}

static void print_copies(const struct kmemblk_info *info)
{
	if (!info->copies_on_write)
		return;
	printf("  overwriting  its file system copies %s: overwrites can get ENOSPC while it is full\n",
	       info->copies_on_write == 1 ? "what is overwritten"
					  : "what another file shares, once");
}

static void print_pages(const char *name, uint64_t pages, uint64_t data_pages,
			const struct kmemblk_info *info)
{
	char size[SIZE_TEXT];

	printf("  %-12s %12s %12" PRIu64 " pages", name, size_text(pages * info->page_size, size),
	       pages);
	if (data_pages)
		printf(" %4.0f %%", 100.0 * (double)pages / (double)data_pages);
	printf("\n");
}

/* At least one cell for what is there at all; what the three leave over by rounding is free. */
static int cells(uint64_t pages, uint64_t data_pages)
{
	int part = (int)((double)pages / (double)data_pages * BAR_CELLS);

	return pages && !part ? 1 : part;
}

static void print_bar(const struct kmemblk_info *info)
{
	char bar[BAR_CELLS + 1];
	int used, spare;

	if (!info->data_pages)
		return;
	used = cells(info->pages_used, info->data_pages);
	spare = cells(info->pages_spare, info->data_pages);
	if (spare > BAR_CELLS - used)
		used = BAR_CELLS - spare;
	memset(bar, '-', BAR_CELLS);
	memset(bar, '#', used);
	memset(bar + BAR_CELLS - spare, 's', spare);
	bar[BAR_CELLS] = 0;
	printf("\n  [%s]  # used  - free  s spare\n", bar);
}

static void print_human(const char *path, const struct kmemblk_info *info)
{
	char *word;

	print_head(path, info);
	print_format(info);
	print_where(path, info);
	print_copies(info);
	print_bar(info);
	print_pages("used", info->pages_used, info->data_pages, info);
	print_pages("free", info->pages_free, info->data_pages, info);
	if (info->snapshots)
		print_pages("reserved", info->pages_reserved, info->data_pages, info);
	print_pages("spare", info->pages_spare, info->data_pages, info);
	print_pages("resident", info->pages_resident, info->data_pages, info);
	print_pages("tables", info->pages_tables, info->data_pages, info);
	print_pages("device", info->device_pages, 0, info);
	if (info->entries_damaged) {
		word = text_shell_word(path);
		printf("\n  %" PRIu64 " entries of the map are damaged: run kmemblk check %s\n",
		       info->entries_damaged, word);
		free(word);
	}
}

int info_main(int argc, char **argv)
{
	static const struct argp argp = {
		command_options, command_parse, "PATH", doc, NULL, NULL, NULL
	};
	struct command command = { .what = "PATH" };
	struct kmemblk_info info;

	if (argp_parse(&argp, argc, argv, 0, NULL, &command))
		return STATUS_USAGE;
	if (kmemblk_probe(command.object, &info) < 0)
		return command_failed();
	if (command.json)
		print_json(command.object, &info);
	else
		print_human(command.object, &info);
	return STATUS_OK;
}
