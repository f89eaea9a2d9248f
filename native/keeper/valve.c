#define _GNU_SOURCE
#include "valve.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "held.h"
#include "keeper.h"
#include "registration.h"
#include "system_calls.h"

/* What a changed registration keeps of its events: how it is told, not of what. The kernel's EP_PRIVATE_BITS without EPOLLEXCLUSIVE. */
#define MANNER ((uint32_t)EPOLLET | (uint32_t)EPOLLONESHOT | (uint32_t)EPOLLWAKEUP)

struct turn {
	bool open;
	int epoll, socket; /* in our table */
	int number;        /* where the socket has to stand */
	uint32_t events;
	uint64_t data;
	int error;         /* the result */
};

/*
 * An exclusive registration cannot be modified (EINVAL), so it is replaced. One without events takes its place when the valve
 * closes, so that the program's own removal finds one later, and so that we see whether it has removed it.
 */
static int replace(const struct turn *turn, struct epoll_event *event)
{
	if (epoll_ctl(turn->epoll, EPOLL_CTL_DEL, turn->number, NULL) != 0)
		return errno;
	if (epoll_ctl(turn->epoll, EPOLL_CTL_ADD, turn->number, event) == 0)
		return 0;
	int error = errno;
	event->events = turn->events; /* better as it was than not at all */
	(void)epoll_ctl(turn->epoll, EPOLL_CTL_ADD, turn->number, event);
	return error;
}

static int change(const struct turn *turn)
{
	struct epoll_event event = {.events = turn->events, .data = {.u64 = turn->data}};
	bool exclusive = (turn->events & (uint32_t)EPOLLEXCLUSIVE) != 0;
	if (!turn->open)
		event.events = exclusive ? 0 : turn->events & MANNER;
	if (exclusive)
		return replace(turn, &event);
	return epoll_ctl(turn->epoll, EPOLL_CTL_MOD, turn->number, &event) == 0 ? 0 : errno;
}

static int put_in_place(struct turn *turn)
{
	int result;
	if (turn->epoll == turn->number) {
		turn->epoll = fcntl(turn->epoll, F_DUPFD_CLOEXEC, 0);
		if (turn->epoll < 0)
			return errno;
	}
	if (turn->socket == turn->number)
		return 0;
	do
		result = dup2(turn->socket, turn->number);
	while (result < 0 && (errno == EINTR || errno == EBUSY));
	if (result >= 0)
		return 0;
	return errno == EBADF ? EMFILE : errno; /* EBADF: the number is above RLIMIT_NOFILE */
}

static int helper(void *argument)
{
	struct turn *turn = argument;
	turn->error = put_in_place(turn);
	if (turn->error == 0)
		turn->error = change(turn);
	_exit(0);
}

/*
 * The helper shares our memory and not our descriptors, and we go on when it has ended: so its result is a field, and there is
 * nothing to watch. Without an exit signal it is invisible to every wait but ours.
 */
static int run_helper(struct turn *turn)
{
	static _Alignas(16) uint8_t stack[65536];
	turn->error = ECANCELED; /* should somebody kill it */
	pid_t pid = clone(helper, stack + sizeof stack, CLONE_VM | CLONE_VFORK, turn);
	if (pid < 0)
		return errno;
	while (waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
		continue;
	return turn->error;
}

/* 0 or errno: ESRCH (the process has ended), EPERM, EBADF (it has no such descriptor), EMFILE. */
static int fetch(const struct keeper *k, int pidfd, int number, int *fd)
{
	*fd = sys_pidfd_getfd(pidfd, number);
	if (*fd < 0)
		return errno;
	if (*fd < k->reserved_from)
		return 0;
	close(*fd);
	return EMFILE;
}

static int held_fd_of(struct keeper *k, const struct registration *registration)
{
	const struct held *held = held_find(k, registration->held_key);
	return held == NULL || registration->held_index >= held->count ? -1 : held->fds[registration->held_index].fd;
}

static int perform(struct keeper *k, const struct registration *registration, int pidfd, bool open)
{
	struct turn turn = {
		.open = open,
		.socket = held_fd_of(k, registration),
		.number = registration->number,
		.events = registration->events,
		.data = registration->data,
	};
	int epoll, error = fetch(k, pidfd, registration->epoll, &epoll);
	if (error != 0)
		return error;
	turn.epoll = epoll;
	error = run_helper(&turn);
	close(epoll);
	return error;
}

int valve_request(struct keeper *k, const struct request *request, const struct descriptors *descriptors, struct writer *body)
{
	struct reader r = reader_over(request->registrations);
	for (size_t i = 0; i < request->registration_count; i++) {
		struct registration registration = registration_decode(&r, descriptors->count);
		if (held_fd_of(k, &registration) < 0)
			return ENOENT;
	}
	r = reader_over(request->registrations);
	writer_u16(body, (uint16_t)request->registration_count);
	for (size_t i = 0; i < request->registration_count; i++) {
		struct registration registration = registration_decode(&r, descriptors->count);
		int pidfd = descriptors->numbers[registration.process];
		writer_i32(body, perform(k, &registration, pidfd, request->type == REQUEST_RESUME));
	}
	return 0;
}
