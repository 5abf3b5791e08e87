# SPDX-License-Identifier: MIT
#
# POLLING_BACKEND
# ---------------
# Finds the event interfaces of the host and chooses the one backend that is
# linked: the first usable one in the order below, or what --with-backend
# says. A backend is usable if the host has its interface and this release has
# its file, lib/NAME.c. Substitutes BACKEND.
#
# To add a backend: a POLLING_CANDIDATE line here, lib/NAME.c, and its name in
# Makefile.am.

# POLLING_CANDIDATE(NAME, INTERFACE, INCLUDES, CALL)
# Adds NAME to $polling_found if a program that makes CALL links.
AC_DEFUN([POLLING_CANDIDATE], [
  AC_CACHE_CHECK([for $2], [polling_cv_interface_$1],
    [AC_LINK_IFELSE([AC_LANG_PROGRAM([[$3]], [[$4]])],
      [polling_cv_interface_$1=yes], [polling_cv_interface_$1=no])])
  AS_IF([test "$polling_cv_interface_$1" = yes],
    [AS_IF([test -f "$srcdir/lib/$1.c"],
      [polling_found="$polling_found $1"],
      [polling_unwritten="$polling_unwritten $1"])])
])

AC_DEFUN([POLLING_BACKEND], [
  polling_found=
  polling_unwritten=
  # Linux, Android and Redox. The system calls keep out what only imitates
  # the functions on top of another interface, which is then the better one.
  POLLING_CANDIDATE([epoll], [epoll_create1],
    [#include <sys/epoll.h>
     #include <sys/syscall.h>
     #include <unistd.h>],
    [return epoll_create1(EPOLL_CLOEXEC) + (int)syscall(SYS_epoll_pwait);])
  # The BSDs and the Apple systems. EV_DISPATCH came to all of them long ago;
  # without it poll() is the better one.
  POLLING_CANDIDATE([kqueue], [kqueue],
    [#include <sys/types.h>
     #include <sys/event.h>], [return kqueue() + EV_DISPATCH;])
  # illumos and Solaris.
  POLLING_CANDIDATE([port], [port_create],
    [#include <port.h>], [return port_create();])
  # Every other Unix.
  POLLING_CANDIDATE([poll], [poll],
    [#include <poll.h>], [struct pollfd f = {0}; return poll(&f, 1, 0);])
  # Windows, through MinGW. Cygwin has it too, but is a Unix to its programs.
  POLLING_CANDIDATE([iocp], [Winsock and completion ports],
    [#include <winsock2.h>
     #include <windows.h>],
    [return !CreateIoCompletionPort(INVALID_HANDLE_VALUE, 0, 0, 0);])

  AC_ARG_WITH([backend],
    [AS_HELP_STRING([--with-backend=NAME],
      [use this backend instead of the best one that works here])],
    [], [with_backend=auto])
  AS_CASE([$with_backend],
    [auto|yes], [
      set dummy $polling_found
      BACKEND=$[2]
      AS_IF([test -z "$BACKEND"],
        [AC_MSG_ERROR([no backend of this release works here; this system offers:${polling_unwritten:- nothing known}])])],
    [
      BACKEND=
      for polling_name in $polling_found; do
        AS_IF([test "$polling_name" = "$with_backend"],
          [BACKEND=$with_backend])
      done
      AS_IF([test -z "$BACKEND"],
        [AC_MSG_ERROR([--with-backend=$with_backend does not work here; choose one of: auto$polling_found
(what tests/emulation has of kqueue and event ports is for make check only)])])])
  AC_SUBST([BACKEND])
  # The suites run over poll as well, where there is such a function.
  AS_CASE(["$BACKEND $polling_found "], [poll\ *], [polling_twin=no],
    [*\ poll\ *], [polling_twin=yes], [polling_twin=no])
  AM_CONDITIONAL([POLL_TWIN], [test "$polling_twin" = yes])
  # The emulations of other kernels for the tests are made of Linux.
  AM_CONDITIONAL([EMULATE], [test "$BACKEND" = epoll])
])
