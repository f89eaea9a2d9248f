/*
 * For the keeper under memcheck (scripts/test-native.mjs --valgrind), which answers ENOSYS to calls that it does not know: syscall(2) is wrapped
 * (ld --wrap), and what the keeper cannot do without is done in an older way. It is the only program that this is linked into.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* The process is a child that nobody but us reaps, or one that the test keeps: its pid cannot mean another one. */
static long send_signal(int pidfd, int signal_number)
{
	char path[64], line[128];
	int pid = -2;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		(void)sscanf(line, "Pid: %d", &pid);
	if (file != NULL)
		fclose(file);
	if (pid > 0)
		return kill(pid, signal_number);
	errno = pid == -1 ? ESRCH : EBADF; /* it was reaped, or this is no pidfd */
	return -1;
}

long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_pidfd_send_signal)
		return send_signal((int)a[0], (int)a[1]);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
