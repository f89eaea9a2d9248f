/*
 * System calls that leave nothing behind in memory: the result, or -errno. For a process that shares our memory while both of us run
 * (shared.h), and with it the C library's `errno`, which is the thread's.
 *
 * Without BARE_CALLS they are the C library's, and no process shares our memory.
 */
#ifndef HOLDFAST_BARE_CALLS_H
#define HOLDFAST_BARE_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "system_calls.h" /* numbers that an older header does not have */

#if defined __x86_64__ && !defined __ILP32__
#define BARE_CALLS 1
static inline long bare_call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined __aarch64__
#define BARE_CALLS 1
static inline long bare_call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
	return x0;
}
#else
static inline long bare_call(long number, long a, long b, long c, long d, long e)
{
	long result = syscall(number, a, b, c, d, e);
	return result < 0 ? -errno : result;
}
#endif

/* Where the older call has 16 bits for a user or a group. */
#ifdef SYS_setresuid32
#define BARE_SETRESUID SYS_setresuid32
#define BARE_SETRESGID SYS_setresgid32
#define BARE_SETGROUPS SYS_setgroups32
#else
#define BARE_SETRESUID SYS_setresuid
#define BARE_SETRESGID SYS_setresgid
#define BARE_SETGROUPS SYS_setgroups
#endif

static inline long bare_address(const void *pointer)
{
	return (long)(uintptr_t)pointer;
}

static inline int bare_open(const char *path, int flags)
{
	return (int)bare_call(SYS_openat, AT_FDCWD, bare_address(path), flags, 0, 0);
}

static inline long bare_write(int fd, const void *bytes, size_t count)
{
	return bare_call(SYS_write, fd, bare_address(bytes), (long)count, 0, 0);
}

static inline int bare_close(int fd)
{
	return (int)bare_call(SYS_close, fd, 0, 0, 0, 0);
}

static inline int bare_close_range(unsigned first, unsigned last)
{
	return (int)bare_call(SYS_close_range, (long)first, (long)last, 0, 0, 0);
}

static inline pid_t bare_getpid(void)
{
	return (pid_t)bare_call(SYS_getpid, 0, 0, 0, 0, 0);
}

/* Close-on-exec, and not below `lowest`. */
static inline int bare_duplicate(int fd, int lowest)
{
#ifdef BARE_CALLS
	return (int)bare_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest, 0, 0);
#else
	int result = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
	return result < 0 ? -errno : result;
#endif
}

/* Without close-on-exec. `fd` and `target` differ. */
static inline int bare_put_at(int fd, int target)
{
	return (int)bare_call(SYS_dup3, fd, target, 0, 0, 0);
}

/* The kernel's structs are those of the C library where a long has 64 bits. */
static inline int bare_fstat(int fd, struct stat *file)
{
#ifdef BARE_CALLS
	return (int)bare_call(SYS_fstat, fd, bare_address(file), 0, 0, 0);
#else
	return fstat(fd, file) == 0 ? 0 : -errno;
#endif
}

static inline int bare_fstatfs(int fd, struct statfs *filesystem)
{
#ifdef BARE_CALLS
	return (int)bare_call(SYS_fstatfs, fd, bare_address(filesystem), 0, 0, 0);
#else
	return fstatfs(fd, filesystem) == 0 ? 0 : -errno;
#endif
}

static inline int bare_set_limit(int resource, const struct rlimit *limit)
{
	return (int)bare_call(SYS_prlimit64, 0, resource, bare_address(limit), 0, 0);
}

/* rt_sigaction(2) to SIG_DFL, for which the kernel's struct is zero on every architecture; its mask has 8 bytes. */
static inline int bare_default_signal(int number)
{
	static const uint64_t standard[8];
	return (int)bare_call(SYS_rt_sigaction, number, bare_address(standard), 0, 8, 0);
}

static inline int bare_unblock_signals(void)
{
	static const uint64_t none;
	return (int)bare_call(SYS_rt_sigprocmask, SIG_SETMASK, bare_address(&none), 0, 8, 0);
}

static inline int bare_prctl(int option, unsigned long a, unsigned long b)
{
	return (int)bare_call(SYS_prctl, option, (long)a, (long)b, 0, 0);
}

struct bare_capabilities {
	uint64_t effective, permitted, inheritable;
};

/* linux/capability.h, version 3: the low halves of the three sets, then the high ones. */
struct bare_capability_header {
	uint32_t version;
	int pid;
};

#define BARE_CAPABILITY_VERSION 0x20080522

static inline int bare_capget(struct bare_capabilities *sets)
{
	struct bare_capability_header header = {BARE_CAPABILITY_VERSION, 0};
	uint32_t words[6] = {0};
	int result = (int)bare_call(SYS_capget, bare_address(&header), bare_address(words), 0, 0, 0);
	sets->effective = words[0] | (uint64_t)words[3] << 32;
	sets->permitted = words[1] | (uint64_t)words[4] << 32;
	sets->inheritable = words[2] | (uint64_t)words[5] << 32;
	return result;
}

static inline int bare_capset(const struct bare_capabilities *sets)
{
	struct bare_capability_header header = {BARE_CAPABILITY_VERSION, 0};
	const uint32_t words[6] = {
		(uint32_t)sets->effective, (uint32_t)sets->permitted, (uint32_t)sets->inheritable,
		(uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32), (uint32_t)(sets->inheritable >> 32),
	};
	return (int)bare_call(SYS_capset, bare_address(&header), bare_address(words), 0, 0, 0);
}

/* Of this process, whatever the C library's cpu_set_t holds. */
static inline int bare_set_affinity(const unsigned long *mask, size_t bytes)
{
	return (int)bare_call(SYS_sched_setaffinity, 0, (long)bytes, bare_address(mask), 0, 0);
}

/* musl answers ENOSYS instead of asking: POSIX means the process by it, and Linux a thread. */
static inline int bare_set_scheduler(int policy, int priority)
{
	return (int)bare_call(SYS_sched_setscheduler, 0, policy, bare_address(&priority), 0, 0);
}

/* Of this process; 1 is IOPRIO_WHO_PROCESS. */
static inline int bare_set_io_priority(int value)
{
	return (int)bare_call(SYS_ioprio_set, 1, 0, value, 0, 0);
}

#endif
