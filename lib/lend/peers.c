/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peers.c - who may borrow: by what the kernel says of the process that connected.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "lend/peers.h"

struct allow_rule {
	bool group;
	unsigned int id;
};

/* More groups than this a borrower may be in, but not be allowed by. */
#define GROUPS_MAX 256

static bool parse_id(struct allow_rule *rule, const char *text)
{
	unsigned long id;
	char *end;

	errno = 0;
	id = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && id < UINT32_MAX) {
		rule->id = (unsigned int)id;
		return true;
	}
	if (rule->group) {
		struct group *group = getgrnam(text);

		rule->id = group != NULL ? group->gr_gid : 0;
		return group != NULL;
	} else {
		struct passwd *user = getpwnam(text);

		rule->id = user != NULL ? user->pw_uid : 0;
		return user != NULL;
	}
}

static bool parse_rule(struct allow_rule *rule, const char *text)
{
	rule->group = strncmp(text, "gid:", 4) == 0;
	return (rule->group || strncmp(text, "uid:", 4) == 0) && parse_id(rule, text + 4);
}

int allowed_parse(struct allowed *allowed, const char *list)
{
	char *copy, *rest, *text;
	int rc = 0;

	*allowed = (struct allowed){ .all = list == NULL };
	if (list == NULL)
		return 0;
	copy = strdup(list);
	/* No rule is shorter than two characters with its comma. */
	allowed->rule = calloc(strlen(list) + 1, sizeof(allowed->rule[0]));
	if (copy == NULL || allowed->rule == NULL) {
		rc = fail(ENOMEM, "lend: out of memory");
		goto out;
	}
	for (text = strtok_r(copy, ",", &rest); text != NULL; text = strtok_r(NULL, ",", &rest)) {
		if (!parse_rule(&allowed->rule[allowed->count++], text)) {
			rc = fail(EINVAL,
				  "lend: allow: %s: no such user or group; a list as in "
				  "uid:1000,gid:50,uid:NAME is wanted",
				  text);
			break;
		}
	}
out:
	free(copy);
	return rc;
}

void allowed_free(struct allowed *allowed)
{
	free(allowed->rule);
}

/* A quarter of the open files; loans have half (loans.c), and the disk's clients the rest. */
int peers_most(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur / 4 > INT_MAX)
		return INT_MAX;
	return (int)(limit.rlim_cur / 4);
}

static void read_name(struct peer *peer)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)peer->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return;
	n = read(fd, peer->name, sizeof(peer->name) - 1);
	close(fd);
	peer->name[n > 0 ? n - 1 : 0] = '\0';
}

static bool in_group(gid_t id, gid_t own, const gid_t *groups, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (groups[i] == id)
			return true;
	return own == id;
}

bool peer_identify(struct peer *peer, const struct allowed *allowed)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);
	struct ucred who;
	socklen_t who_size = sizeof(who);

	if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) == -1)
		return false;
	peer->pid = who.pid;
	peer->uid = who.uid;
	read_name(peer);
	if (allowed->all)
		return true;
	if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == -1)
		size = 0;
	for (unsigned int i = 0; i < allowed->count; i++) {
		const struct allow_rule *rule = &allowed->rule[i];

		if (rule->group ? in_group(rule->id, who.gid, groups, size / sizeof(groups[0]))
				: rule->id == who.uid)
			return true;
	}
	return false;
}
