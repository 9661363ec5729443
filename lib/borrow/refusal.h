/* SPDX-License-Identifier: BSD-3-Clause */
/* refusal.h - why a borrower has no connection, in words.  See refusal.c. */
#ifndef REFUSAL_H
#define REFUSAL_H

/* The message of "`what`: `socket`: ..." for `rc`, a negative errno, which is returned. */
int refusal_fail(int rc, const char *what, const char *socket);

#endif /* REFUSAL_H */
