/* SPDX-License-Identifier: MIT */
/*
 * table.c - the lock, the memory and the numbers of the emulation.
 *
 * The memory is not malloc()'s: port_send() is called in signal handlers that
 * have interrupted malloc(), and the tests let malloc() fail, which no kernel
 * uses. What is freed is kept for the next one.
 */
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK       65536u
#define PORT_CHAINS 1024u
#define FD_CHAINS   65536u
#define LIMIT       65536u

/* Blocks of one size; a free one begins with a pointer to the next. */
struct pool {
	size_t size;
	void *free;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pool ports = {.size = sizeof(struct port)};
static struct pool events = {.size = sizeof(struct event)};
static struct port *port_chains[PORT_CHAINS];
static struct event *fd_chains[FD_CHAINS];
/* How many ports and associations have a number that belongs here. */
static atomic_uint fd_counts[FD_CHAINS];

void
emulation_lock_only(void)
{
	(void)pthread_mutex_lock(&mutex);
}

void
emulation_unlock_only(void)
{
	(void)pthread_mutex_unlock(&mutex);
}

void
emulation_lock(struct guard *g)
{
	sigset_t all;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &g->cancel);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &g->mask);
	emulation_lock_only();
}

void
emulation_unlock(const struct guard *g)
{
	/* A copy: g may be shared, and is the next one's from here on. */
	struct guard mine = *g;

	emulation_unlock_only();
	(void)pthread_sigmask(SIG_SETMASK, &mine.mask, NULL);
	(void)pthread_setcancelstate(mine.cancel, NULL);
}

void
emulation_wait_for(pthread_cond_t *condition)
{
	(void)pthread_cond_wait(condition, &mutex);
}

static void
give(struct pool *pool, void *block)
{
	memcpy(block, &pool->free, sizeof(void *));
	pool->free = block;
}

/* A block of zeros, or NULL with errno set. */
static void *
take(struct pool *pool)
{
	void *block;

	if (pool->free == NULL) {
		char *chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (chunk == MAP_FAILED) {
			errno = ENOMEM;
			return NULL;
		}
		for (size_t i = CHUNK / pool->size; i-- > 0;)
			give(pool, chunk + i * pool->size);
	}
	block = pool->free;
	/* A chunk has room for one at least.
	 * NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	memcpy(&pool->free, block, sizeof(void *));
	memset(block, 0, pool->size);
	return block;
}

static void
count(int fd, int change)
{
	atomic_fetch_add_explicit(&fd_counts[(unsigned)fd % FD_CHAINS],
	    (unsigned)change, memory_order_relaxed);
}

bool
emulation_may_know(int fd)
{
	return atomic_load_explicit(&fd_counts[(unsigned)fd % FD_CHAINS],
		   memory_order_relaxed) != 0;
}

static size_t
limit(void)
{
	const char *text = getenv("POLLING_EMULATION_PORT_LIMIT");

	return text != NULL ? (size_t)strtoul(text, NULL, 10) : LIMIT;
}

struct port *
emulation_new_port(int fd, int bell)
{
	struct port *p = take(&ports);
	struct port **chain = &port_chains[(unsigned)fd % PORT_CHAINS];

	if (p == NULL)
		return NULL;
	p->fd = fd;
	p->bell = bell;
	p->limit = limit();
	p->gone = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	p->number_next = *chain;
	*chain = p;
	count(fd, 1);
	return p;
}

void
emulation_free_port(struct port *p)
{
	struct port **link = &port_chains[(unsigned)p->fd % PORT_CHAINS];

	while (*link != p)
		link = &(*link)->number_next;
	*link = p->number_next;
	count(p->fd, -1);
	(void)pthread_cond_destroy(&p->gone);
	give(&ports, p);
}

struct port *
emulation_port(int fd)
{
	struct port *p = port_chains[(unsigned)fd % PORT_CHAINS];

	while (p != NULL && p->fd != fd)
		p = p->number_next;
	return p;
}

struct port *
emulation_next_port(const struct port *p)
{
	unsigned chain = 0;

	if (p != NULL) {
		if (p->number_next != NULL)
			return p->number_next;
		chain = (unsigned)p->fd % PORT_CHAINS + 1;
	}
	while (chain < PORT_CHAINS && port_chains[chain] == NULL)
		chain++;
	return chain < PORT_CHAINS ? port_chains[chain] : NULL;
}

static void
link_association(struct event *e)
{
	struct event **chain = &fd_chains[(unsigned)e->fd % FD_CHAINS];

	e->number_next = *chain;
	*chain = e;
	e->port_next = e->port->associations;
	if (e->port_next != NULL)
		e->port_next->port_previous = e;
	e->port->associations = e;
	count(e->fd, 1);
}

static void
unlink_association(struct event *e)
{
	struct event **link = &fd_chains[(unsigned)e->fd % FD_CHAINS];

	while (*link != e)
		link = &(*link)->number_next;
	*link = e->number_next;
	count(e->fd, -1);
	if (e->port_next != NULL)
		e->port_next->port_previous = e->port_previous;
	if (e->port_previous != NULL)
		e->port_previous->port_next = e->port_next;
	else
		e->port->associations = e->port_next;
}

struct event *
emulation_new_event(struct port *p, int source, int fd)
{
	static unsigned generation;
	struct event *e;

	if (p->count >= p->limit) {
		errno = EAGAIN;
		return NULL;
	}
	e = take(&events);
	if (e == NULL)
		return NULL;
	p->count++;
	e->port = p;
	e->source = source;
	if (source == PORT_SOURCE_FD) {
		e->fd = fd;
		e->object = (uintptr_t)fd;
		e->generation = ++generation;
		link_association(e);
	}
	return e;
}

void
emulation_free_event(struct event *e)
{
	if (e->source == PORT_SOURCE_FD)
		unlink_association(e);
	e->port->count--;
	give(&events, e);
}

struct event *
emulation_association(const struct port *p, int fd)
{
	struct event *e = fd_chains[(unsigned)fd % FD_CHAINS];

	while (e != NULL && (e->fd != fd || (p != NULL && e->port != p)))
		e = e->number_next;
	return e;
}
