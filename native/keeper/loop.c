#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "clock.h"

int loop_open(struct loop *loop)
{
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? errno : 0;
}

static int control(struct loop *loop, int operation, int fd, uint32_t events, struct watcher *watcher)
{
	struct epoll_event event = {.events = events, .data = {.ptr = watcher}};
	return epoll_ctl(loop->epoll, operation, fd, &event) == 0 ? 0 : errno;
}

int loop_add(struct loop *loop, int fd, uint32_t events, struct watcher *watcher)
{
	return control(loop, EPOLL_CTL_ADD, fd, events, watcher);
}

int loop_change(struct loop *loop, int fd, uint32_t events, struct watcher *watcher)
{
	return control(loop, EPOLL_CTL_MOD, fd, events, watcher);
}

void loop_remove(struct loop *loop, int fd)
{
	(void)control(loop, EPOLL_CTL_DEL, fd, 0, NULL);
}

/* Milliseconds for epoll_wait, rounded up so that the deadline has passed when it returns. */
static int timeout_until(uint64_t deadline)
{
	if (deadline == 0)
		return -1;
	uint64_t now = clock_now();
	if (deadline <= now)
		return 0;
	uint64_t ms = (deadline - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

void loop_wait(struct loop *loop, struct keeper *keeper, uint64_t deadline)
{
	struct epoll_event event;
	if (epoll_wait(loop->epoll, &event, 1, timeout_until(deadline)) != 1)
		return; /* the deadline, or EINTR: the caller looks at its deadlines and comes back */
	struct watcher *watcher = event.data.ptr;
	watcher->ready(keeper, watcher, event.events);
}
