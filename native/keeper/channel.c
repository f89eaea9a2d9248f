#define _GNU_SOURCE
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "keeper.h"
#include "serve.h"

enum {
	FRAMES_PER_ROUND = 1024, /* then other descriptors have their turn */
	RETRY_MS = 20,
	SHORT_OF_MEMORY_MS = 200, /* what was asked for by one that has ended is waited for so long */
};

static void ready(struct keeper *keeper, struct watcher *watcher, uint32_t events);

int channel_open(struct keeper *k, struct channel *c, int fd, pid_t peer)
{
	c->watcher.ready = ready;
	c->interest = EPOLLIN;
	int error = loop_add(&k->loop, fd, c->interest, &c->watcher);
	if (error != 0)
		return error;
	c->fd = fd;
	c->peer = peer;
	return 0;
}

static void forget_pending(struct channel *c)
{
	for (size_t i = 0; i < c->pending_fd_count; i++)
		close(c->pending_fds[i]);
	c->pending_fd_count = 0;
	c->pending = 0;
	c->full = false;
	c->retry_at = 0;
}

int channel_release(struct keeper *k, struct channel *c)
{
	int fd = c->fd;
	forget_pending(c);
	loop_remove(&k->loop, fd);
	c->fd = -1;
	c->peer = 0;
	c->attached_at = 0;
	return fd;
}

void channel_close(struct keeper *k, struct channel *c)
{
	if (c->fd < 0)
		return;
	if (c == &k->channel)
		reexec_forget_asker(&k->reexec);
	close(channel_release(k, c));
}

void channel_move(struct keeper *k, struct channel *from, struct channel *to)
{
	uint64_t dropped = to->dropped + from->dropped;
	*to = *from;
	to->dropped = dropped;
	to->attached_at = 0;
	/* The same registration, so nothing can be missing for it. */
	(void)loop_change(&k->loop, to->fd, to->interest, &to->watcher);
	*from = (struct channel){.fd = -1};
}

bool channel_is_attached(const struct channel *c)
{
	return c->attached_at != 0;
}

static enum sent sent(struct channel *c, enum sent result)
{
	c->full = result == SENT_NOT_YET;
	c->retry_at = result == SENT_REFUSED ? clock_now() + RETRY_MS * NS_PER_MS : 0;
	return result;
}

/* A descriptor that a waiting reply carries may be closed before it goes out, so the reply gets its own. */
static bool keep_duplicates(struct channel *c, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return false;
		c->pending_fds[c->pending_fd_count++] = copy;
	}
	return true;
}

void channel_send_reply(struct channel *c, uint16_t type, uint32_t id, size_t payload_length, const int *fds, size_t fd_count)
{
	if (c->fd < 0)
		return;
	header_encode(c->out, type, id, payload_length);
	size_t length = FRAME_HEADER + payload_length;
	enum sent result = sent(c, message_send(c->fd, c->out, length, fds, fd_count));
	if (result == SENT || result == SENT_TO_NOBODY)
		return;
	if (!keep_duplicates(c, fds, fd_count)) {
		bool full = c->full;
		uint64_t retry_at = c->retry_at;
		forget_pending(c);
		c->full = full;
		c->retry_at = retry_at;
		length = FRAME_HEADER + reply_error_encode(c->out, id, EMFILE, 0);
	}
	c->pending = length;
}

bool channel_takes_events(const struct channel *c)
{
	return channel_is_attached(c) && channel_has_room(c);
}

bool channel_has_room(const struct channel *c)
{
	return c->fd >= 0 && c->pending == 0 && !c->full && c->retry_at == 0;
}

bool channel_send_event(struct channel *c, uint16_t type, size_t payload_length, int fd)
{
	header_encode(c->out, type, 0, payload_length);
	return sent(c, message_send(c->fd, c->out, FRAME_HEADER + payload_length, &fd, fd < 0 ? 0 : 1)) == SENT;
}

static void send_pending(struct channel *c)
{
	enum sent result = sent(c, message_send(c->fd, c->out, c->pending, c->pending_fds, c->pending_fd_count));
	if (result == SENT || result == SENT_TO_NOBODY)
		forget_pending(c);
}

static enum received serve_one(struct keeper *k, struct channel *c)
{
	enum received received = message_receive(c->fd, &k->message);
	if (received != RECEIVED_MESSAGE)
		return received;
	if (k->message.sender == c->peer)
		serve(k, c, &k->message);
	else
		c->dropped++;
	descriptors_close_rest(&k->message.descriptors);
	return RECEIVED_MESSAGE;
}

bool channel_serve_waiting(struct keeper *k, struct channel *c)
{
	for (int i = 0; i < FRAMES_PER_ROUND && c->fd >= 0 && c->pending == 0; i++) {
		enum received received = serve_one(k, c);
		if (received == RECEIVED_END)
			return false;
		if (received != RECEIVED_MESSAGE)
			return true;
	}
	return true;
}

void channel_drain(struct keeper *k, struct channel *c)
{
	if (c->fd < 0)
		return;
	int patience = SHORT_OF_MEMORY_MS;
	for (int i = 0; i < FRAMES_PER_ROUND && c->fd >= 0; i++) {
		forget_pending(c); /* nobody reads a reply */
		enum received received = serve_one(k, c);
		while (received == RECEIVED_NOT_YET && patience-- > 0) {
			(void)poll(NULL, 0, 1);
			received = serve_one(k, c);
		}
		if (received == RECEIVED_NOT_YET)
			complain("no memory: what the supervisor had asked for last is lost");
		if (received != RECEIVED_MESSAGE)
			break;
	}
	channel_close(k, c);
}

static void ready(struct keeper *k, struct watcher *watcher, uint32_t events)
{
	struct channel *c = container_of(watcher, struct channel, watcher);
	if ((events & EPOLLHUP) != 0)
		forget_pending(c); /* nobody will read it */
	if ((events & EPOLLOUT) != 0) {
		c->full = false;
		return; /* channel_resume comes next */
	}
	if (c->pending != 0 || serve_one(k, c) != RECEIVED_END)
		return;
	if (c == &k->channel)
		supervisor_hung_up(k);
	else
		successor_hung_up(k);
}

void channel_resume(struct channel *c, uint64_t now)
{
	if (c->fd < 0)
		return;
	if (clock_passed(c->retry_at, now))
		c->retry_at = 0;
	if (c->pending != 0 && !c->full && c->retry_at == 0)
		send_pending(c);
}

void channel_watch(struct keeper *k, struct channel *c)
{
	if (c->fd < 0)
		return;
	uint32_t interest = (c->pending == 0 ? EPOLLIN : 0U) | (c->full ? EPOLLOUT : 0U);
	if (interest != c->interest && loop_change(&k->loop, c->fd, interest, &c->watcher) == 0)
		c->interest = interest;
}

uint64_t channel_deadline(const struct channel *c)
{
	return c->fd < 0 ? 0 : c->retry_at;
}
