/* SPDX-License-Identifier: MIT */
/*
 * model.c - a model of the contract: what a poller has been asked for, what is
 * true of the sources, and what a wait must and may report for it.
 *
 * Where the contract leaves a choice, the model has two sets: what an event
 * must have at least, and what it may have. Only edges and notifications need
 * that. What is new since the last report of an edge source must be reported;
 * what merely holds may come along; and if nothing has happened to a source,
 * it is silent.
 */
#include "model-parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Telling */

void
note(struct model *m, const char *format, ...)
{
	char *text = m->text[m->operations++ % OPERATIONS];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, OPERATION_SIZE, format, arguments);
	va_end(arguments);
	if (m->verbose)
		printf("%d: %s\n", m->step, text);
}

void
disagree(struct model *m, const char *format, ...)
{
	char what[512], history[OPERATIONS * (OPERATION_SIZE + 2)] = "";
	char where[64],
	    text[sizeof(what) + sizeof(history) + 2 * sizeof(where)];
	unsigned first = m->operations < OPERATIONS
			     ? 0
			     : m->operations - OPERATIONS;
	size_t length = 0;
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	for (unsigned i = first; i < m->operations; i++)
		length += (size_t)snprintf(history + length,
		    sizeof(history) - length, "\n  %s",
		    m->text[i % OPERATIONS]);
	if (m->fed)
		(void)snprintf(
		    where, sizeof(where), "step %d of the input", m->step);
	else
		(void)snprintf(where, sizeof(where),
		    "POLLING_TEST_SEED=%" PRIu64 ", step %d", m->seed, m->step);
	(void)snprintf(
	    text, sizeof(text), "%s: %s, after%s", where, what, history);
	if (m->tell != NULL)
		m->tell(text);
	ck_abort_msg("%s", text);
}

/* The call, whose result and errno are those of the last operation noted. */
void
expect_result(struct model *m, int result, int error)
{
	int got = result == 0 ? 0 : errno;

	if ((result != 0 && result != -1) || got != error)
		disagree(m, "it gave %d (%s) and not %s", result,
		    error_text(got), error_text(error));
}

/* Chance */

