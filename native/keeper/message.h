/* One message on a SOCK_SEQPACKET socket with its descriptors and the sender's credentials. Nothing here blocks. */
#ifndef HOLDFAST_MESSAGE_H
#define HOLDFAST_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "descriptors.h"
#include "frame.h"

struct message {
	size_t length;
	pid_t sender;      /* as the kernel says; 0 = it did not say */
	bool data_cut;     /* longer than FRAME_MAX */
	bool fds_cut;      /* descriptors were lost: our table is full */
	struct descriptors descriptors;
	uint8_t bytes[FRAME_MAX];
};

enum received {
	RECEIVED_MESSAGE,
	RECEIVED_NOTHING,
	RECEIVED_NOT_YET, /* there may be one: memory is short for a moment. It stays where it is, and readiness is told again */
	RECEIVED_END,
};

enum sent {
	SENT,
	SENT_NOT_YET,  /* the socket is full: it will poll writable */
	SENT_REFUSED,  /* for another reason that may pass, and that no event tells the end of */
	SENT_TO_NOBODY,
};

/* Descriptors that came are in message->descriptors, close-on-exec, and the caller's. */
enum received message_receive(int fd, struct message *message);

/* The descriptors stay the caller's. */
enum sent message_send(int fd, const uint8_t *bytes, size_t length, const int *fds, size_t fd_count);

#endif
