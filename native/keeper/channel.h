/*
 * The keeper's end of a channel: to the one supervisor, or to a program that is tried before it becomes the supervisor (successor.h).
 *
 * What cannot be sent at once holds everything else up: while a reply waits no request is read, and while an event waits
 * no other one is made. So there is one buffer out, and it never grows.
 */
#ifndef HOLDFAST_CHANNEL_H
#define HOLDFAST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"
#include "loop.h"
#include "message.h"

enum { REPLY_OK = 128, REPLY_ERROR = 129, EVENT_CHILD = 192, EVENT_SIGNALLED = 193, EVENT_ACCEPTOR = 194, EVENT_LEASE = 195 };

struct channel {
	int fd;                /* -1 = there is no supervisor at its other end */
	pid_t peer;
	uint64_t attached_at;  /* 0 = not attached */
	uint64_t dropped;      /* frames of others, in all */
	struct watcher watcher;
	uint32_t interest;     /* what the loop watches for now */
	bool full;             /* wait until it is writable */
	uint64_t retry_at;     /* or until then */
	size_t pending;        /* bytes of a reply in `out` that waits */
	size_t pending_fd_count;
	int pending_fds[FRAME_FDS_MAX]; /* our own duplicates */
	uint8_t out[FRAME_MAX];
};

/* 0 or errno; owns `fd` unless it fails. */
int channel_open(struct keeper *keeper, struct channel *channel, int fd, pid_t peer);
void channel_close(struct keeper *keeper, struct channel *channel);
bool channel_is_attached(const struct channel *channel);

/* Serves what a supervisor that has died left in the socket, then closes. */
void channel_drain(struct keeper *keeper, struct channel *channel);

/* Serves what waits, up to a bound. False once the channel has ended. */
bool channel_serve_waiting(struct keeper *keeper, struct channel *channel);

/* True when an event may be made in `out` and sent: to whoever is attached, or to one that is not yet. */
bool channel_takes_events(const struct channel *channel);
bool channel_has_room(const struct channel *channel);

/*
 * `to`, which is closed, goes on as `from`, which is closed then: same descriptor, same peer, same reply that waits. Nobody is attached to it.
 */
void channel_move(struct keeper *keeper, struct channel *from, struct channel *to);

/* Ends the watching and gives the descriptor, which becomes the caller's. */
int channel_release(struct keeper *keeper, struct channel *channel);

/* Sends the payload at out + FRAME_HEADER as an event. False: it was not sent, and shall be made anew later. */
bool channel_send_event(struct channel *channel, uint16_t type, size_t payload_length, int fd);

/* Sends a reply, now or as soon as it can be. The descriptors stay the caller's. */
void channel_send_reply(struct channel *channel, uint16_t type, uint32_t id, size_t payload_length, const int *fds,
			size_t fd_count);

/* Sends the reply that waits, if it can be. Comes before events are told. */
void channel_resume(struct channel *channel, uint64_t now);

/* Tells the loop what to wait for. Comes after. */
void channel_watch(struct keeper *keeper, struct channel *channel);
uint64_t channel_deadline(const struct channel *channel);

#endif
