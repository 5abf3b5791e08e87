/* SPDX-License-Identifier: MIT */
/*
 * intercept.h - what an emulated kernel must know and a real one knows by
 * itself: that a descriptor is closed, or replaced by dup2().
 *
 * intercept.c takes the place of close(), dup2() and dup3() in the whole test
 * program and calls the emulation that is linked with it, which provides the
 * two functions that are not marked otherwise.
 */
#ifndef EMULATION_INTERCEPT_H
#define EMULATION_INTERCEPT_H

/*
 * fd, which may be anything, is about to be closed or replaced. Called from
 * any thread, before the number is free; must not change errno. The time
 * until it returns is part of the caller's close().
 */
void emulation_closing(int fd);

/* In a forked child, before anything else of the child runs. */
void emulation_forked(void);

/* From intercept.c: close() without the call above. */
int real_close(int fd);

#endif
