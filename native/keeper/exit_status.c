#define _GNU_SOURCE
#include "exit_status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system_calls.h"

/* The last field of a line "pid (name) Z ...": the exit status, 0 for those who may not trace the process. False if it is no zombie. */
static bool read_zombie(pid_t pid, int *wait_status)
{
	char path[64], text[2048];
	struct stat owner;
	/* The folder's owner is that of the process; its files are root's once it is a zombie. */
	(void)snprintf(path, sizeof path, "/proc/%d", (int)pid);
	bool ours = geteuid() == 0 || (stat(path, &owner) == 0 && owner.st_uid == geteuid());
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t length = read(fd, text, sizeof text - 1);
	close(fd);
	text[length < 0 ? 0 : length] = '\0';
	/* The name may itself contain parentheses and spaces. */
	const char *state = strrchr(text, ')'), *last = strrchr(text, ' ');
	if (state == NULL || last == NULL || strncmp(state, ") Z ", 4) != 0)
		return false;
	*wait_status = atoi(last);
	return ours;
}

/* EAGAIN: it was not reaped when the kernel looked. */
static int ask_kernel(int pidfd, int *wait_status)
{
	struct sys_pidfd_info info;
	memset(&info, 0, sizeof info);
	info.mask = SYS_PIDFD_INFO_EXIT;
	if (sys_pidfd_get_info(pidfd, &info) != 0)
		return errno;
	if ((info.mask & SYS_PIDFD_INFO_EXIT) == 0)
		return EAGAIN;
	*wait_status = info.exit_code;
	return 0;
}

int exit_status(int pidfd, pid_t pid, int *wait_status)
{
	int error = ask_kernel(pidfd, wait_status);
	/* pidfd_info() looks for the exit first and for the process then: ESRCH if it is reaped in between, and now its exit is there. */
	if (error == ESRCH)
		error = ask_kernel(pidfd, wait_status);
	if (error == 0)
		return 0;
	/* The number was still its own if it is not reaped after the look. */
	if (read_zombie(pid, wait_status) && sys_pidfd_send_signal(pidfd, 0) == 0)
		return 0;
	*wait_status = 0;
	return error;
}
