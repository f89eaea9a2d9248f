#define _GNU_SOURCE
#include "valve.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fetch_fd.h"
#include "held.h"
#include "keeper.h"
#include "registration.h"

/* What a changed registration keeps of its events: how it is told, not of what. The kernel's EP_PRIVATE_BITS without EPOLLEXCLUSIVE. */
#define MANNER ((uint32_t)EPOLLET | (uint32_t)EPOLLONESHOT | (uint32_t)EPOLLWAKEUP)

enum { BATCH = 64 }; /* registrations for one helper: it costs the more, the more descriptors we have */

struct turn {
	int epoll, socket; /* as the helper finds them; it moves what is in its way */
	int number;        /* where the socket has to stand */
	uint32_t events;
	uint64_t data;
	int error;         /* the result */
};

struct batch {
	bool open;
	size_t count;
	struct turn turns[BATCH];
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

static int change(const struct turn *turn, bool open)
{
	struct epoll_event event = {.events = turn->events, .data = {.u64 = turn->data}};
	bool exclusive = (turn->events & (uint32_t)EPOLLEXCLUSIVE) != 0;
	if (!open)
		event.events = exclusive ? 0 : turn->events & MANNER;
	if (exclusive)
		return replace(turn, &event);
	return epoll_ctl(turn->epoll, EPOLL_CTL_MOD, turn->number, &event) == 0 ? 0 : errno;
}

/* What stands at that number and is still needed for turns from `from` on goes elsewhere. */
static int clear_number(struct batch *batch, size_t from, int number)
{
	int elsewhere = -1;
	for (size_t i = from; i < batch->count; i++) {
		int *const needed[] = {&batch->turns[i].epoll, &batch->turns[i].socket};
		for (size_t j = 0; j < 2; j++) {
			if (*needed[j] != number)
				continue;
			if (elsewhere < 0)
				elsewhere = fcntl(number, F_DUPFD_CLOEXEC, 0);
			if (elsewhere < 0)
				return errno;
			*needed[j] = elsewhere;
		}
	}
	return 0;
}

static int put_in_place(struct batch *batch, size_t index)
{
	const struct turn *turn = &batch->turns[index];
	int result = clear_number(batch, index, turn->number);
	if (result != 0)
		return result;
	do
		result = dup2(turn->socket, turn->number);
	while (result < 0 && (errno == EINTR || errno == EBUSY));
	if (result >= 0)
		return 0;
	return errno == EBADF ? EMFILE : errno; /* EBADF: the number is above RLIMIT_NOFILE */
}

static int helper(void *argument)
{
	struct batch *batch = argument;
	for (size_t i = 0; i < batch->count; i++) {
		struct turn *turn = &batch->turns[i];
		if (turn->error != ECANCELED)
			continue; /* its epoll descriptor could not be had */
		int error = put_in_place(batch, i);
		turn->error = error != 0 ? error : change(turn, batch->open);
	}
	return 0;
}

/*
 * The helper shares our memory and not our descriptors, and we go on when it has ended: so its results are fields, and there is
 * nothing to watch. Without an exit signal it is invisible to every wait but ours.
 */
static void run_helper(struct batch *batch)
{
	static _Alignas(16) uint8_t stack[65536];
	pid_t pid = clone(helper, stack + sizeof stack, CLONE_VM | CLONE_VFORK, batch);
	int error = errno;
	for (size_t i = 0; pid < 0 && i < batch->count; i++)
		if (batch->turns[i].error == ECANCELED)
			batch->turns[i].error = error;
	while (pid >= 0 && waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
		continue;
}

static int held_fd_of(struct keeper *k, const struct registration *registration)
{
	const struct held *held = held_find(k, registration->held_key);
	return held == NULL || registration->held_index >= held->count ? -1 : held->fds[registration->held_index].fd;
}

/* Performs as many of what is left to read as one helper does. */
static void perform(struct keeper *k, struct batch *batch, struct reader *r, const struct descriptors *descriptors)
{
	int epolls[BATCH];
	for (size_t i = 0; i < batch->count; i++) {
		struct registration registration = registration_decode(r, descriptors->count);
		struct turn *turn = &batch->turns[i];
		int error = fetch_fd(k, descriptors->numbers[registration.process], registration.epoll, &epolls[i]);
		turn->error = error != 0 ? error : ECANCELED; /* should somebody kill the helper */
		turn->epoll = epolls[i];
		turn->socket = held_fd_of(k, &registration);
		turn->number = registration.number;
		turn->events = registration.events;
		turn->data = registration.data;
	}
	run_helper(batch);
	for (size_t i = 0; i < batch->count; i++)
		if (epolls[i] >= 0)
			close(epolls[i]);
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
	for (size_t left = request->registration_count; left != 0;) {
		struct batch batch = {.open = request->type == REQUEST_RESUME, .count = left < BATCH ? left : BATCH};
		perform(k, &batch, &r, descriptors);
		for (size_t i = 0; i < batch.count; i++)
			writer_i32(body, batch.turns[i].error);
		left -= batch.count;
	}
	return 0;
}
