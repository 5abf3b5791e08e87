# SPDX-License-Identifier: MIT
#
# POLLING_COMPILER_FLAG(FLAG, VARIABLE)
# -------------------------------------
# Appends FLAG to VARIABLE if the compiler takes it without complaint.
AC_DEFUN([POLLING_COMPILER_FLAG], [
  AS_VAR_PUSHDEF([cache], [polling_cv_flag_$1])
  AC_CACHE_CHECK([whether $CC takes $1], [cache], [
    polling_save_CFLAGS=$CFLAGS
    # -Werror, since some compilers only warn of an unknown flag.
    CFLAGS="$CFLAGS -Werror $1"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
      [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
    CFLAGS=$polling_save_CFLAGS
  ])
  AS_VAR_IF([cache], [yes], [$2="$$2 $1"])
  AS_VAR_POPDEF([cache])
])
