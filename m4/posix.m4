# SPDX-License-Identifier: MIT
#
# POLLING_POSIX
# -------------
# What the library uses of a POSIX system. Each probe says which system needs
# it and who uses it.
AC_DEFUN([POLLING_POSIX], [
  # Threads
  AC_SUBST([PTHREAD_FLAG], [-pthread])
  # In the C library on most systems, in -lpthread on others; lock.h.
  AC_SEARCH_LIBS([pthread_mutex_lock], [pthread], [],
    [AC_MSG_ERROR([POSIX threads are needed])])
  AC_SEARCH_LIBS([pthread_create], [pthread], [],
    [AC_MSG_ERROR([POSIX threads are needed])])
  # fork: polling.c, fork.c; Fuchsia and others have none. pthread_atfork: fork.c.
  # pthread_setcancelstate: cancel.h; Android has no cancellation.
  AC_CHECK_FUNCS([fork pthread_atfork pthread_setcancelstate])

  # The clock
  # In -lrt on glibc before 2.17 and Solaris before 11; clock.c.
  AC_SEARCH_LIBS([clock_gettime], [rt], [],
    [AC_MSG_ERROR([clock_gettime is needed])])
  # clock.c. The wall clock will not do in its place: a program that relies on
  # polling_now() would break when that is set. Some C libraries have the name but
  # not the clock, so it is read where programs can be run.
  AC_CACHE_CHECK([for a monotonic clock], [polling_cv_monotonic_clock],
    [AC_RUN_IFELSE([AC_LANG_PROGRAM([[#include <time.h>]],
        [[struct timespec t; return clock_gettime(CLOCK_MONOTONIC, &t) != 0;]])],
      [polling_cv_monotonic_clock=yes], [polling_cv_monotonic_clock=no],
      [AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <time.h>]],
          [[return (int)CLOCK_MONOTONIC;]])],
        [polling_cv_monotonic_clock=yes], [polling_cv_monotonic_clock=no])])])
  AS_IF([test "$polling_cv_monotonic_clock" = no],
    [AC_MSG_ERROR([clock_gettime with CLOCK_MONOTONIC is needed])])

  # sigaction: signals.c. waitid: process.c; it came late to the BSDs, and where
  # it is missing kqueue is asked alone. What lacks both has no such sources.
  AC_CHECK_FUNCS([sigaction waitid])
  # pidfd_open: process.c, by its number. Not on Android, as epoll_pwait2 below.
  AS_CASE([$host_os], [*android*], [],
    [AC_CHECK_DECL([SYS_pidfd_open],
      [AC_DEFINE([HAVE_PIDFD_OPEN], [1],
        [Define to 1 if <sys/syscall.h> knows SYS_pidfd_open.])],
      [], [[#include <sys/syscall.h>]])])

  # What backends use where it exists
  # getpeername: refused.c. In -lsocket on illumos, and on Solaris before 11.4.
  AC_SEARCH_LIBS([getpeername], [socket network])
  # ppoll: poll.c, for timeouts below a millisecond. macOS has none.
  AC_CHECK_FUNCS([ppoll])
  # PR_SET_TIMERSLACK: slack.c, for waits of a few milliseconds or less, and its
  # test in test-waiting.c. Linux.
  AC_CHECK_DECLS([PR_SET_TIMERSLACK], [], [], [[#include <sys/prctl.h>]])
  # What a wake-up is made of, best first; wakeup.c. eventfd: Linux, FreeBSD 13
  # and later, HermitOS. pipe2: macOS has none. pipe: HermitOS and VxWorks may
  # have none; then it is sockets, of the loopback if there is no socketpair.
  AC_CHECK_FUNCS([eventfd pipe2 pipe])
  AS_IF([test "$ac_cv_func_pipe2$ac_cv_func_pipe" = nono],
    [AC_SEARCH_LIBS([socket], [socket network], [],
      [AC_MSG_ERROR([pipes or sockets are needed])])
    AC_CHECK_FUNCS([socketpair])])
  # timerfd_create: epoll.c, for polling_get_fd(); and a descriptor that
  # test-conditions.c watches. Linux, and later releases of FreeBSD and NetBSD.
  AC_CHECK_FUNCS([timerfd_create])
  # timer_create: port.c. In -lrt on Solaris before 11.
  AS_IF([test "$BACKEND" = port], [AC_SEARCH_LIBS([timer_create], [rt])])
  # kqueue1: kqueue.c, for close-on-exec without a gap. NetBSD, and newer FreeBSD
  # and OpenBSD.
  AC_CHECK_FUNCS([kqueue1])
  # Whether kevent() takes its timeouts by a clock finer than the ticks of old,
  # for kqueue.c to say: FreeBSD counts in sbintime_t, the Apple systems in units
  # of mach_absolute_time().
  AC_CHECK_TYPE([sbintime_t], [polling_fine_kevent=yes],
    [AC_CHECK_HEADER([mach/mach_time.h], [polling_fine_kevent=yes],
      [polling_fine_kevent=no])],
    [[#include <sys/types.h>
      #include <sys/time.h>]])
  AS_IF([test "$polling_fine_kevent" = yes],
    [AC_DEFINE([HAVE_FINE_KEVENT], [1],
      [Define to 1 if the timeouts of kevent() are finer than a millisecond.])])
  # epoll_pwait2: epoll.c, for timeouts below a millisecond, called by its
  # number since C libraries came to it late. Android kills a process for a call
  # that is not on its list, so that it cannot be tried there.
  AS_CASE([$host_os], [*android*], [],
    [AC_CHECK_DECL([SYS_epoll_pwait2],
      [AC_DEFINE([HAVE_EPOLL_PWAIT2], [1],
        [Define to 1 if <sys/syscall.h> knows SYS_epoll_pwait2.])],
      [], [[#include <sys/syscall.h>]])])
])
