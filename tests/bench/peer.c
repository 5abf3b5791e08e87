/* SPDX-License-Identifier: MIT */
/*
 * peer.c - the list of what is compared.
 */
#include "peer.h"

struct work work;

const struct peer *const peers[] = {
    &peer_epoll,
    &peer_poll,
    &peer_polling,
#ifdef WITH_LIBEV
    &peer_libev,
#endif
#ifdef WITH_LIBEVENT
    &peer_libevent,
#endif
#ifdef WITH_LIBUV
    &peer_libuv,
#endif
#ifdef WITH_IVYKIS
    &peer_ivykis,
#endif
    NULL,
};

bool
peer_can(const struct peer *p, const struct setup *s)
{
	if (s->poll ? !p->poll : p->poll_only)
		return false;
	if (s->poll && s->mode == EDGE)
		return false;
	if (s->notify && p->notify == NULL)
		return false;
	return (p->modes & 1u << s->mode) != 0;
}
