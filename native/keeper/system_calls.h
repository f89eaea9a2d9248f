/* System calls that not every C library wraps. Numbers are the same on all architectures since Linux 5.1. */
#ifndef HOLDFAST_SYSTEM_CALLS_H
#define HOLDFAST_SYSTEM_CALLS_H

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Close-on-exec by birth. */
static inline int sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0U);
}

/* A duplicate of descriptor `number` of that process; close-on-exec by birth. */
static inline int sys_pidfd_getfd(int pidfd, int number)
{
	return (int)syscall(SYS_pidfd_getfd, pidfd, number, 0U);
}

static inline int sys_pidfd_send_signal(int pidfd, int signal_number)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0U);
}

/*
 * sendmsg(2) without the C library: musl copies the control data into a buffer of about 1 KiB, which is less than 253
 * descriptors take, and answers ENOMEM. It does so to clear padding that the kernel reads as part of a length; whoever calls
 * this has cleared the header and the control data.
 */
static inline ssize_t sys_sendmsg(int fd, const struct msghdr *header, int flags)
{
	return (ssize_t)syscall(SYS_sendmsg, fd, header, flags);
}

/* Becomes the program that is open as `fd`, which may be O_PATH. Returns only if it fails. */
static inline void sys_execve_fd(int fd, char *const *arguments, char *const *environment)
{
	(void)syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
}

static inline int sys_close_range(unsigned first, unsigned last)
{
	return (int)syscall(SYS_close_range, first, last, 0U);
}

#endif
