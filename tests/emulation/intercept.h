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

/*
 * From intercept.c: the descriptor that make(argument) makes, for something
 * that takes none of the program's where it is real. So it is had beyond the
 * limit of the program, and moved out of the way: a test that closes one and
 * counts on its number being free, or the next one's, must not meet it. It is
 * closed on exec. -1 with errno of make() if it fails otherwise. Another
 * thread may be let beyond the limit meanwhile.
 */
int hidden_descriptor(int (*make)(int), int argument);

#endif
