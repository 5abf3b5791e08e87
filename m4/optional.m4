# SPDX-License-Identifier: MIT

# POLLING_OPTIONAL(NAME, MODULE, HEADER, STATEMENT)
# -------------------------------------------------
# Looks for a library that only an example or a benchmark needs: sets the
# conditional HAVE_NAME, NAME_CFLAGS and NAME_LIBS. If MODULE is empty, since
# pkg-config does not know the library, NAME_LIBS is set already. It is linked
# with, since pkg-config may speak of another system than the one that is built
# for.
AC_DEFUN([POLLING_OPTIONAL], [
  m4_ifblank([$2], [have_$1=yes],
    [PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1=no])])
  AS_IF([test "$have_$1" = yes], [
    polling_save_CFLAGS=$CFLAGS
    polling_save_LIBS=$LIBS
    CFLAGS="$CFLAGS $$1_CFLAGS"
    LIBS="$$1_LIBS $LIBS"
    AC_MSG_CHECKING([whether $1 can be linked with])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <$3>]], [[$4]])], [],
      [have_$1=no])
    AC_MSG_RESULT([$have_$1])
    CFLAGS=$polling_save_CFLAGS
    LIBS=$polling_save_LIBS
  ])
  AM_CONDITIONAL([HAVE_$1], [test "$have_$1" = yes])
])
