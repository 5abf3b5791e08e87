/* SPDX-License-Identifier: MIT */
/*
 * model-forks.c - children that inherit a poller, and the model of it.
 *
 * In a child every call fails until polling_reinit(); then the poller has what
 * the model has, but what belongs to the parent. The child sends nothing to the
 * ends, which both have, so that the parent's model stays as it is, and the
 * parent's next waits show whether its poller does.
 */
#include "model-parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SECONDS 40 /* and it is gone, should it hang */
#define DEPTH         2  /* children of children, and no more */

/* Where a child tells its parent what it disagrees with. */
static int words;

static void
tell_parent(const char *text)
{
	if (write(words, text, strlen(text)) < 0)
		_exit(2);
	(void)fflush(stdout);
	_exit(1);
}

static void
expect_inherited(struct model *m, int i)
{
	static const struct timespec none;
	struct polling_event event = {1, 2, 3};
	enum polling_mode mode = POLLING_LEVEL;
	polling_fd fd = m->ends[i].fd;
	uintptr_t id = timer_id(m, (unsigned)i % TIMERS);
	struct polling *p = m->p;
	uint32_t in = POLLING_IN;

	expect_result(m, polling_add(p, fd, in, mode, 0), EBADF);
	expect_result(m, polling_modify(p, fd, in, mode, 0), EBADF);
	expect_result(m, polling_delete(p, fd), EBADF);
	expect_result(m, polling_wait(p, &event, 1, &none), EBADF);
	expect_result(m, polling_wait(p, &event, 1, NULL), EBADF);
	expect_result(m, polling_wait_until(p, &event, 1, &none), EBADF);
	expect_result(m, polling_notify(p), EBADF);
	expect_result(m, polling_post(p, &event), EBADF);
	expect_result(m, polling_add_timer(p, id, &none, NULL, 0), EBADF);
	expect_result(m, polling_modify_timer(p, id, &none, NULL, 0), EBADF);
	expect_result(m, polling_delete_timer(p, id), EBADF);
	expect_result(m, polling_add_signal(p, SIGURG, mode, 0), EBADF);
	expect_result(m, polling_modify_signal(p, SIGURG, mode, 0), EBADF);
	expect_result(m, polling_delete_signal(p, SIGURG), EBADF);
	expect_result(
	    m, polling_add_process(p, getppid(), POLLING_EXIT, 0), EBADF);
	expect_result(
	    m, polling_modify_process(p, getppid(), POLLING_EXIT, 0), EBADF);
	expect_result(m, polling_delete_process(p, getppid()), EBADF);
	expect_result(m, polling_get_fd(p), EBADF);
	if (event.key != 1 || event.events != 2 || event.data != 3)
		disagree(m, "a wait that failed has written an event");
}

/*
 * Over epoll there is no telling whether a number was closed and used again
 * before the fork, or deleted by the parent after it, as when a server leaves a
 * connection to its child: see polling_reinit(3).
 */
static bool
cannot_tell(void)
{
	return strcmp(polling_backend(), "epoll") == 0;
}

/* What is different in a poller that was rebuilt. */
static void
inherit(struct model *m, const bool *was_open)
{
	/* Of these what was queued is the parent's. */
	m->notified = false;
	m->post_count = 0;
	for (int i = 0; i < SIGNALS; i++)
		m->signals[i].count = 0;
	/* Is to be asked for anew. */
	m->nested = -1;
	/* All that is open is watched anew, and nothing else is. */
	for (int i = 0; i < ENDS; i++)
		may_be_new(&m->ends[i], UINT32_MAX);
	for (int i = 0; i < NUMBERS; i++) {
		m->ghosts[i].stale = 0;
		m->ghosts[i].haunts &= was_open[i];
		m->ghosts[i].revived = cannot_tell();
	}
	/* They are not this process's children. */
	for (int i = 0; i < CHILDREN; i++) {
		m->children[i].doubtful |= m->children[i].due;
		m->children[i].due = false;
	}
}

