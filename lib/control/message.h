/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.h - what who asks and a server say to each other on a control socket.
 *
 * A stream.  Who has connected sends one request, a JSON object and a newline; the server sends one answer, likewise,
 * and ends the connection.
 *
 *   {"version":1,"call":"create","device":ID,"name":"vm1","size":4096,"prealloc":true}
 *   {"version":1,"call":"delete","device":ID,"name":"vm1","recursive":true}
 *   {"version":1,"call":"rename","device":ID,"name":"vm1","new_name":"vm2"}
 *   {"version":1,"call":"resize","device":ID,"name":"vm1","size":8192,"force":true}
 *   {"version":1,"call":"snapshot","device":ID,"names":["vm1@monday","vm2@monday"]}
 *   {"version":1,"call":"clone","device":ID,"snapshot":"vm1@monday","name":"vm2"}
 *   {"version":1,"call":"rollback","device":ID,"snapshot":"vm1@monday","force":true}
 *   {"version":1,"call":"list","device":ID}
 *   {"version":1,"call":"server"}
 *
 * ID is what identity.h makes of the device, and may be left out, as may members that are true or false: they are false
 * then.  Every other member must be there, and no more.
 *
 *   {"version":1,"result":{}}                           of delete {"snapshots":N}, of list {"volumes":[...]},
 *                                                       of server {"path":"...","uuid":"...","process":N}
 *   {"version":1,"error":{"errno":17,"message":"..."}}  the number is that of this kind of system
 *
 * EXDEV, which no call has, says that the server has another device than the one that is meant.
 */
#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/identity.h"
#include "kmemblk.h"

#define MESSAGE_VERSION 1

/* The newline included.  64 names of snapshots are a fifth of it, and of answers 65536 views are half. */
#define REQUEST_MOST (64u << 10)
#define ANSWER_MOST  (64u << 20)

/* A call: a kind of change, or one of these. */
#define CALL_LIST   KMEMBLK_CHANGE_KINDS
#define CALL_SERVER (KMEMBLK_CHANGE_KINDS + 1)

/* True for those that are a change. */
static inline bool call_changes(unsigned int call)
{
	return call < (unsigned int)KMEMBLK_CHANGE_KINDS;
}

#define NAMES_MOST 64u

struct json_object;

struct request {
	unsigned int call;
	const char *device;	      /* identity; NULL: whichever the server has */
	struct kmemblk_change change; /* of calls that are one; its names are: */
	const char *names[NAMES_MOST];
	struct json_object *json; /* owns all texts */
};

/* ---- requests ------------------------------------------------------------------------------- */

/* 0 if the change is one that could be asked for; -EINVAL with message. */
int request_check(const struct kmemblk_change *change);

/* The request as it is sent; `change` is used by calls that are one.  Free it; NULL with message. */
char *request_text(unsigned int call, const char *device, const struct kmemblk_change *change);

/* What was received, without the newline: 0 or -errno with message.  End it by request_free() in any case. */
int request_parse(struct request *request, const char *text, size_t length);
void request_free(struct request *request);

/* ---- answers -------------------------------------------------------------------------------- */

/*
 * An answer as it is sent: the result, whose owner it becomes and which may be NULL for an empty one, or, with rc not 0,
 * this error with this thread's message.  Free it; NULL: out of memory.
 */
char *answer_text(int rc, struct json_object *result);

/*
 * What was received: 0 and *result, to be ended by json_object_put(); or the server's error, with its message; or
 * -EPROTO with message, where `name` is the socket's.
 */
int answer_parse(const char *name, const char *text, size_t length, struct json_object **result);

/* ---- JSON ----------------------------------------------------------------------------------- */

/* One object of all of the text, nested no deeper than `depth`; NULL: it is no such. */
struct json_object *message_parse(const char *text, size_t length, int depth);

/* Add a value, which may be NULL for want of memory; false: it was not added, and is no more. */
bool message_put(struct json_object *object, const char *key, struct json_object *value);
bool message_put_text(struct json_object *object, const char *key, const char *text);
bool message_put_number(struct json_object *object, const char *key, uint64_t number);

/* A member of this kind; false: there is none.  A text has no NUL in it, and lives as long as the object. */
bool message_get_text(const struct json_object *object, const char *key, const char **text);
bool message_get_number(const struct json_object *object, const char *key, uint64_t *number);
/* The same of a value. */
bool message_is_text(struct json_object *value, const char **text);

#endif /* MESSAGE_H */
