#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "place.h"
#include "privileges.h"
#include "schedule.h"
#include "system_calls.h"

#define PIDFS_MAGIC 0x50494446

static _Noreturn void fail(int status_fd, enum stage stage, int error)
{
	struct launch_failure failure = {.stage = stage, .error = error};
	/* Far below PIPE_BUF into an empty pipe: it is written whole. */
	if (write(status_fd, &failure, sizeof failure) != (ssize_t)sizeof failure)
		_exit(126);
	_exit(127);
}

/* RLIMIT_NOFILE waits until the descriptors are in place: a low one would forbid the numbers they pass through. */
static int set_limits(const struct start *start)
{
	for (size_t i = 0; i < start->limit_count; i++)
		if (start->limits[i].resource != RLIMIT_NOFILE &&
		    setrlimit(start->limits[i].resource, &start->limits[i].value) != 0)
			return errno;
	return 0;
}

static int set_nofile(const struct start *start, const struct rlimit *before)
{
	const struct rlimit *value = before;
	for (size_t i = 0; i < start->limit_count; i++)
		if (start->limits[i].resource == RLIMIT_NOFILE)
			value = &start->limits[i].value;
	return setrlimit(RLIMIT_NOFILE, value) == 0 ? 0 : errno;
}

static int set_oom_score(int32_t value)
{
	char text[16];
	int length = snprintf(text, sizeof text, "%d", (int)value);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = write(fd, text, (size_t)length) < 0 ? errno : 0;
	close(fd);
	return error;
}

/* The inode of our own pidfd, or 0 where pidfds share one: only pidfs (Linux 6.9) gives each process its own. */
static uint64_t own_pidfd_inode(void)
{
	struct statfs filesystem;
	struct stat file;
	uint64_t inode = 0;
	int pidfd = sys_pidfd_open(getpid());
	if (pidfd < 0)
		return 0;
	if (fstatfs(pidfd, &filesystem) == 0 && filesystem.f_type == PIDFS_MAGIC && fstat(pidfd, &file) == 0)
		inode = file.st_ino;
	close(pidfd);
	return inode;
}

static void add_listen_pid(struct start *start)
{
	static char pid[32], pidfd_id[48];
	size_t end = start->environment_count;
	snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
	start->environment[end++] = pid;
	uint64_t inode = own_pidfd_inode();
	if (inode != 0) {
		snprintf(pidfd_id, sizeof pidfd_id, "LISTEN_PIDFDID=%llu", (unsigned long long)inode);
		start->environment[end++] = pidfd_id;
	}
	start->environment[end] = NULL;
}

static void add_watchdog_pid(struct start *start)
{
	static char pid[32];
	snprintf(pid, sizeof pid, "WATCHDOG_PID=%d", (int)getpid());
	start->environment[start->environment_count++] = pid;
	start->environment[start->environment_count] = NULL;
}

int launch_reset_signals(void)
{
	/* Past the C library, which refuses the two that are its own: they may have been ignored when we were started. SIGKILL and SIGSTOP need no reset. */
	for (int number = 1; number <= SIGRTMAX; number++)
		(void)sys_sigaction_default(number);
	sigset_t none;
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? 0 : errno;
}

static int set_signals(const struct start *start)
{
	int error = launch_reset_signals();
	if (error == 0 && (start->flags & START_IGNORE_SIGPIPE) != 0 && signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		error = errno;
	return error;
}

static void prepare(const struct launch *l, int *status_fd)
{
	struct start *start = l->start;
	int error = 0;
	if ((start->flags & START_SETSID) != 0 && setsid() < 0)
		fail(*status_fd, STAGE_SESSION, errno);
	if ((error = set_limits(start)) != 0)
		fail(*status_fd, STAGE_LIMITS, error);
	if ((start->flags & START_OOM_SCORE_ADJ) != 0 && (error = set_oom_score(start->oom_score_adj)) != 0)
		fail(*status_fd, STAGE_OOM_SCORE, error);
	if ((start->flags & START_NICE) != 0 && setpriority(PRIO_PROCESS, 0, start->nice) != 0)
		fail(*status_fd, STAGE_NICE, errno);
	if ((error = schedule_processors(start)) != 0)
		fail(*status_fd, STAGE_CPU_AFFINITY, error);
	if ((error = schedule_io(start)) != 0)
		fail(*status_fd, STAGE_IO_PRIORITY, error);
	if ((error = schedule_policy(start)) != 0)
		fail(*status_fd, STAGE_SCHEDULING, error);
	if ((start->flags & START_UMASK) != 0)
		umask((mode_t)(start->umask & 0777));
	if ((error = place_descriptors(start, l->sources, status_fd)) != 0)
		fail(*status_fd, STAGE_DESCRIPTORS, error);
	if ((start->flags & START_WATCHDOG_PID) != 0)
		add_watchdog_pid(start);
	if ((start->flags & START_LISTEN_PID) != 0)
		add_listen_pid(start);
	if ((error = set_nofile(start, &l->nofile_before)) != 0)
		fail(*status_fd, STAGE_LIMITS, error);
}

static void become(const struct start *start, int status_fd)
{
	int error = 0;
	if (start->directory[0] != '\0' && chdir(start->directory) != 0)
		fail(status_fd, STAGE_WORKING_DIRECTORY, errno);
	if ((start->flags & START_GROUPS) != 0 && setgroups(start->group_count, start->groups) != 0)
		fail(status_fd, STAGE_GROUPS, errno);
	if (start->gid != START_KEEP_ID && setresgid(start->gid, start->gid, start->gid) != 0)
		fail(status_fd, STAGE_GID, errno);
	if ((error = privileges_keep(start)) != 0)
		fail(status_fd, STAGE_CAPABILITIES, error);
	if (start->uid != START_KEEP_ID && setresuid(start->uid, start->uid, start->uid) != 0)
		fail(status_fd, STAGE_UID, errno);
	if ((error = privileges_set(start)) != 0)
		fail(status_fd, STAGE_CAPABILITIES, error);
	if ((start->flags & START_NO_NEW_PRIVS) != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fail(status_fd, STAGE_NO_NEW_PRIVS, errno);
}

_Noreturn void launch(const struct launch *l)
{
	struct start *start = l->start;
	int status_fd = l->status_fd;
	prepare(l, &status_fd);
	become(start, status_fd);
	int error = set_signals(start);
	if (error != 0)
		fail(status_fd, STAGE_SIGNALS, error);
	/* execve takes its strings as char * for history's sake and changes none. */
	execve(start->path, (char **)(uintptr_t)start->arguments, (char **)(uintptr_t)start->environment);
	fail(status_fd, STAGE_EXEC, errno);
}
