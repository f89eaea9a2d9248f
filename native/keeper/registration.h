/*
 * What `quiesce` and `resume` name: one registration of a held socket in an epoll set of another process.
 *
 * The kernel keys it by (open file description, number), so `number` is where the socket was registered in that process,
 * and the held descriptor has to be of the same open file description.
 */
#ifndef HOLDFAST_REGISTRATION_H
#define HOLDFAST_REGISTRATION_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum { REGISTRATIONS_MAX = 256 }; /* in one frame */

struct registration {
	uint16_t process;       /* the index of its pidfd among the descriptors of the frame */
	int epoll;              /* the number of the epoll descriptor in that process */
	int number;             /* of the socket in that process */
	struct bytes held_key;
	uint16_t held_index;
	uint32_t events;        /* as the program asked for them */
	uint64_t data;          /* the program's own */
};

/* Decodes one from `r` on; refuses what is malformed or names a descriptor that the frame does not have. */
struct registration registration_decode(struct reader *r, size_t frame_fds);

#endif
