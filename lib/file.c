/* SPDX-License-Identifier: MIT */
/*
 * file.c - the queue of descriptors that never block.
 *
 * While it is queued a record's next is the descriptor behind it and its slot
 * the one before it; kernel holds the identity of the file.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "file.h"

/* One step of the FNV-1a hash, over the four bytes of a value at once: it is
 * to tell files apart, not to withstand an attack. */
static uint32_t
mix(uint32_t hash, uint64_t value)
{
	hash = (hash ^ (uint32_t)value) * 16777619u;
	return (hash ^ (uint32_t)(value >> 32)) * 16777619u;
}

int
file_inspect(int fd, uint32_t *identity, mode_t *mode)
{
	/* Some systems have one device and inode number for all sockets: there
	 * a socket that takes the number of one that was closed is not told
	 * from it. */
	struct stat st;
	uint32_t hash = 2166136261u;

	if (fstat(fd, &st) < 0)
		return -errno;
	hash = mix(hash, (uint64_t)st.st_dev);
	*identity = mix(hash, (uint64_t)st.st_ino);
	*mode = st.st_mode;
	return 0;
}

int
file_identity(int fd, uint32_t *identity)
{
	mode_t mode;

	return file_inspect(fd, identity, &mode);
}

int
file_never_blocks(int fd, mode_t mode)
{
	if (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISBLK(mode))
		return 0;
#ifdef O_PATH
	if (fcntl(fd, F_GETFL) & O_PATH)
		return -EBADF;
#else
	(void)fd;
#endif
	return 1;
}

static void
append(struct file_queue *q, struct registry *r, int fd, struct source *s)
{
	s->flags |= SOURCE_QUEUED;
	s->next = NO_FD;
	s->slot = (uint32_t)q->tail;
	if (q->tail != NO_FD)
		registry_known(r, q->tail)->next = fd;
	else
		q->head = fd;
	q->tail = fd;
	q->count++;
}

void
file_remove(struct file_queue *q, struct registry *r, int fd, struct source *s)
{
	int32_t before = (int32_t)s->slot;

	(void)fd;
	if (!(s->flags & SOURCE_QUEUED))
		return;
	s->flags &= (uint8_t)~SOURCE_QUEUED;
	if (before != NO_FD)
		registry_known(r, before)->next = s->next;
	else
		q->head = s->next;
	if (s->next != NO_FD)
		registry_known(r, s->next)->slot = (uint32_t)before;
	else
		q->tail = before;
	q->count--;
	q->removals++;
}

int
file_add(struct file_queue *q, struct registry *r, int fd, struct source *s)
{
	int error = file_identity(fd, &s->kernel);

	if (error != 0)
		return error;
	/* The link next is the queue's from now on. */
	registry_unchange(r, fd);
	s->flags |= SOURCE_FILE;
	if (s->flags & SOURCE_ARMED)
		append(q, r, fd, s);
	return 0;
}

void
file_modify(struct file_queue *q, struct registry *r, int fd, struct source *s)
{
	file_remove(q, r, fd, s);
	if (s->flags & SOURCE_ARMED)
		append(q, r, fd, s);
}

bool
file_is(int fd, uint32_t identity)
{
	uint32_t now = 0;
	int error = file_identity(fd, &now);

	if (error == 0)
		return now == identity;
	/* BSDs and macOS say EBADF of a terminal that was revoked, too. */
	return error != -EBADF || fcntl(fd, F_GETFD) >= 0;
}

bool
file_known(int fd, const struct source *s)
{
	return file_is(fd, s->kernel);
}

void
file_prune(struct registry *r)
{
	int fd = NO_FD;

	while ((fd = registry_next(r, fd)) != NO_FD) {
		const struct source *s = registry_known(r, fd);

		if (!(s->flags & SOURCE_FILE) && !file_is(fd, s->slot))
			registry_remove(r, fd);
	}
}

int
file_collect(struct file_queue *q, struct registry *r,
    struct polling_event *out, int max, unsigned *budget)
{
	int n = 0;

	while (n < max && *budget != 0 && q->head != NO_FD) {
		int fd = q->head;
		struct source *s = registry_known(r, fd);
		uint32_t report = source_report(s, POLLING_IN | POLLING_OUT);

		--*budget;
		file_remove(q, r, fd, s);
		if (!file_known(fd, s)) {
			registry_remove(r, fd);
			continue;
		}
		/* A report of nothing: the interest asks for neither. */
		if (report != 0) {
			out[n].key = s->key;
			out[n].events = report;
			out[n].data = 0;
			n++;
		}
		if (report != 0 && source_is_oneshot(s))
			s->flags &= (uint8_t)~SOURCE_ARMED;
		else if (report != 0 && !source_is_edge(s))
			append(q, r, fd, s);
	}
	return n;
}
