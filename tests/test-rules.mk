# SPDX-License-Identifier: BSD-3-Clause
#
# What every folder of tests begins with, after common-rules.mk.
#
# A folder lists its tests in TESTS (programs also in check_PROGRAMS, scripts also in EXTRA_DIST)
# and those that need root in root_tests; a test is a program or a script `test-*.sh`.

TEST_EXTENSIONS = .sh

AM_CPPFLAGS += -iquote $(top_srcdir)/tests

# Without link-time optimization: it would see through the names that --wrap replaces.
AM_LDFLAGS += -fno-lto

# malloc fills what it gives and takes with a pattern, so that use of either shows.
AM_TESTS_ENVIRONMENT = \
	abs_top_srcdir='$(abs_top_srcdir)'; export abs_top_srcdir; \
	abs_top_builddir='$(abs_top_builddir)'; export abs_top_builddir; \
	asan_library='$(ASAN_LIBRARY)'; export asan_library; \
	MALLOC_PERTURB_=$${MALLOC_PERTURB_:-165}; export MALLOC_PERTURB_; \
	$(NULL)

# A test that hangs is ended, so that its cleanup runs and the others get their turn.  That is all that
# the limit is for: the longest tests take two minutes, and a busy machine may be ten times as slow.  A
# folder whose tests take longer sets KMEMBLK_TEST_SECONDS in AM_TESTS_ENVIRONMENT.
test_timeout = timeout --kill-after=20 $${KMEMBLK_TEST_SECONDS:-2700}
LOG_COMPILER = $(test_timeout)
SH_LOG_COMPILER = $(test_timeout)

# What other folders share with this one, also where only this one is made.
../common/libcommon.la ../unit/libunit.la:
	$(MAKE) -C $(@D) $(@F)

root_tests =

check-root:
	test -z '$(strip $(root_tests))' || \
		KMEMBLK_CHECK_ROOT=1 $(MAKE) check TESTS='$(root_tests)'

# KMEMBLK_VALGRIND tells a long test to do less.
check-valgrind:
	test -z '$(strip $(check_PROGRAMS))' || \
		KMEMBLK_VALGRIND=1 CK_FORK=no MALLOC_PERTURB_=0 \
		$(MAKE) check TESTS='$(check_PROGRAMS)' \
		LOG_COMPILER='$(LIBTOOL) --mode=execute valgrind -q \
			--error-exitcode=119 --leak-check=full --errors-for-leak-kinds=definite'

.PHONY: check-root check-valgrind