/* SplitMix64. */
static uint64_t
next_random(struct model *m)
{
	uint64_t z = m->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The next byte of the input; 0 behind its end. */
static uint8_t
next_byte(struct model *m)
{
	if (m->left == 0)
		return 0;
	m->left--;
	return *m->input++;
}

static void
record_byte(struct model *m, unsigned byte)
{
	if (m->recorded < m->record_room)
		m->record[m->recorded++] = (uint8_t)byte;
}

/* One of 0 to count - 1, which is 256 at most. With a greater count for inputs
 * than for seeds, those that were recorded still choose the same. */
unsigned
pick(struct model *m, unsigned count)
{
	unsigned choice;

	if (m->bytes)
		return next_byte(m) % count;
	choice = (unsigned)(next_random(m) % count);
	record_byte(m, choice);
	return choice;
}

uint32_t
any_bits(struct model *m)
{
	uint32_t bits = m->bytes ? 0 : (uint32_t)next_random(m);

	for (int shift = 0; shift < 32; shift += 8) {
		if (m->bytes)
			bits |= (uint32_t)next_byte(m) << shift;
		else
			record_byte(m, bits >> shift & 0xff);
	}
	return bits;
}

/* True once in count times. */
bool
once_in(struct model *m, unsigned count)
{
	return pick(m, count) == 0;
}

/* Each key is another one, and all sizes occur. */
uintptr_t
new_key(struct model *m)
{
	return (uintptr_t)(m->serial++ * UINT64_C(0x9e3779b97f4a7c15));
}

uint32_t
random_interest(struct model *m)
{
	static const uint32_t interests[] = {POLLING_IN, POLLING_IN,
	    POLLING_OUT, POLLING_OUT, READ_WRITE, READ_WRITE,
	    POLLING_IN | POLLING_RDHUP, READ_WRITE | POLLING_RDHUP,
	    POLLING_RDHUP, POLLING_OUT | POLLING_RDHUP, POLLING_PRI,
	    POLLING_IN | POLLING_PRI, POLLING_HUP, POLLING_ERR,
	    POLLING_IN | POLLING_HUP, READ_WRITE | ALWAYS | POLLING_RDHUP, 0};

	return interests[pick(m, sizeof(interests) / sizeof(interests[0]))];
}

/* The model */

bool
is_file(int i)
{
	return i >= PAIR_ENDS;
}

bool
is_pipe(int i)
{
	return i >= 2 * SOCKET_PAIRS && !is_file(i);
}

bool
is_socket(int i)
{
	return i < 2 * SOCKET_PAIRS;
}

/* The first end of a pipe reads, the second writes; sockets do both. Of files
 * nothing gets to the other one. */
bool
reads(int i)
{
	return is_socket(i) || (is_pipe(i) && i % 2 == 0);
}

bool
writes(int i)
{
	return is_socket(i) || (is_pipe(i) && i % 2 == 1);
}

struct end *
other_end(struct model *m, int i)
{
	return &m->ends[i ^ 1];
}

static bool
is_edge(const struct end *e)
{
	return e->mode == POLLING_EDGE || e->mode == POLLING_EDGE_ONESHOT;
}

bool
disarms(const struct end *e)
{
	return e->mode == POLLING_ONESHOT || e->mode == POLLING_EDGE_ONESHOT;
}

/* What holds of an open end. */
uint32_t
conditions(struct model *m, int i)
{
	const struct end *e = &m->ends[i], *o = other_end(m, i);
	uint32_t c = 0;

	if (is_file(i))
		return READ_WRITE;
	if (reads(i) && e->unread > 0)
		c |= POLLING_IN;
	if (writes(i) && !e->full)
		c |= POLLING_OUT;
	if (e->error)
		c |= POLLING_ERR;
	if (is_pipe(i)) {
		if (!o->open)
			c |= reads(i) ? POLLING_HUP : POLLING_ERR;
		return c;
	}
	if (!o->open || o->shut)
		c |= POLLING_IN | m->rdhup;
	if (!o->open || (o->shut && e->shut))
		c |= POLLING_HUP;
	return c;
}

/* What may hold or not: whether a write that would fail would block first. */
uint32_t
doubtful(struct model *m, int i)
{
	return m->ends[i].full && m->ends[i].shut ? POLLING_OUT : 0;
}

/* What is told of these conditions. */
uint32_t
report(const struct end *e, uint32_t c)
{
	uint32_t r = c & e->interest & ~ALWAYS;

	if (!e->registered || !e->armed)
		return 0;
	if (c & ALWAYS)
		r |= (c & ALWAYS) | (e->interest & READ_WRITE);
	return r;
}

/* What an event of this end must have; 0 if it need not come. */
uint32_t
least(struct model *m, int i)
{
	const struct end *e = &m->ends[i];
	uint32_t c;

	if (!e->open)
		return 0;
	c = conditions(m, i);
	return report(e, is_edge(e) ? c & e->news : c);
}

/* What it may have at most; 0 if it may not come. */
uint32_t
most(struct model *m, int i)
{
	const struct end *e = &m->ends[i];

	if (!e->open)
		return 0;
	/* To be rid of a ghost all sources may have to be watched anew. */
	if (is_edge(e) && e->news == 0 && !e->stirred && !m->moves)
		return 0;
	return report(e, conditions(m, i) | doubtful(m, i));
}

/* New conditions, which an edge source that asks for them reports. */
void
is_new(struct end *e, uint32_t news)
{
	if (!e->registered || !e->armed)
		return;
	e->news |= news;
	if (news & (e->interest | ALWAYS))
		e->stirred = true;
}

/* Something that may be new: whether it is told is left open. */
void
may_be_new(struct end *e, uint32_t news)
{
	if (news & (e->interest | ALWAYS))
		e->stirred = true;
}

void
set_registration(struct model *m, int i, uint32_t interest,
    enum polling_mode mode, uintptr_t key)
{
	struct end *e = &m->ends[i];

	e->registered = true;
	e->armed = interest != 0;
	e->interest = interest;
	e->mode = mode;
	e->key = key;
	/* It is looked at as if all of it were new. */
	e->news = UINT32_MAX;
	e->stirred = true;
}

bool
mode_is_known(struct model *m, enum polling_mode mode)
{
	return m->edges || mode == POLLING_ONESHOT || mode == POLLING_LEVEL;
}
