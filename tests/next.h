/* SPDX-License-Identifier: MIT */
/*
 * next.h - functions of the C library whose place a test takes.
 *
 * What a program defines comes before what the C library does, for the library
 * under test too. So a test defines a function, which does something beside and
 * goes on to the next one of its name:
 *
 *     SEEN int
 *     close(int fd)
 *     {
 *             static int (*next)(int);
 *
 *             NEXT("close");
 *             return next(fd);
 *     }
 *
 * Include it with _GNU_SOURCE defined.
 */
#ifndef TESTS_NEXT_H
#define TESTS_NEXT_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not hidden, as what others are to find instead of the C library's. */
#define SEEN __attribute__((__visibility__("default")))

/* Stores the next function of that name in a pointer of its type and of this
 * size. Converted by way of memory, since C knows no conversion from a pointer
 * to an object. */
static inline void
find_next(const char *name, void *function, size_t size)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL) {
		fprintf(stderr, "no function to go on to: %s\n", name);
		abort();
	}
	memcpy(function, &found, size);
}

/* Sets next, unless that was done. */
#define NEXT(name) NEXT_BY(find_next, (name))
/* The same by a function like find_next(). */
#define NEXT_BY(find, name)                             \
	do {                                            \
		if (next == NULL)                       \
			find(name, &next, sizeof next); \
	} while (0)

#endif /* TESTS_NEXT_H */
