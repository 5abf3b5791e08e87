# SPDX-License-Identifier: MIT
#
# POLLING_WINDOWS
# ---------------
# What the library uses of Windows 7 and later: all of it is there, so that
# nothing is probed. What came with later versions is looked for by the running
# library, see waitable.c.
AC_DEFUN([POLLING_WINDOWS], [
  AC_DEFINE([_WIN32_WINNT], [0x0601],
    [Define to the oldest Windows that the headers are to speak of.])
  AC_DEFINE([HAVE_HANDLES], [1],
    [Define to 1 if descriptors are any handles instead of small numbers.])
  # lock.h.
  AC_DEFINE([HAVE_SRWLOCK], [1],
    [Define to 1 if there are slim reader/writer locks.])
  # clock.c. There is a clock_gettime(), in a library of MinGW that programs
  # would need beside this one.
  AC_DEFINE([HAVE_QUERYPERFORMANCECOUNTER], [1],
    [Define to 1 if QueryPerformanceCounter() is the clock.])
  # Sockets: iocp.c, afd.c. The Nt functions: afd.c, waitable.c, winerror.c.
  LIBS="-lws2_32 -lntdll $LIBS"
])
