/* SPDX-License-Identifier: MIT */
/*
 * replaced.c - a descriptor is closed, and its number taken by another one,
 * just while the library replaces an instance of epoll.
 *
 * The function through which it tells the kernel of descriptors is defined
 * here, and does that after the first, the second and so on of the calls that
 * the replacement makes for the descriptor. Whichever it is, nothing may be
 * reported of the old source, and the new descriptor can be added.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <polling.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The descriptor that is closed, and the one that takes its number. */
static int victim = -1, heir;
static int calls;     /* for it, since it was chosen */
static int when = -1; /* after which of them */

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "replaced: after call %d: %s\n", when, what);
	exit(1);
}

#define EXPECT(holds)                        \
	do {                                 \
		if (!(holds))                \
			fail("not " #holds); \
	} while (0)

/* Not hidden, as what the library is to find instead of the C library's. */
__attribute__((__visibility__("default"))) int
epoll_ctl(int epfd, int operation, int fd, struct epoll_event *event)
{
	int r = (int)syscall(SYS_epoll_ctl, epfd, operation, fd, event);

	if (fd == victim && calls++ == when) {
		victim = -1;
		EXPECT(dup2(heir, fd) == fd);
	}
	return r;
}

/* A pipe with something in it, or not: its read end. The other is left. */
static int
open_pipe(int bytes)
{
	int fds[2];

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	EXPECT(bytes == 0 || write(fds[1], "x", 1) == 1);
	return fds[0];
}

/* Whether it has happened. */
static int
replace(void)
{
	static const struct timespec at_once;
	struct polling *p = polling_create(0);
	int fd = open_pipe(0), orphan = open_pipe(1), duplicate = dup(orphan);
	struct polling_event event;
	int happened;

	heir = open_pipe(1);
	EXPECT(p != NULL && duplicate >= 0);
	EXPECT(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1) == 0);
	EXPECT(polling_add(p, orphan, POLLING_IN, POLLING_LEVEL, 2) == 0);
	EXPECT(close(orphan) == 0);
	calls = 0;
	victim = fd;
	/* Reports of the orphan, for which the instance is replaced. */
	for (int i = 0; i < 40; i++)
		EXPECT(polling_wait(p, &event, 1, &at_once) == 0);
	happened = victim == -1;
	victim = -1;
	if (happened) {
		EXPECT(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 3) == 0);
		EXPECT(polling_wait(p, &event, 1, &at_once) == 1);
		EXPECT(event.key == 3 && event.events == POLLING_IN);
		EXPECT(polling_delete(p, fd) == 0);
		EXPECT(polling_wait(p, &event, 1, &at_once) == 0);
	}
	polling_destroy(p);
	close(fd);
	close(duplicate);
	close(heir);
	return happened;
}

int
main(void)
{
	if (polling_backend()[0] != 'e') {
		printf("SKIP the backend is %s\n", polling_backend());
		return 77;
	}
	for (when = 0; replace(); when++)
		continue;
	/* Else nothing was replaced, and nothing tried. */
	EXPECT(when >= 2);
	printf("after each of %d calls\n", when);
	return 0;
}
