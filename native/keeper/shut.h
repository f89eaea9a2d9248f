/*
 * Ends connections of other processes in an orderly way: shutdown(2) of their sending side, so that the client sees the end and closes, and
 * the program sees the end after that.
 */
#ifndef HOLDFAST_SHUT_H
#define HOLDFAST_SHUT_H

#include <stddef.h>
#include <stdint.h>

#include "descriptors.h"
#include "frame.h"
#include "request.h"

struct keeper;

enum { CONNECTIONS_MAX = 256 }; /* in one frame */

struct connection {
	uint16_t process; /* the index of its pidfd among the descriptors of the frame */
	int number;       /* of the socket in that process */
	uint64_t inode;   /* of the socket that is meant: the number may be something else's by now */
	uint64_t received; /* bytes that had come when it was looked at: it is left alone if there are more; UINT64_MAX = whatever */
};

/* Decodes one from `r` on; refuses what is malformed or names a descriptor that the frame does not have. */
struct connection connection_decode(struct reader *r, size_t frame_fds);

/* Writes the errno of each to `body`, 0 where it is done, ESTALE where another file has the number, EBUSY where more has come. */
int shut_request(struct keeper *keeper, const struct request *request, const struct descriptors *descriptors,
		 struct writer *body);

#endif
