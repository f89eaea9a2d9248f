#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bare_calls.h"
#include "place.h"
#include "privileges.h"
#include "schedule.h"

#define PIDFS_MAGIC 0x50494446

/* NAME, and the number in decimal. What is called so is short enough for LAUNCH_VARIABLE_MAX. Its length. */
static size_t write_number(char *text, const char *name, uint64_t number)
{
	char digits[20];
	size_t count = 0, length = strlen(name);
	do
		digits[count++] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	memcpy(text, name, length);
	while (count != 0)
		text[length++] = digits[--count];
	text[length] = '\0';
	return length;
}

static _Noreturn void fail(int status_fd, enum stage stage, int error)
{
	struct launch_failure failure = {.stage = stage, .error = error};
	/* Far below PIPE_BUF into an empty pipe: it is written whole. */
	if (bare_write(status_fd, &failure, sizeof failure) != (long)sizeof failure)
		_exit(126);
	_exit(127);
}

/* RLIMIT_NOFILE waits until the descriptors are in place: a low one would forbid the numbers they pass through. */
static int set_limits(const struct start *start)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < start->limit_count; i++)
		if (start->limits[i].resource != RLIMIT_NOFILE)
			result = bare_set_limit(start->limits[i].resource, &start->limits[i].value);
	return -result;
}

static int set_nofile(const struct start *start, const struct rlimit *before)
{
	const struct rlimit *value = before;
	for (size_t i = 0; i < start->limit_count; i++)
		if (start->limits[i].resource == RLIMIT_NOFILE)
			value = &start->limits[i].value;
	return -bare_set_limit(RLIMIT_NOFILE, value);
}

static int set_oom_score(int32_t value)
{
	char text[24];
	uint64_t size = value < 0 ? (uint64_t)-(int64_t)value : (uint64_t)value;
	size_t length = write_number(text, value < 0 ? "-" : "", size);
	int fd = bare_open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -fd;
	long result = bare_write(fd, text, length);
	bare_close(fd);
	return result < 0 ? (int)-result : 0;
}

/* The inode of our own pidfd, or 0 where pidfds share one: only pidfs (Linux 6.9) gives each process its own. */
static uint64_t own_pidfd_inode(void)
{
	struct statfs filesystem;
	struct stat file;
	uint64_t inode = 0;
	int pidfd = (int)bare_call(SYS_pidfd_open, bare_getpid(), 0, 0, 0, 0);
	if (pidfd < 0)
		return 0;
	if (bare_fstatfs(pidfd, &filesystem) == 0 && filesystem.f_type == PIDFS_MAGIC && bare_fstat(pidfd, &file) == 0)
		inode = file.st_ino;
	bare_close(pidfd);
	return inode;
}

static void add_variable(struct start *start, char *text, const char *name, uint64_t number)
{
	(void)write_number(text, name, number);
	start->environment[start->environment_count++] = text;
	start->environment[start->environment_count] = NULL;
}

static void add_variables(struct launch *l)
{
	uint64_t pid = (uint64_t)bare_getpid(), inode;
	if ((l->start->flags & START_WATCHDOG_PID) != 0)
		add_variable(l->start, l->watchdog_pid, "WATCHDOG_PID=", pid);
	if ((l->start->flags & START_LISTEN_PID) == 0)
		return;
	add_variable(l->start, l->listen_pid, "LISTEN_PID=", pid);
	if ((inode = own_pidfd_inode()) != 0)
		add_variable(l->start, l->listen_pidfd, "LISTEN_PIDFDID=", inode);
}

int launch_reset_signals(int left_alone)
{
	/* Past the C library, which refuses the two that are its own: they may have been ignored when we were started. SIGKILL and SIGSTOP need no reset. */
	for (int number = 1; number <= SIGRTMAX; number++)
		if (number != left_alone)
			(void)bare_default_signal(number);
	return -bare_unblock_signals();
}

static void prepare(struct launch *l, int *status_fd)
{
	struct start *start = l->start;
	int error = 0;
	if ((start->flags & START_SETSID) != 0 && (error = (int)bare_call(SYS_setsid, 0, 0, 0, 0, 0)) < 0)
		fail(*status_fd, STAGE_SESSION, -error);
	if ((error = set_limits(start)) != 0)
		fail(*status_fd, STAGE_LIMITS, error);
	if ((start->flags & START_OOM_SCORE_ADJ) != 0 && (error = set_oom_score(start->oom_score_adj)) != 0)
		fail(*status_fd, STAGE_OOM_SCORE, error);
	if ((start->flags & START_NICE) != 0 && (error = (int)bare_call(SYS_setpriority, PRIO_PROCESS, 0, start->nice, 0, 0)) != 0)
		fail(*status_fd, STAGE_NICE, -error);
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
	add_variables(l);
	if ((error = set_nofile(start, &l->nofile_before)) != 0)
		fail(*status_fd, STAGE_LIMITS, error);
}

static void become(const struct start *start, int status_fd)
{
	long result = 0;
	int error = 0;
	if (start->directory[0] != '\0' && (result = bare_call(SYS_chdir, bare_address(start->directory), 0, 0, 0, 0)) != 0)
		fail(status_fd, STAGE_WORKING_DIRECTORY, (int)-result);
	if ((start->flags & START_GROUPS) != 0 &&
	    (result = bare_call(BARE_SETGROUPS, (long)start->group_count, bare_address(start->groups), 0, 0, 0)) != 0)
		fail(status_fd, STAGE_GROUPS, (int)-result);
	if (start->gid != START_KEEP_ID && (result = bare_call(BARE_SETRESGID, start->gid, start->gid, start->gid, 0, 0)) != 0)
		fail(status_fd, STAGE_GID, (int)-result);
	if ((error = privileges_keep(start)) != 0)
		fail(status_fd, STAGE_CAPABILITIES, error);
	if (start->uid != START_KEEP_ID && (result = bare_call(BARE_SETRESUID, start->uid, start->uid, start->uid, 0, 0)) != 0)
		fail(status_fd, STAGE_UID, (int)-result);
	if ((error = privileges_set(start)) != 0)
		fail(status_fd, STAGE_CAPABILITIES, error);
	if ((start->flags & START_NO_NEW_PRIVS) != 0 && (error = -bare_prctl(PR_SET_NO_NEW_PRIVS, 1, 0)) != 0)
		fail(status_fd, STAGE_NO_NEW_PRIVS, error);
}

_Noreturn void launch(struct launch *l)
{
	struct start *start = l->start;
	int status_fd = l->status_fd;
	prepare(l, &status_fd);
	become(start, status_fd);
	/* We ignore it ourselves. */
	int error = launch_reset_signals((start->flags & START_IGNORE_SIGPIPE) != 0 ? SIGPIPE : 0);
	if (error != 0)
		fail(status_fd, STAGE_SIGNALS, error);
	long result = bare_call(SYS_execve, bare_address(start->path), bare_address(start->arguments), bare_address(start->environment), 0, 0);
	fail(status_fd, STAGE_EXEC, (int)-result);
}
