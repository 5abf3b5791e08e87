/* SPDX-License-Identifier: MIT */
/*
 * model-sources.c - operations on descriptors, in the poller and in the model:
 * registrations, and what is sent between the two ends of a pair.
 *
 * Socket pairs and pipes carry at once what is written to them, so that the
 * model need not wait for anything.
 */
#include "model-parts.h"

#include "crew.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

const char *
end_name(int i)
{
	static char names[4][40];
	static unsigned next;
	char *name = names[next++ % 4];

	(void)snprintf(name, sizeof(names[0]), "%s%d.%d",
	    is_file(i)   ? "file"
	    : is_pipe(i) ? "pipe"
			 : "socket",
	    i / 2, i % 2);
	return name;
}

static bool
number_is_used(struct model *m, polling_fd fd)
{
	for (int i = 0; i < ENDS; i++) {
		if (m->ends[i].open && m->ends[i].fd == fd)
			return true;
	}
	return fcntl(fd, F_GETFD) != -1;
}

void
add_as(struct model *m, int i, uint32_t interest, enum polling_mode mode)
{
	struct end *e = &m->ends[i];
	uintptr_t key = new_key(m);
	int error = 0, result;

	note(m, "add %s for %s, %s", end_name(i), event_names(interest),
	    mode_name(mode));
	if (!e->open && number_is_used(m, e->fd))
		return;
	if (!mode_is_known(m, mode))
		error = ENOTSUP;
	else if (!e->open)
		error = EBADF;
	else if (e->registered)
		error = EEXIST;
	result = polling_add(m->p, e->fd, interest, mode, key);
	if (error == 0 && result == -1 && errno == EEXIST &&
	    m->ghosts[e->fd].haunts && m->ghosts[e->fd].revived)
		return;
	expect_result(m, result, error);
	/* Some kernels can be asked for a source, but look at it again then. */
	if (error == EEXIST)
		may_be_new(e, UINT32_MAX);
	if (error != 0)
		return;
	m->ghosts[e->fd].haunts = false;
	e->reports = 0;
	set_registration(m, i, interest, mode, key);
}

void
do_add(struct model *m, int i)
{
	uint32_t interest = random_interest(m);

	add_as(m, i, interest, (enum polling_mode)pick(m, MODES));
}

void
modify_as(struct model *m, int i, uint32_t interest, enum polling_mode mode)
{
	struct end *e = &m->ends[i];
	uintptr_t key = new_key(m);
	int error = 0, result;

	note(m, "modify %s to %s, %s", end_name(i), event_names(interest),
	    mode_name(mode));
	if (!mode_is_known(m, mode))
		error = ENOTSUP;
	else if (!e->registered)
		error = ENOENT;
	/* What this means for the next one of the number is left open. */
	if (e->open ? m->ghosts[e->fd].haunts : number_is_used(m, e->fd))
		return;
	result = polling_modify(m->p, e->fd, interest, mode, key);
	if (m->ghosts[e->fd].haunts && error == ENOENT && result == 0) {
		m->ghosts[e->fd].key = key;
		return;
	}
	expect_result(m, result, error);
	if (error == 0)
		set_registration(m, i, interest, mode, key);
}

void
do_modify(struct model *m, int i)
{
	uint32_t interest = random_interest(m);

	modify_as(m, i, interest, (enum polling_mode)pick(m, MODES));
}

void
do_delete(struct model *m, int i)
{
	struct end *e = &m->ends[i];
	int result;

	if (!e->open && number_is_used(m, e->fd))
		return;
	note(m, "delete %s", end_name(i));
	result = polling_delete(m->p, e->fd);
	if (!m->ghosts[e->fd].haunts || result != 0)
		expect_result(m, result, e->registered ? 0 : ENOENT);
	m->ghosts[e->fd].haunts = false;
	e->registered = false;
}

