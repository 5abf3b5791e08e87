# SPDX-License-Identifier: MIT
#
# POLLING_WINE
# ------------
# Whether programs for Windows, cross-compiled elsewhere, can be run by Wine,
# for make check. Only a program that prints a word and exits with 42 is
# believed: Wine without its 32-bit half exits with 0 for a 32-bit program and
# runs nothing, and so it does for a file that is no program at all.
#
# Wine keeps its registry and its drives in WINEPREFIX, which is in the build
# folder unless the user has one; making it takes some seconds. libtool asks
# Wine for the names of folders while it links, so that LIBTOOL gets the same
# settings.
#
# Substitutes WINE, WINEPREFIX and WINE_RUNS: yes, no, or "native" if nothing is
# needed to run programs.
AC_DEFUN([POLLING_WINE], [
  AC_ARG_VAR([WINE], [runs programs for Windows, for make check])
  AC_ARG_VAR([WINEPREFIX], [what Wine keeps, by default in the build folder])
  AS_IF([test "$cross_compiling" != yes], [WINE_RUNS=native],
    [AC_CHECK_PROGS([WINE], [wine wine64], [none])
    AS_IF([test -z "$WINEPREFIX"], [WINEPREFIX=`pwd`/wine-prefix])
    polling_wine_env="WINEPREFIX=$WINEPREFIX WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml="
    LIBTOOL="env $polling_wine_env $LIBTOOL"
    AC_CACHE_CHECK([whether $WINE runs programs for $host],
      [polling_cv_wine_runs],
      [polling_cv_wine_runs=no
      AS_IF([test "$WINE" != none],
        [AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]],
            [[puts("it runs"); return 42;]])],
          [# A Wine that waits for something is none that runs programs.
          polling_timeout=
          AS_IF([timeout 1 true 2>/dev/null], [polling_timeout="timeout 120"])
          env $polling_wine_env $polling_timeout $WINE ./conftest$EXEEXT \
            >conftest.out 2>&AS_MESSAGE_LOG_FD </dev/null
          AS_IF([test $? = 42 && grep '^it runs' conftest.out >/dev/null],
            [polling_cv_wine_runs=yes])
          rm -f conftest.out])])])
    WINE_RUNS=$polling_cv_wine_runs])
  AC_SUBST([WINE_RUNS])
])
