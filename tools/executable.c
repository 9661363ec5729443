/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * executable.c - whether what run loads into programs can be loaded into a program.
 *
 * The dynamic linker loads it, if there is one, if it is for the same machine, and if the program gets no
 * rights that its caller lacks.  A file that cannot be read, or is none that is known here, counts as one
 * that loads: the program says itself what becomes of it.  The rules are simple ones: a mount with nosuid,
 * or a process that can gain no rights, makes no difference.
 */
#include <config.h>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "executable.h"

/* As deep as the kernel goes from script to interpreter. */
#define INTERPRETERS 5
/* As much of the first line as it reads. */
#define LINE 256
/* More than there are. */
#define ENTRIES 256

/* The header of this executable, from the linker. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

const char *executable_obstacle(enum executable_kind kind)
{
	switch (kind) {
	case EXECUTABLE_STATIC:
		return "is linked statically";
	case EXECUTABLE_SET_ID:
		return "is set-user-ID or set-group-ID";
	case EXECUTABLE_CAPABLE:
		return "has file capabilities";
	case EXECUTABLE_FOREIGN:
		return "is built for another machine or word size";
	default:
		return "";
	}
}

const char *executable_remedy(enum executable_kind kind)
{
	switch (kind) {
	case EXECUTABLE_STATIC:
		return "link it dynamically";
	case EXECUTABLE_SET_ID:
		return "run it as the user and group that it becomes";
	case EXECUTABLE_CAPABLE:
		return "run a copy without them";
	case EXECUTABLE_FOREIGN:
		return "run one that is built as kmemblk is";
	default:
		return "";
	}
}

/* ---- which file ------------------------------------------------------------------------------ */

static bool can_execute(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* As execvp() does. */
static bool find_program(const char *program, char path[PATH_MAX])
{
	const char *folders = getenv("PATH"), *end;
	char usual[64] = "";

	if (strchr(program, '/') != NULL) {
		snprintf(path, PATH_MAX, "%s", program);
		return can_execute(path);
	}
	if (folders == NULL) {
		confstr(_CS_PATH, usual, sizeof(usual));
		folders = usual;
	}
	for (;; folders = end + 1) {
		end = strchrnul(folders, ':');
		/* An empty one is the working folder. */
		snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - folders), folders,
			 end > folders ? "/" : "", program);
		if (can_execute(path))
			return true;
		if (*end == '\0')
			return false;
	}
}

/* "#!", spaces, the interpreter, and what it gets. */
static bool find_interpreter(char line[LINE], char path[PATH_MAX])
{
	char *name;

	if (strncmp(line, "#!", 2) != 0)
		return false;
	name = line + 2 + strspn(line + 2, " \t");
	name[strcspn(name, " \t\n")] = '\0';
	snprintf(path, PATH_MAX, "%s", name);
	return can_execute(path);
}

/* ---- what it is ------------------------------------------------------------------------------ */

/* The dynamic linker is called by its name: it has one, and needs no other. */
static bool is_linker(int fd, const ElfW(Phdr) * dynamic)
{
	ElfW(Dyn) entry;
	off_t at = (off_t)dynamic->p_offset;

	for (int i = 0; i < ENTRIES; i++, at += (off_t)sizeof(entry)) {
		if (pread(fd, &entry, sizeof(entry), at) != (ssize_t)sizeof(entry) ||
		    entry.d_tag == DT_NULL)
			return false;
		if (entry.d_tag == DT_SONAME)
			return true;
	}
	return false;
}

static bool is_static(int fd, const ElfW(Ehdr) * header)
{
	ElfW(Phdr) part, dynamic = { .p_type = PT_NULL };
	off_t at = (off_t)header->e_phoff;

	for (unsigned int i = 0; i < header->e_phnum; i++, at += (off_t)sizeof(part)) {
		if (pread(fd, &part, sizeof(part), at) != (ssize_t)sizeof(part) ||
		    part.p_type == PT_INTERP)
			return false;
		if (part.p_type == PT_DYNAMIC)
			dynamic = part;
	}
	return dynamic.p_type == PT_NULL || !is_linker(fd, &dynamic);
}

static bool is_foreign(const ElfW(Ehdr) * header)
{
	const ElfW(Ehdr) *ours = &__ehdr_start;

	return header->e_ident[EI_CLASS] != ours->e_ident[EI_CLASS] ||
	       header->e_ident[EI_DATA] != ours->e_ident[EI_DATA] ||
	       header->e_machine != ours->e_machine;
}

/* Whether the kernel gives it rights that this process lacks; root's are all there are. */
static enum executable_kind rights_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return EXECUTABLE_LOADS;
	if ((st.st_mode & S_ISUID && st.st_uid != getuid()) ||
	    ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid()))
		return EXECUTABLE_SET_ID;
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		return EXECUTABLE_CAPABLE;
	return EXECUTABLE_LOADS;
}

static enum executable_kind kind_of(int fd, const char *path, const ElfW(Ehdr) * header)
{
	if (is_foreign(header))
		return EXECUTABLE_FOREIGN;
	if (is_static(fd, header))
		return EXECUTABLE_STATIC;
	return rights_of(path);
}

enum executable_kind executable_look(const char *program, char path[PATH_MAX])
{
	enum executable_kind kind = EXECUTABLE_LOADS;
	char file[PATH_MAX];
	union {
		ElfW(Ehdr) header;
		char line[LINE];
	} start;
	bool more = find_program(program, file);
	ssize_t n;
	int fd;

	path[0] = '\0';
	for (int i = 0; more && i <= INTERPRETERS; i++) {
		if (i > 0)
			strcpy(path, file);
		fd = open(file, O_RDONLY | O_CLOEXEC);
		/* Who may not read a program may still execute it. */
		if (fd < 0)
			return rights_of(file);
		memset(&start, 0, sizeof(start));
		n = read(fd, &start, sizeof(start) - 1);
		more = false;
		if (n >= (ssize_t)sizeof(start.header) && memcmp(start.line, ELFMAG, SELFMAG) == 0)
			kind = kind_of(fd, file, &start.header);
		else
			more = find_interpreter(start.line, file);
		close(fd);
	}
	return kind;
}
