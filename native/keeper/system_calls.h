/* System calls that not every C library wraps. Numbers are the same on all architectures since Linux 5.1. */
#ifndef HOLDFAST_SYSTEM_CALLS_H
#define HOLDFAST_SYSTEM_CALLS_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
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
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
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

/*
 * fork(2) that gives the parent a pidfd of the child in the same step, so that no process runs that cannot be signalled. The pidfd has the lowest
 * number that is free. Nothing of the C library's own runs in between (pthread_atfork): the child has to be on its way to execve(2).
 */
static inline pid_t sys_fork_with_pidfd(int *pidfd)
{
	return (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | SIGCHLD), NULL, pidfd, NULL, NULL);
}

static inline int sys_pidfd_send_signal(int pidfd, int signal_number)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0U);
}

/* waitid(2) of this very process, with the resources it has used, which the C library does not give. P_PIDFD: Linux 5.4. */
static inline int sys_waitid_pidfd(int pidfd, siginfo_t *info, int options, struct rusage *usage)
{
	return (int)syscall(SYS_waitid, 3, pidfd, info, options, usage);
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

/* struct pidfd_info of linux/pidfd.h as it was first (Linux 6.13); the exit code has a meaning since Linux 6.15. */
struct sys_pidfd_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};

#define SYS_PIDFD_INFO_EXIT (UINT64_C(1) << 3)
#define SYS_PIDFD_GET_INFO _IOWR(0xff, 11, struct sys_pidfd_info)

static inline int sys_pidfd_get_info(int pidfd, struct sys_pidfd_info *info)
{
	return ioctl(pidfd, SYS_PIDFD_GET_INFO, info);
}

/* Becomes the program that is open as `fd`, which may be O_PATH. Returns only if it fails. */
static inline void sys_execve_fd(int fd, char *const *arguments, char *const *environment)
{
	(void)syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
}

#endif
