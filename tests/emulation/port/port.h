/* SPDX-License-Identifier: MIT */
/*
 * port.h - event ports of illumos, emulated on Linux as test equipment.
 *
 * The declarations are those of illumos; port.c tells how far the behaviour
 * goes. POLLING_EMULATION names the system that is imitated: unset or
 * "illumos". POLLING_EMULATION_PORT_LIMIT is how many events and associations
 * a port takes, 65536 unless set. With POLLING_EMULATION_PORT_UNPRIVILEGED in
 * the environment a timer on the monotonic clock is EPERM.
 *
 * The functions for timers have other names behind macros, so that in files
 * that do not include this one those of the C library are what they were.
 * SIGEV_PORT is the only way to be notified that they know.
 */
#ifndef EMULATION_PORT_H
#define EMULATION_PORT_H

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

typedef unsigned int uint_t;
typedef unsigned short ushort_t;
typedef struct timespec timespec_t;

typedef struct port_event {
	int portev_events;       /* what was found, or the sender's number */
	ushort_t portev_source;  /* PORT_SOURCE_ */
	ushort_t portev_pad;     /* of no meaning */
	uintptr_t portev_object; /* the descriptor or the timer; 0 for
				  * PORT_SOURCE_USER */
	void *portev_user;       /* as it was given */
} port_event_t;

#define PORT_SOURCE_TIMER 2
#define PORT_SOURCE_USER  3
#define PORT_SOURCE_FD    4

/* What the sival_ptr of a SIGEV_PORT points to. */
typedef struct port_notify {
	int portnfy_port;
	void *portnfy_user;
} port_notify_t;

#define SIGEV_PORT 4

struct sigevent;

#ifdef __cplusplus
extern "C" {
#endif

int port_create(void);
int port_associate(
    int port, int source, uintptr_t object, int events, void *user);
int port_dissociate(int port, int source, uintptr_t object);
int port_send(int port, int events, void *user);
int port_sendn(int ports[], int errors[], uint_t nent, int events, void *user);
int port_get(int port, port_event_t *event, timespec_t *timeout);
int port_getn(int port, port_event_t list[], uint_t max, uint_t *nget,
    timespec_t *timeout);

int emulation_timer_create(
    clockid_t clock, struct sigevent *how, timer_t *timer);
int emulation_timer_settime(timer_t timer, int flags,
    const struct itimerspec *value, struct itimerspec *old);
int emulation_timer_delete(timer_t timer);

#define timer_create  emulation_timer_create
#define timer_settime emulation_timer_settime
#define timer_delete  emulation_timer_delete

#ifdef __cplusplus
}
#endif

#endif