void
do_refused(struct model *m, int i)
{
	struct end *e = &m->ends[i];

	if (!e->open)
		return;
	note(m, "add and modify %s with what is refused", end_name(i));
	expect_result(
	    m, polling_add(m->p, e->fd, 1u << 30, POLLING_LEVEL, 0), EINVAL);
	expect_result(m,
	    polling_modify(m->p, e->fd, POLLING_TIMER, POLLING_LEVEL, 0),
	    EINVAL);
	expect_result(m,
	    polling_modify(
		m->p, e->fd, POLLING_IN, (enum polling_mode)MODES, 0),
	    EINVAL);
}

/* What lies between the ends */

#define CHUNK 16384

void
do_write(struct model *m, int i)
{
	static const char bytes[8];
	struct end *e = &m->ends[i], *o = other_end(m, i);
	size_t count = 1 + pick(m, sizeof(bytes));
	long n;

	if (!e->open || !writes(i) || (!e->full && o->writes >= 24))
		return;
	note(m, "write %zu to %s", count, end_name(i));
	n = write_fd(e->fd, bytes, count);
	if (!o->open || e->shut) {
		if (n != -1 || errno != EPIPE)
			disagree(m, "write gave %ld", n);
	} else if (e->full) {
		if (n != -1 || !would_block())
			disagree(m, "write gave %ld", n);
		/* Linux tells the reader of a pipe all the same. */
		may_be_new(o, POLLING_IN);
	} else {
		if (n != (long)count)
			disagree(m, "write gave %ld", n);
		o->unread += count;
		o->writes++;
		is_new(o, POLLING_IN);
	}
}

void
do_fill(struct model *m, int i)
{
	static const char bytes[CHUNK];
	struct end *e = &m->ends[i], *o = other_end(m, i);
	size_t size = sizeof(bytes);

	if (!e->open || !o->open || !writes(i) || e->shut || e->full)
		return;
	note(m, "fill %s", end_name(i));
	while (size > 0) {
		long n = write_fd(e->fd, bytes, size);

		if (n > 0)
			o->unread += (size_t)n;
		else if (would_block())
			size /= 16;
		else
			disagree(m, "write gave %ld", n);
	}
	e->full = true;
	is_new(o, POLLING_IN);
}

/* The count bytes were taken at this end. */
static void
was_read(struct model *m, int i, size_t count)
{
	struct end *e = &m->ends[i], *o = other_end(m, i);

	e->unread -= count;
	if (e->unread > 0)
		return;
	e->writes = 0;
	if (o->full)
		is_new(o, POLLING_OUT);
	o->full = false;
}

void
do_read(struct model *m, int i)
{
	static char bytes[CHUNK];
	struct end *e = &m->ends[i], *o = other_end(m, i);
	size_t count = e->unread;
	long n;

	if (!e->open || !reads(i))
		return;
	/* There is no telling where in between there is room again. */
	if (!o->full && once_in(m, 2))
		count = 1 + pick(m, 16);
	note(m, "read %zu from %s", count, end_name(i));
	if (e->unread == 0) {
		n = read_fd(e->fd, bytes, 1);
		if (e->error              ? n != -1 || errno != ECONNRESET
		    : !o->open || o->shut ? n != 0
					  : n != -1 || !would_block())
			disagree(m, "read gave %ld", n);
		e->error = false;
		return;
	}
	/* Room is told with a hang-up that was told before. */
	may_be_new(o, POLLING_OUT | (conditions(m, i ^ 1) & ALWAYS));
	if (count > e->unread)
		count = e->unread;
	while (count > 0) {
		size_t part = count < CHUNK ? count : CHUNK;

		n = read_fd(e->fd, bytes, part);
		if (n <= 0)
			disagree(m, "read gave %ld", n);
		was_read(m, i, (size_t)n);
		count -= (size_t)n;
	}
}

void
do_shut(struct model *m, int i)
{
	struct end *e = &m->ends[i], *o = other_end(m, i);

	if (!e->open || !is_socket(i) || e->shut || !o->open)
		return;
	note(m, "shut down writing of %s", end_name(i));
	if (shutdown(e->fd, SHUT_WR) != 0)
		disagree(m, "%s", error_text(errno));
	e->shut = true;
	may_be_new(e, UINT32_MAX);
	may_be_new(o, UINT32_MAX);
	is_new(o, POLLING_IN | POLLING_RDHUP);
	if (o->shut) {
		is_new(o, POLLING_HUP);
		is_new(e, POLLING_HUP);
	}
}

