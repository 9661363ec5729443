/* SPDX-License-Identifier: BSD-3-Clause */
/* error.h - set the message that kmemblk_error() returns.  See error.c. */
#ifndef ERROR_H
#define ERROR_H

/*
 * Record "what failed: object: reason" for this thread and return -err, so that a failing function
 * ends in `return fail(EIO, ...)`.  Only the place that knows the object calls it; callers pass
 * the negative errno on.
 */
int fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* Like fail(), with ": " and the system's words for err appended. */
int fail_errno(int err, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

#endif /* ERROR_H */
