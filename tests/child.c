/* SPDX-License-Identifier: MIT */
/* Forked children that look at a poller; see child.h. */
#include "harness.h"

#include "child.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SECONDS 40 /* and it is gone, should it hang */

/* By itself, as what is in the child only: tests/analyse.supp knows it by its
 * name. */
static _Noreturn void
act_as_child(int words, void (*act)(struct trouble *, void *), void *argument)
{
	struct trouble trouble = {0};

	/* Check's handler would kill the case too. */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm((unsigned)(CHILD_SECONDS * time_scale()));
	act(&trouble, argument);
	if (write(words, trouble.text, strlen(trouble.text)) < 0)
		_exit(2);
	_exit(in_trouble(&trouble));
}

bool
start_child(
    struct child *c, void (*act)(struct trouble *, void *), void *argument)
{
	int fds[2];

	if (pipe(fds) != 0)
		return false;
	c->words = fds[0];
	c->pid = fork();
	if (c->pid == 0) {
		(void)close(fds[0]);
		act_as_child(fds[1], act, argument);
	}
	(void)close(fds[1]);
	if (c->pid != -1)
		return true;
	(void)close(fds[0]);
	return false;
}

/* Waits for its end. False if it found something or ended otherwise. */
bool
finish_child(struct child *c, char *words, size_t size)
{
	size_t length = 0;
	ssize_t n;
	int status = -1;

	while (length < size - 1 &&
	       (n = read(c->words, words + length, size - 1 - length)) != 0) {
		if (n > 0)
			length += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	words[length] = '\0';
	(void)close(c->words);
	while (waitpid(c->pid, &status, 0) == -1 && errno == EINTR)
		;
	if (length == 0 && WIFSIGNALED(status))
		(void)snprintf(
		    words, size, "killed by signal %d", WTERMSIG(status));
	else if (length == 0)
		(void)snprintf(
		    words, size, "wait status %#x", (unsigned)status);
	return status == 0;
}

void
expect_child_ok(struct child *c)
{
	char words[256];
	bool ok = finish_child(c, words, sizeof(words));

	ck_assert_msg(ok, "in a child: %s", words);
}

void
run_child(void (*act)(struct trouble *, void *), void *argument)
{
	struct child c;

	ck_assert(start_child(&c, act, argument));
	expect_child_ok(&c);
}

/* In a child that has not called polling_reinit(). */
void
check_inherited(struct trouble *t, struct world *w)
{
	polling_fd fd = w->pairs[READY][0], new_fd = w->pairs[READY][1];
	struct polling_event event = {1, 2, 3};
	struct timespec now;

	polling_now(&now);
	check_that(t,
	    failed_with(polling_add(w->p, new_fd, POLLING_IN, POLLING_LEVEL, 1),
		EBADF));
	check_that(t,
	    failed_with(
		polling_modify(w->p, fd, POLLING_IN, POLLING_LEVEL, 1), EBADF));
	check_that(t, failed_with(polling_delete(w->p, fd), EBADF));
	check_that(t, failed_with(wait_ms(w->p, &event, 1, 0), EBADF));
	check_that(t, failed_with(wait_ms(w->p, &event, 1, 1000), EBADF));
	check_that(t, failed_with(wait_ms(w->p, &event, 1, -1), EBADF));
	check_that(
	    t, failed_with(polling_wait_until(w->p, &event, 1, &now), EBADF));
	check_that(t, failed_with(polling_notify(w->p), EBADF));
	check_that(t, failed_with(polling_post(w->p, &event), EBADF));
	check_that(t, failed_with(polling_get_fd(w->p), EBADF));
	check_that(t, event.key == 1 && event.events == 2 && event.data == 3);
	check_that(t, polling_supports(w->p, POLLING_FEATURE_LEVEL) == 1);
}
