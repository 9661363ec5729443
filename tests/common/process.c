/* SPDX-License-Identifier: BSD-3-Clause */
/* process.c - see process.h. */
#include "config.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "process.h"

pid_t process_fork(void)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	CHECK(pid != -1, "fork: %m");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

void process_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, NULL, 0) == pid, "waitpid: %m");
}

const char *process_built(const char *name)
{
	static char path[4096];
	const char *top = getenv("abs_top_builddir");

	snprintf(path, sizeof(path), "%s/%s", top != NULL ? top : "../..", name);
	return path;
}

int process_run(const char *program, ...)
{
	char *argv[16] = { (char *)program };
	pid_t pid;
	va_list args;
	int status;

	va_start(args, program);
	for (int i = 1; i < 15 && (argv[i] = va_arg(args, char *)) != NULL; i++)
		;
	va_end(args);
	pid = process_fork();
	if (pid == 0) {
		execvp(program, argv);
		_exit(127);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "%s: status %#x", program,
	      status);
	return WEXITSTATUS(status);
}
