/* SPDX-License-Identifier: MIT */
/*
 * packets.h - the "wait completion packets" of Windows 8, imitated for those
 * that do not have them, such as Wine 8.
 */
#ifndef TESTS_PACKETS_H
#define TESTS_PACKETS_H

#include <stdbool.h>

/* Whether this system has them. */
bool packets_are_here(void);

/* From now on the library finds the imitation, if it has not looked for them
 * yet. False if that cannot be had. */
bool packets_imitate(void);

#endif
