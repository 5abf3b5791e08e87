/* SPDX-License-Identifier: MIT */
/*
 * sys/event.h - kqueue, as tests/emulation/kqueue provides it on Linux.
 *
 * The layout is that of FreeBSD. Every constant is defined, whichever system
 * is emulated: what it lacks is refused at run time. Their values are no
 * system's in particular.
 */
#ifndef EMULATION_SYS_EVENT_H
#define EMULATION_SYS_EVENT_H

/* As the real one, whose macros no compiler warns about. */
#pragma GCC system_header

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kevent {
	uintptr_t ident;
	short filter;
	unsigned short flags;
	unsigned int fflags;
	int64_t data;
	void *udata;
};

#define EV_SET(event_, ident_, filter_, flags_, fflags_, data_, udata_) \
	do {                                                            \
		struct kevent *ev_set_ = (event_);                      \
		ev_set_->ident = (ident_);                              \
		ev_set_->filter = (filter_);                            \
		ev_set_->flags = (flags_);                              \
		ev_set_->fflags = (fflags_);                            \
		ev_set_->data = (data_);                                \
		ev_set_->udata = (udata_);                              \
	} while (0)

/* Filters. Of these, SIGNAL and VNODE are not emulated. */
#define EVFILT_READ   (-1)
#define EVFILT_WRITE  (-2)
#define EVFILT_VNODE  (-4)
#define EVFILT_PROC   (-5)
#define EVFILT_SIGNAL (-6)
#define EVFILT_TIMER  (-7)
#define EVFILT_USER   (-11)
#define EVFILT_EXCEPT (-15)

/* What to do, and how to report. */
#define EV_ADD      0x0001
#define EV_DELETE   0x0002
#define EV_ENABLE   0x0004
#define EV_DISABLE  0x0008
#define EV_ONESHOT  0x0010
#define EV_CLEAR    0x0020
#define EV_RECEIPT  0x0040
#define EV_DISPATCH 0x0080

/* What is returned. */
#define EV_ERROR 0x4000
#define EV_EOF   0x8000

/* Of READ and WRITE, and of EXCEPT. */
#define NOTE_LOWAT 0x00000001u
#define NOTE_OOB   0x00000004u

/* Of PROC. */
#define NOTE_EXIT 0x80000000u
#define NOTE_FORK 0x40000000u
#define NOTE_EXEC 0x20000000u

/* Of USER. */
#define NOTE_FFNOP      0x00000000u
#define NOTE_FFAND      0x40000000u
#define NOTE_FFOR       0x80000000u
#define NOTE_FFCOPY     0xc0000000u
#define NOTE_FFCTRLMASK 0xc0000000u
#define NOTE_FFLAGSMASK 0x00ffffffu
#define NOTE_TRIGGER    0x01000000u

int kqueue(void);
/* flags: O_CLOEXEC, O_NONBLOCK. */
int kqueue1(int flags);
int kevent(int kq, const struct kevent *changes, int nchanges,
    struct kevent *events, int nevents, const struct timespec *timeout);

#ifdef __cplusplus
}
#endif

#endif
