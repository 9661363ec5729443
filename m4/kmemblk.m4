# SPDX-License-Identifier: BSD-3-Clause
#
# The two questions that configure.ac asks again and again.

# KMEMBLK_NEED_MODULE(PREFIX, PKG-CONFIG MODULE, DEBIAN PACKAGE)
# Look for a library; add the package's name to $missing_packages if it is not there.
AC_DEFUN([KMEMBLK_NEED_MODULE],
  [PKG_CHECK_MODULES([$1], [$2], [], [missing_packages="$missing_packages $3"])])

# KMEMBLK_TRY_FLAG(VARIABLE, FLAG)
# Append FLAG to VARIABLE if the compiler takes it.
AC_DEFUN([KMEMBLK_TRY_FLAG],
  [AC_MSG_CHECKING([whether $CC takes $2])
   save_CFLAGS=$CFLAGS
   CFLAGS="$CFLAGS -Werror $2"
   AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
     [AC_MSG_RESULT([yes])
      $1="$$1 $2"],
     [AC_MSG_RESULT([no])])
   CFLAGS=$save_CFLAGS])
