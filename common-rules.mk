# SPDX-License-Identifier: BSD-3-Clause
#
# What every Makefile.am begins with.  Lists are sorted, one name a line, and end with $(NULL), so
# that a change shows as the line it is.

NULL =

AM_CPPFLAGS = -I$(top_builddir) -I$(top_srcdir)/include
AM_CFLAGS = $(WARN_CFLAGS) $(SANITIZE_CFLAGS)
AM_LDFLAGS = $(SANITIZE_CFLAGS)
