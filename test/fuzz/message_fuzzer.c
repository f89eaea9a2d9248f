/*
 * What the keeper makes of a received message: the walk over its control buffer.
 *
 * Input: one byte with flags (1: the data was cut, 2: control messages were cut), then what the kernel wrote into the control buffer.
 */
#define _GNU_SOURCE
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../native/keeper/message.h"

static const uint8_t *control;
static size_t control_length;
static int cut;

static void check(int holds)
{
	if (!holds)
		abort();
}

/* The kernel's part: called by message_receive instead of libc's. */
ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
	(void)fd;
	check((flags & MSG_CMSG_CLOEXEC) != 0);
	size_t length = control_length < header->msg_controllen ? control_length : header->msg_controllen;
	if (length > 0)
		memcpy(header->msg_control, control, length);
	/* What the kernel did not write must not be read. It is a part of the stack of the caller, which unpoisons it when it returns. */
	ASAN_POISON_MEMORY_REGION((uint8_t *)header->msg_control + length, header->msg_controllen - length);
	header->msg_controllen = length;
	header->msg_flags = ((cut & 1) != 0 ? MSG_TRUNC : 0) | ((cut & 2) != 0 ? MSG_CTRUNC : 0);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static struct message message;
	if (size == 0)
		return 0;
	cut = input[0] & 3;
	control = input + 1;
	control_length = size - 1;
	check(message_receive(3, &message) == RECEIVED_MESSAGE);
	check(message.length == 1 && message.data_cut == ((cut & 1) != 0));
	check((cut & 2) == 0 || message.fds_cut);
	check(message.descriptors.count <= FRAME_FDS_MAX);
	for (size_t i = 0; i < message.descriptors.count; i++)
		check(message.descriptors.numbers[i] >= 0 && !message.descriptors.taken[i]);
	return 0;
}
