#define _GNU_SOURCE
#include "orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static bool any_child(void)
{
	siginfo_t info;
	int result;
	do
		result = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
	while (result < 0 && errno == EINTR);
	return result == 0;
}

/* Numbers with spaces between them; a number may stand across two reads. A child that is not reaped keeps its number. */
static void kill_listed(int fd)
{
	char text[4096];
	pid_t pid = 0;
	for (;;) {
		ssize_t count = read(fd, text, sizeof text);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		for (ssize_t i = 0; i < count; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				pid = pid * 10 + (text[i] - '0');
				continue;
			}
			if (pid > 1)
				(void)kill(pid, SIGKILL); /* EPERM: it has more rights than we have, and lives on */
			pid = 0;
		}
	}
	if (pid > 1)
		(void)kill(pid, SIGKILL);
}

bool orphans_kill(void)
{
	if (!any_child())
		return false;
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		kill_listed(fd);
		close(fd);
	} else if (getpid() == 1) {
		(void)kill(-1, SIGKILL); /* no CONFIG_PROC_CHILDREN: everybody else in this PID namespace is ours */
	}
	return true;
}
