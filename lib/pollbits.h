/* SPDX-License-Identifier: MIT */
/*
 * pollbits.h - interest and conditions in the words of poll().
 */
#ifndef LIBPOLLING_POLLBITS_H
#define LIBPOLLING_POLLBITS_H

#include <poll.h>
#include <stdint.h>

#include "polling.h"

/* Linux, FreeBSD and illumos tell of it; elsewhere a poll() cannot. */
#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

/* What poll() is to be asked for an interest. */
static inline short
poll_events(uint32_t interest)
{
	int events = 0;

	if (interest & POLLING_IN)
		events |= POLLIN;
	if (interest & POLLING_OUT)
		events |= POLLOUT;
	if (interest & POLLING_PRI)
		events |= POLLPRI;
	if (interest & POLLING_RDHUP)
		events |= POLLRDHUP;
	return (short)events;
}

/* The conditions that poll() reports with revents; POLLNVAL is none. */
static inline uint32_t
poll_conditions(int revents)
{
	uint32_t conditions = 0;

	if (revents & POLLIN)
		conditions |= POLLING_IN;
	if (revents & POLLOUT)
		conditions |= POLLING_OUT;
	if (revents & POLLPRI)
		conditions |= POLLING_PRI;
	if (revents & POLLRDHUP)
		conditions |= POLLING_RDHUP;
	if (revents & POLLHUP)
		conditions |= POLLING_HUP;
	if (revents & POLLERR)
		conditions |= POLLING_ERR;
	return conditions;
}

#endif
