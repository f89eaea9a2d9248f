/* How a process ended that somebody else reaps, at the moment when he does. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../exit_status.h"
#include "../system_calls.h"

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

#ifdef __GLIBC__
typedef unsigned long ioctl_request;
#else
typedef int ioctl_request;
#endif

static pid_t reaped_within; /* the process that is reaped while the kernel is asked for it */
static int answer_then;     /* what the kernel answers to that */
static unsigned asked;

static void fail(const char *what, int line)
{
	fprintf(stderr, "exit_status_test.c:%d: %s\n", line, what);
	exit(1);
}

/* In the place of the C library's: pidfd_info() has looked for an exit already, and goes on once the process is reaped. */
int ioctl(int fd, ioctl_request request, ...)
{
	va_list list;
	va_start(list, request);
	struct sys_pidfd_info *info = va_arg(list, struct sys_pidfd_info *);
	va_end(list);
	asked++;
	if (reaped_within == 0)
		return (int)syscall(SYS_ioctl, fd, request, info);
	CHECK(waitpid(reaped_within, NULL, 0) == reaped_within);
	reaped_within = 0;
	errno = answer_then;
	info->mask = 0;
	return answer_then == 0 ? 0 : -1;
}

/* A process that has ended with 3 and is not reaped. */
static pid_t end_one(int *pidfd)
{
	siginfo_t info;
	pid_t pid = fork();
	if (pid == 0)
		_exit(3);
	*pidfd = sys_pidfd_open(pid);
	CHECK(*pidfd >= 0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	return pid;
}

int main(void)
{
	int pidfd, wait_status = -1;
	pid_t pid = end_one(&pidfd);
	CHECK(exit_status(pidfd, pid, &wait_status) == 0 && wait_status == 3 << 8); /* of a zombie */
	CHECK(waitpid(pid, NULL, 0) == pid);
	if (exit_status(pidfd, pid, &wait_status) != 0) {
		printf("SKIPPED the kernel does not tell how a process ended that was reaped\n");
		return 0;
	}
	CHECK(wait_status == 3 << 8);
	close(pidfd);

	reaped_within = pid = end_one(&pidfd);
	answer_then = ESRCH;
	asked = 0;
	CHECK(exit_status(pidfd, pid, &wait_status) == 0 && wait_status == 3 << 8);
	CHECK(asked == 2);
	close(pidfd);

	/* Nothing is known yet, and something will be once its pidfd hangs up, which it has by then. */
	reaped_within = pid = end_one(&pidfd);
	answer_then = 0;
	CHECK(exit_status(pidfd, pid, &wait_status) == EAGAIN);
	CHECK(exit_status(pidfd, pid, &wait_status) == 0 && wait_status == 3 << 8);
	close(pidfd);
	return 0;
}
