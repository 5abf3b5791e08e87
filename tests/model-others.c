/* SPDX-License-Identifier: MIT */
/*
 * model-others.c - operations on timers, signals and processes, posts and
 * notifications, in the poller and in the model.
 */
#include "model-parts.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* What may name a timer: for plain seeds its number. */
uintptr_t
timer_id(struct model *m, unsigned i)
{
	static const uintptr_t ids[TIMERS] = {
	    0, 1, UINTPTR_MAX, (uintptr_t)INT_MAX + 1, UINTPTR_MAX - 1};

	return m->more ? ids[i] : i;
}

static struct timespec
timer_first(bool due)
{
	return due ? (struct timespec){0, 0} : (struct timespec){3600, 0};
}

void
do_set_timer(struct model *m, bool adds)
{
	static const struct timespec day = {86400, 0};
	unsigned id = pick(m, TIMERS);
	struct timer *t = &m->timers[id];
	bool due = once_in(m, 2), repeats = once_in(m, 2);
	struct timespec first = timer_first(due);
	const struct timespec *interval = repeats ? &day : NULL;
	uintptr_t key = new_key(m);
	int error;

	note(m, "%s timer %u, %s, %s", adds ? "add" : "modify", id,
	    due ? "due" : "far", repeats ? "repeating" : "once");
	if (adds) {
		error = t->state == TIMER_ABSENT ? 0 : EEXIST;
		expect_result(m,
		    polling_add_timer(
			m->p, timer_id(m, id), &first, interval, key),
		    error);
	} else {
		error = t->state == TIMER_ABSENT ? ENOENT : 0;
		expect_result(m,
		    polling_modify_timer(
			m->p, timer_id(m, id), &first, interval, key),
		    error);
	}
	if (error == 0)
		*t = (struct timer){
		    due ? TIMER_DUE : TIMER_FAR, repeats, false, key, false};
}

void
do_delete_timer(struct model *m)
{
	unsigned id = pick(m, TIMERS);
	struct timer *t = &m->timers[id];

	note(m, "delete timer %u", id);
	expect_result(m, polling_delete_timer(m->p, timer_id(m, id)),
	    t->state == TIMER_ABSENT ? ENOENT : 0);
	t->state = TIMER_ABSENT;
}

static const int signal_numbers[SIGNALS] = {SIGURG, SIGWINCH};

/* Registers the signal as add or modify. */
static void
set_signal(struct model *m, int i, bool adds)
{
	struct signal *s = &m->signals[i];
	enum polling_mode mode = (enum polling_mode)pick(m, MODES);
	uintptr_t key = new_key(m);
	int error = 0;

	note(
	    m, "%s signal %d, %s", adds ? "add" : "modify", i, mode_name(mode));
	if (!mode_is_known(m, mode))
		error = ENOTSUP;
	else if (adds == s->registered)
		error = adds ? EEXIST : ENOENT;
	expect_result(m,
	    adds ? polling_add_signal(m->p, signal_numbers[i], mode, key)
		 : polling_modify_signal(m->p, signal_numbers[i], mode, key),
	    error);
	if (error != 0)
		return;
	/* What has come while it was disarmed is kept. */
	*s = (struct signal){true, true, mode, key, adds ? 0 : s->count};
}

void
do_signal(struct model *m)
{
	int i = (int)pick(m, SIGNALS);
	struct signal *s = &m->signals[i];
	unsigned what = pick(m, 8);

	if (what < 4) {
		note(m, "raise signal %d", i);
		/* Unless it is watched it does nothing. */
		(void)raise(signal_numbers[i]);
		s->count += s->registered;
	} else if (what < 7) {
		set_signal(m, i, what < 6);
	} else {
		note(m, "delete signal %d", i);
		expect_result(m, polling_delete_signal(m->p, signal_numbers[i]),
		    s->registered ? 0 : ENOENT);
		*s = (struct signal){.registered = false};
	}
}

bool
signal_is_due(const struct signal *s)
{
	return s->registered && s->armed && s->count > 0;
}

#if HAVE_WAITID
/* The first has ended and is not waited for, the other lives as long as this
 * process. They are the same for all inputs. */
static pid_t
child_process(int i)
{
	static pid_t processes[CHILDREN], owner;
	pid_t parent = getpid();
	siginfo_t info;

	for (int j = 0; j < CHILDREN && owner != parent; j++) {
		processes[j] = fork();
		if (processes[j] == -1)
			ck_abort_msg("fork: %s", error_text(errno));
		if (processes[j] != 0)
			continue;
		/* Who waits for the end of what this process prints is not to
		 * wait for this one. */
		for (int fd = 0; fd < NUMBERS; fd++)
			(void)close(fd);
		while (j > 0 && getppid() == parent)
			(void)sleep(1);
		_exit(0);
	}
	if (owner != parent &&
	    waitid(P_PID, (id_t)processes[0], &info, WEXITED | WNOWAIT) != 0)
		ck_abort_msg("waitid: %s", error_text(errno));
	owner = parent;
	return processes[i];
}
#else
/* There is no telling when a child has ended without waiting for it. */
static pid_t
child_process(int i)
{
	(void)i;
	return -1;
}
#endif

void
do_process(struct model *m)
{
	int i = (int)pick(m, CHILDREN);
	struct child *c = &m->children[i];
	unsigned what = pick(m, 8);
	uint32_t bits = once_in(m, 4) ? 0 : POLLING_EXIT;
	uintptr_t key = new_key(m);
	pid_t pid = child_process(i);

	if (pid == -1)
		return;
	note(m, "%s child %d for %s",
	    what < 4   ? "add"
	    : what < 7 ? "modify"
		       : "delete",
	    i, event_names(bits));
	if (what < 4)
		expect_result(m, polling_add_process(m->p, pid, bits, key),
		    c->registered ? EEXIST : 0);
	else if (what < 7)
		expect_result(m, polling_modify_process(m->p, pid, bits, key),
		    c->registered ? 0 : ENOENT);
	else
		expect_result(m, polling_delete_process(m->p, pid),
		    c->registered ? 0 : ENOENT);
	if (c->registered == (what < 4))
		return;
	/* It is told once for each arming. */
	*c = (struct child){
	    what < 7, what < 7 && bits != 0 && i == 0, false, key};
}

void
do_post(struct model *m)
{
	struct polling_event *event = &m->posts[m->post_count];

	if (m->post_count == POSTS)
		return;
	event->key = new_key(m);
	event->events = any_bits(m);
	event->data = m->serial++;
	note(m, "post %" PRIu32, event->data);
	expect_result(m, polling_post(m->p, event), 0);
	m->post_count++;
}

void
do_notify(struct model *m)
{
	note(m, "notify");
	expect_result(m, polling_notify(m->p), 0);
	m->notified = true;
}
