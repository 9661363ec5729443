/* SPDX-License-Identifier: BSD-3-Clause */
/* raw.c - see raw.h. */
#include "config.h"

#include <json-c/json.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "raw.h"

bool raw_receive(int fd, struct lend_message *message, int *descriptor)
{
	int received;
	ssize_t n = packet_receive(fd, message, sizeof *message, &received);

	if (n <= 0)
		return false;
	CHECK(n == sizeof *message && message->version == LEND_VERSION && message->zero == 0,
	      "%zd bytes, version %u", n, message->version);
	if (descriptor)
		*descriptor = received;
	else if (received != -1)
		close(received);
	return true;
}

void raw_hello(struct borrower *borrower, const char *path)
{
	struct lend_message message;

	memset(borrower, 0, sizeof *borrower);
	borrower->fd = packet_connect(path);
	CHECK(borrower->fd != -1, "%s: %m", path);
	CHECK(packet_send(borrower->fd, LEND_HELLO, 0, 0) &&
		      raw_receive(borrower->fd, &message, NULL) && message.kind == LEND_WELCOME,
	      "no welcome");
	CHECK(message.length == ZONE_SIZE, "a zone of %lu bytes", message.length);
	borrower->limit = message.value;
}

static void map_zone(struct borrower *borrower, const struct lend_message *message, int fd)
{
	struct zone *zone = &borrower->zone[borrower->zones++];

	CHECK(message->length == ZONE_SIZE && fd != -1 && borrower->zones < MOST_ZONES,
	      "a zone of %lu bytes", message->length);
	zone->offset = message->offset;
	zone->memory = mmap(NULL, ZONE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    (off_t)message->value);
	CHECK(zone->memory != MAP_FAILED, "mmap: %m");
	CHECK(write(fd, "", 1) == -1, "a loan can be written by a mistaken descriptor");
	close(fd);
	for (unsigned int i = 0; i < ZONE_SIZE / sizeof zone->memory[0]; i++)
		CHECK(zone->memory[i] == 0, "zone at %lu: not zeroed", zone->offset);
}

int raw_borrow(struct borrower *borrower, unsigned int wait_ms)
{
	struct lend_message message;
	int fd;

	CHECK(packet_send(borrower->fd, LEND_BORROW, 0, wait_ms), "hung up");
	for (;;) {
		CHECK(raw_receive(borrower->fd, &message, &fd), "hung up");
		if (message.kind != LEND_RECALL)
			break;
		borrower->asked++;
		borrower->asked_for = message.value;
	}
	CHECK(message.kind == LEND_ZONE, "kind %u", message.kind);
	if (message.status == 0)
		map_zone(borrower, &message, fd);
	return message.status;
}

int raw_borrow_all(struct borrower *borrower, unsigned int wait_ms)
{
	int rc;

	while ((rc = raw_borrow(borrower, wait_ms)) == 0)
		;
	return rc;
}

void raw_return(struct borrower *borrower)
{
	const struct zone *zone = &borrower->zone[--borrower->zones];

	CHECK(munmap(zone->memory, ZONE_SIZE) == 0, "munmap: %m");
	CHECK(packet_send(borrower->fd, LEND_RETURNED, zone->offset, 0), "hung up");
}

void raw_answer(struct borrower *borrower, const struct lend_message *recall, bool refuse)
{
	uint64_t given = 0;

	for (; !refuse && given < recall->value && borrower->zones > 0; given += ZONE_SIZE)
		raw_return(borrower);
	CHECK(packet_send(borrower->fd, LEND_RECALLED, recall->offset, given), "hung up");
}

static uint64_t pattern(uint64_t seed, uint64_t offset, unsigned int i)
{
	return ((seed << 48) ^ offset ^ i) | UINT64_C(1) << 63;
}

void raw_scribble(const struct borrower *borrower, uint64_t seed)
{
	for (unsigned int z = 0; z < borrower->zones; z++)
		for (unsigned int i = 0; i < ZONE_SIZE / sizeof(uint64_t); i++)
			borrower->zone[z].memory[i] = pattern(seed, borrower->zone[z].offset, i);
}

void raw_check(const struct borrower *borrower, uint64_t seed)
{
	for (unsigned int z = 0; z < borrower->zones; z++)
		for (unsigned int i = 0; i < ZONE_SIZE / sizeof(uint64_t); i++)
			CHECK(borrower->zone[z].memory[i] ==
				      pattern(seed, borrower->zone[z].offset, i),
			      "zone at %lu, word %u: somebody else wrote to it",
			      borrower->zone[z].offset, i);
}

uint64_t raw_stat(const char *path, const char *object, const char *key)
{
	static char packet[LEND_PACKET_MAX + 1];
	struct lend_message message;
	struct json_object *status, *inner, *number;
	int fd = packet_connect(path);
	uint64_t value;
	ssize_t n;

	CHECK(fd != -1, "%s: %m", path);
	CHECK(packet_send(fd, LEND_STAT, 0, 0), "hung up");
	n = recv(fd, packet, sizeof packet - 1, 0);
	close(fd);
	CHECK(n > (ssize_t)sizeof message, "%zd bytes of status", n);
	memcpy(&message, packet, sizeof message);
	CHECK(message.kind == LEND_STATUS && message.status == 0, "kind %u, status %d",
	      message.kind, message.status);
	packet[n] = '\0';
	status = json_tokener_parse(packet + sizeof message);
	CHECK(json_object_object_get_ex(status, object, &inner) &&
		      json_object_object_get_ex(inner, key, &number),
	      "%s.%s: not in %s", object, key, packet + sizeof message);
	value = json_object_get_uint64(number);
	json_object_put(status);
	return value;
}

void raw_await(const char *path, const char *object, const char *key, uint64_t wanted)
{
	while (raw_stat(path, object, key) != wanted)
		usleep(10000);
}