/* A source that is not deleted leaves a ghost. Some kernels report it as long
 * as a duplicate is open: the library finds out at its first event, its second,
 * its fourth and so on. */
static void
close_number(struct model *m, struct end *e, bool duplicated)
{
	if (e->registered)
		m->ghosts[e->fd] = (struct ghost){true, e->key,
		    (int)(e - m->ends) / 2, duplicated ? e->reports : 0, false};
	e->registered = false;
	close_fd(e->fd);
}

/* The kernel keeps a file open for a thread that is inside of poll() with it,
 * until the library has called that out: the other end learns of it then. */
static void
await_end(struct model *m, int i)
{
	struct pollfd other = {.fd = other_end(m, i)->fd};
	int64_t give_up = patience();

	while (poll(&other, 1, 0) == 0) {
		if (now_ns() > give_up)
			disagree(m, "the other end is not told");
		yield_thread();
	}
}

static void
close_end(struct model *m, int i)
{
	struct end *e = &m->ends[i], *o = other_end(m, i);
	bool unread = e->unread > 0;

	if (!e->open)
		return;
	close_number(m, e, false);
	e->open = false;
	e->unread = 0;
	if (!o->open || is_file(i))
		return;
	if (hands_wait())
		await_end(m, i);
	may_be_new(o, UINT32_MAX);
	is_new(o, POLLING_IN | POLLING_RDHUP | POLLING_HUP);
	if (is_pipe(i) && reads(i))
		is_new(o, POLLING_ERR);
	if (!is_pipe(i) && unread && m->reset) {
		o->error = true;
		is_new(o, POLLING_ERR);
	}
}

/* Whether that thread is called out for a deletion only. */
static bool
is_kept_open(void)
{
	return strcmp(polling_backend(), "poll") == 0;
}

void
do_close(struct model *m, int i)
{
	if (!m->ends[i].open)
		return;
	if (once_in(m, 2) || (hands_wait() && is_kept_open()))
		do_delete(m, i);
	note(m, "close %s", end_name(i));
	close_end(m, i);
}

/* The end goes on under another number. */
void
do_move(struct model *m, int i)
{
	struct end *e = &m->ends[i];
	polling_fd fd;

	if (!e->open || !m->moves)
		return;
	if (once_in(m, 4))
		do_delete(m, i);
	note(m, "duplicate %s and close the old number", end_name(i));
	fd = duplicate_fd(e->fd);
	ck_assert_int_lt(fd, NUMBERS);
	close_number(m, e, true);
	e->fd = fd;
	/* The same file under the same number may be the same source. */
	if (m->ghosts[fd].haunts && m->ghosts[fd].pair == i / 2)
		do_delete(m, i);
}

/* Each is another file than all the others. */
static void
open_files(int first, polling_fd fds[2])
{
	static const char *const names[FILES] = {
	    "/", "/dev/null", "/dev", "/etc"};

	for (int i = 0; i < 2; i++) {
		fds[i] = open(names[first + i], O_RDONLY | O_CLOEXEC);
		if (fds[i] == -1)
			ck_abort_msg("open: %s", error_text(errno));
	}
}

void
make_pair(struct model *m, int pair)
{
	struct end *ends = &m->ends[2 * pair];
	polling_fd fds[2];

	if (is_file(2 * pair))
		open_files(2 * pair - PAIR_ENDS, fds);
	else if (is_pipe(2 * pair))
		make_pipe(fds);
	else
		make_socketpair(fds);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_lt(fds[i], NUMBERS);
		ends[i] = (struct end){.fd = fds[i], .open = true};
		/* The same file under the same number: see do_move(). */
		if (is_file(2 * pair) && m->ghosts[fds[i]].haunts &&
		    m->ghosts[fds[i]].pair == pair)
			do_delete(m, 2 * pair + i);
	}
}

void
do_renew(struct model *m, int i)
{
	note(m, "close both and make a new %s", end_name(i & ~1));
	close_end(m, i);
	close_end(m, i ^ 1);
	make_pair(m, i / 2);
}
