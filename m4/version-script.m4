# SPDX-License-Identifier: MIT
#
# POLLING_VERSION_SCRIPT
# ----------------------
# Whether the linker takes a GNU version script. GNU ld, gold, lld and the
# linkers of the BSDs and Solaris do; those of Apple do not, and get a list of
# exported names instead. For Windows GNU ld takes one and makes nothing of it. Defines the conditional
# HAVE_VERSION_SCRIPT and substitutes VERSION_SCRIPT, yes or no.
AC_DEFUN([POLLING_VERSION_SCRIPT], [
  AC_CACHE_CHECK([whether the linker takes a version script],
    [polling_cv_version_script], [
    polling_save_LDFLAGS=$LDFLAGS
    echo 'PROBE_1.0 { global: probe; local: *; };' > conftest.map
    LDFLAGS="$LDFLAGS -shared -fPIC -Wl,--version-script=conftest.map"
    # Not AC_LANG_PROGRAM: a main() would not be exported, and need not be.
    AC_LINK_IFELSE([AC_LANG_SOURCE([[int probe(void) { return 0; }]])],
      [AS_CASE([$host_os],
        [mingw*|cygwin*], [polling_cv_version_script=no],
        [polling_cv_version_script=yes])],
      [polling_cv_version_script=no])
    LDFLAGS=$polling_save_LDFLAGS
    rm -f conftest.map
  ])
  AM_CONDITIONAL([HAVE_VERSION_SCRIPT],
    [test "$polling_cv_version_script" = yes])
  AC_SUBST([VERSION_SCRIPT], [$polling_cv_version_script])
])