/* No notification is left: a wait takes its time. */
static void
wait_in_vain(struct model *m)
{
	int64_t start = now_ns();

	if (may_give(m))
		return;
	note(m, "wait for a millisecond");
	if (wait_ms(m->p, m->events, CAPACITY, 1) != 0)
		disagree(m, "it did not give 0");
	if (now_ns() - start < 1000000)
		disagree(m, "it was early");
}

/* What sends nothing to the ends. */
static void
do_in_child(struct model *m)
{
	int i = (int)pick(m, m->more ? ENDS : PAIR_ENDS);
	unsigned what = pick(m, 24);

	if (what < 6)
		do_wait(m);
	else if (what < 9)
		do_add(m, i);
	else if (what < 13)
		do_modify(m, i);
	else if (what < 15)
		do_delete(m, i);
	else if (what < 17)
		do_set_timer(m, once_in(m, 2));
	else if (what < 18)
		do_delete_timer(m);
	else if (what < 19)
		do_post(m);
	else if (what < 20)
		do_notify(m);
	else if (what < 21)
		do_signal(m);
	else if (what < 22)
		do_wait_for_all(m);
	else if (what < 23)
		do_nest(m);
	else
		do_fork(m);
}

static void
be_a_child(struct model *m, int i, uint32_t random)
{
	static bool was_open[NUMBERS];

	/* Check's handler would kill the case too. */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm((unsigned)(CHILD_SECONDS * time_scale()));
	m->tell = tell_parent;
	m->depth++;
	/* Its choices are no part of an input. */
	m->bytes = false;
	m->random = random;
	m->record_room = 0;
	if (!once_in(m, 4))
		expect_inherited(m, i);
	switch (pick(m, 8)) {
	case 0:
		break;
	case 1:
		note(m, "destroy the inherited poller");
		polling_destroy(m->p);
		break;
	default:
		note(m, "rebuild the poller");
		for (int fd = 0; fd < NUMBERS; fd++)
			was_open[fd] = fcntl(fd, F_GETFD) != -1;
		expect_result(m, polling_reinit(m->p), 0);
		inherit(m, was_open);
		wait_in_vain(m);
		if (once_in(m, 2))
			do_nest(m);
		for (unsigned steps = pick(m, 12); steps > 0; steps--)
			do_in_child(m);
		do_wait(m);
		if (once_in(m, 2))
			polling_destroy(m->p);
		break;
	}
	(void)fflush(stdout);
	_exit(0);
}

/* What the child of that pipe has to say. */
static void
listen_to_child(struct model *m, pid_t child, int fd)
{
	char text[4096];
	size_t length = 0;
	ssize_t n;
	int status = -1;

	while (length < sizeof(text) - 1 &&
	       (n = read(fd, text + length, sizeof(text) - 1 - length)) != 0) {
		if (n > 0)
			length += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	text[length] = '\0';
	(void)close(fd);
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		continue;
	if (length > 0 && m->tell != NULL)
		m->tell(text);
	if (length > 0)
		ck_abort_msg("in a child: %s", text);
	if (status != 0)
		disagree(
		    m, "a child ended with wait status %#x", (unsigned)status);
}

void
do_fork(struct model *m)
{
	int i = (int)pick(m, PAIR_ENDS), fds[2];
	uint32_t random = any_bits(m);
	pid_t child;

	if (m->depth == DEPTH)
		return;
	note(m, "fork, %#" PRIx32, random);
	(void)fflush(stdout);
	if (pipe(fds) != 0)
		ck_abort_msg("pipe: %s", error_text(errno));
	child = fork();
	if (child == -1)
		ck_abort_msg("fork: %s", error_text(errno));
	if (child == 0) {
		words = fds[1];
		be_a_child(m, i, random);
	}
	(void)close(fds[1]);
	listen_to_child(m, child, fds[0]);
}
