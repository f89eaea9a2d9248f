/* Requests performed, and their replies. */
#ifndef HOLDFAST_SERVE_H
#define HOLDFAST_SERVE_H

#include "keeper.h"

/* Performs the request in `message`, which came on `channel` from its peer, and replies. Descriptors that it does not take stay there. */
void serve(struct keeper *keeper, struct channel *channel, struct message *message);

/* Writes a whole error reply to `frame` and returns the length of its payload. */
size_t reply_error_encode(uint8_t *frame, uint32_t id, int error, uint32_t place);

#endif
