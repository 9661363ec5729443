/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sanitizer.h - whether ThreadSanitizer is to see what is loaded and stored: it sees what the compiler does,
 * not what a library does, or an instruction of its own.
 */
#ifndef SANITIZER_H
#define SANITIZER_H

#if defined(__SANITIZE_THREAD__)
#define PLAIN_ACCESS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PLAIN_ACCESS 1
#endif
#endif
#ifndef PLAIN_ACCESS
#define PLAIN_ACCESS 0
#endif

#endif /* SANITIZER_H */
