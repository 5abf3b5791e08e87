/* SPDX-License-Identifier: MIT */
/*
 * imports.h - functions of Windows whose place a test takes: what next.h is
 * elsewhere.
 *
 * What a program or a DLL imports is called through a table, which the loader
 * fills in. An entry of that of the library is put in the place of another one,
 * and says where to go on to. That works for the DLL, and for a program that
 * has the library in itself.
 */
#ifndef TESTS_IMPORTS_H
#define TESTS_IMPORTS_H

#include <stdbool.h>
#include <stddef.h>

/* Any function; they are converted by way of memory or of this type. */
typedef void any_function(void);

/* Has the library call function where it imports one of that name, whose
 * address goes to the pointer to a function that next points to. False if the
 * library imports none. */
bool replace_import(const char *name, any_function *function, void *next);

#endif
