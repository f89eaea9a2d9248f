/*
 * The keeper's end of the channel to the one supervisor.
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

enum { REPLY_OK = 128, REPLY_ERROR = 129, EVENT_CHILD = 192, EVENT_SIGNALLED = 193, EVENT_ACCEPTOR = 194 };

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
int channel_open(struct keeper *keeper, int fd, pid_t peer);
void channel_close(struct keeper *keeper);
bool channel_is_attached(const struct channel *channel);

/* Serves what a supervisor that has died left in the socket, then closes. */
void channel_drain(struct keeper *keeper);

/* Serves what waits, up to a bound. False once the channel has ended. */
bool channel_serve_waiting(struct keeper *keeper);

/* True when an event may be made in `out` and sent. */
bool channel_takes_events(const struct channel *channel);

/* Sends the payload at out + FRAME_HEADER as an event. False: it was not sent, and shall be made anew later. */
bool channel_send_event(struct keeper *keeper, uint16_t type, size_t payload_length, int fd);

/* Sends a reply, now or as soon as it can be. The descriptors stay the caller's. */
void channel_send_reply(struct keeper *keeper, uint16_t type, uint32_t id, size_t payload_length, const int *fds,
			size_t fd_count);

/* Sends the reply that waits, if it can be. Comes before events are told. */
void channel_resume(struct keeper *keeper, uint64_t now);

/* Tells the loop what to wait for. Comes after. */
void channel_watch(struct keeper *keeper);
uint64_t channel_deadline(const struct channel *channel);

#endif
