#define _GNU_SOURCE
#include "supervisor_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "close_others.h"
#include "complain.h"
#include "keeper.h"
#include "launch.h"

enum {
	CHANNEL_FD = 3,            /* in the supervisor */
	ABOVE = 10,                /* both descriptors move up here before they are put where they belong */
	SEND_BUFFER = 2 * FRAME_MAX,
};

static int open_channel(int ends[2])
{
	const int on = 1, wanted = SEND_BUFFER;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return errno;
	for (int i = 0; i < 2; i++) {
		if (setsockopt(ends[i], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
			int error = errno;
			close(ends[0]);
			close(ends[1]);
			return error;
		}
		/* The default takes a whole frame, but an administrator may have lowered it. */
		if (setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0)
			(void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
	}
	return 0;
}

static int put_descriptors(int channel, int *status)
{
	if ((*status = fcntl(*status, F_DUPFD_CLOEXEC, ABOVE)) < 0 || (channel = fcntl(channel, F_DUPFD_CLOEXEC, ABOVE)) < 0)
		return errno;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(channel, CHANNEL_FD) < 0)
		return errno;
	int keep[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, CHANNEL_FD, *status};
	close_others(keep, sizeof keep / sizeof keep[0]);
	return 0;
}

/* The environment of the keeper is its own, and may have been inherited from a shadow. */
static int set_environment(bool shadow)
{
	char number[16];
	snprintf(number, sizeof number, "%d", CHANNEL_FD);
	if (setenv("HOLDFAST_KEEPER_FD", number, 1) != 0)
		return -1;
	return shadow ? setenv("HOLDFAST_KEEPER_MODE", "shadow", 1) : unsetenv("HOLDFAST_KEEPER_MODE");
}

static _Noreturn void become_supervisor(char *const *arguments, bool shadow, int channel, int status)
{
	struct launch_failure failure = {.stage = STAGE_DESCRIPTORS};
	setsid();
	failure.error = put_descriptors(channel, &status);
	if (failure.error == 0) {
		failure.stage = STAGE_EXEC;
		if (launch_reset_signals(0) == 0 && set_environment(shadow) == 0)
			execvp(arguments[0], arguments);
		failure.error = errno;
	}
	/* As a shell would say it, should the pipe be gone. */
	int code = failure.error == ENOENT ? 127 : 126;
	_exit(write(status, &failure, sizeof failure) == (ssize_t)sizeof failure ? code : 126);
}

static void status_ready(struct keeper *k, struct watcher *watcher, uint32_t events)
{
	(void)watcher;
	(void)events;
	supervisor_process_status(k);
}

static int open_all(int channel[2], int status[2])
{
	int error = open_channel(channel);
	if (error != 0)
		return error;
	if (pipe2(status, O_CLOEXEC | O_NONBLOCK) == 0)
		return 0;
	error = errno;
	close(channel[0]);
	close(channel[1]);
	return error;
}

int supervisor_process_watch(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	s->status.ready = status_ready;
	return s->status_fd < 0 ? 0 : loop_add(&k->loop, s->status_fd, EPOLLIN, &s->status);
}

int supervisor_process_fork(char *const *arguments, bool shadow, struct supervisor_process *process)
{
	int channel[2], status[2];
	int error = open_all(channel, status);
	if (error != 0)
		return error;
	pid_t pid = fork();
	if (pid == 0)
		become_supervisor(arguments, shadow, channel[1], status[1]);
	error = pid < 0 ? errno : 0;
	close(channel[1]);
	close(status[1]);
	if (error != 0) {
		close(channel[0]);
		close(status[0]);
		return error;
	}
	*process = (struct supervisor_process){.pid = pid, .channel = channel[0], .status = status[0]};
	return 0;
}

int supervisor_process_start(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	struct supervisor_process process;
	int error = supervisor_process_fork(s->arguments, false, &process);
	if (error != 0)
		return error;
	s->pid = process.pid;
	s->status_fd = process.status;
	if (supervisor_process_watch(k) != 0) {
		close(process.status);
		s->status_fd = -1;
	}
	/* Without its channel it could do nothing: it will be reaped and started again like any other that ended. */
	if (channel_open(k, &k->channel, process.channel, process.pid) != 0) {
		close(process.channel);
		kill(process.pid, SIGKILL);
	}
	return 0;
}

int supervisor_process_exec_error(int status)
{
	struct launch_failure failure;
	ssize_t count;
	if (status < 0)
		return 0;
	do
		count = read(status, &failure, sizeof failure);
	while (count < 0 && errno == EINTR);
	return count == (ssize_t)sizeof failure ? failure.error : 0;
}

void supervisor_process_status(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	struct launch_failure failure;
	ssize_t count;
	if (s->status_fd < 0)
		return;
	do
		count = read(s->status_fd, &failure, sizeof failure);
	while (count < 0 && errno == EINTR);
	if (count < 0 && errno == EAGAIN)
		return;
	if (count == (ssize_t)sizeof failure) {
		s->exec_error = failure.error;
		if (s->complained_of != failure.error)
			complain("cannot execute %s: %s", s->arguments[0], strerror(failure.error));
		s->complained_of = failure.error;
	}
	loop_remove(&k->loop, s->status_fd);
	close(s->status_fd);
	s->status_fd = -1;
}
